// What the controller counts about itself, in Linkerd's names where Linkerd has one.

package import Foundation
internal import MeshMetrics
internal import Synchronization

/// Counters of the one call and of the issuer.
package final class IdentityMetrics: Sendable {
    private struct Totals {
        var startedCount: UInt64 = 0
        /// Ended calls by gRPC code.
        var handled: [String: UInt64] = [:]
        var issuedCount: UInt64 = 0
        var refused: [IdentityError.Kind: UInt64] = [:]
        var issuerUpdatedCount: UInt64 = 0
        var issuerSkippedCount: UInt64 = 0
        var eventsDroppedCount: UInt64 = 0
    }

    private let totals = Mutex(Totals())

    package init() {}

    func started() { totals.withLock { $0.startedCount += 1 } }

    func issued() {
        totals.withLock {
            $0.issuedCount += 1
            $0.handled["OK", default: 0] += 1
        }
    }

    func refused(_ kind: IdentityError.Kind) {
        totals.withLock {
            $0.refused[kind, default: 0] += 1
            $0.handled[kind.codeName, default: 0] += 1
        }
    }

    func reloaded(_ outcome: IssuerStore.Outcome) {
        totals.withLock {
            switch outcome {
            case .updated: $0.issuerUpdatedCount += 1
            case .skipped: $0.issuerSkippedCount += 1
            case .unchanged, .stillSkipped: break
            }
        }
    }

    func eventDropped() { totals.withLock { $0.eventsDroppedCount += 1 } }

    /// The exposition text.
    ///
    /// - Parameter issuerNotAfter: When the issuer in use ends.
    package func render(issuerNotAfter: Date, now: Date) -> [UInt8] {
        let totals = totals.withLock { $0 }
        var writer = ExpositionWriter()
        writer.family(
            "issuer_cert_ttl_seconds", help: "Seconds until the issuer certificate ends; negative after it.",
            type: .gauge)
        writer.sample(
            "issuer_cert_ttl_seconds", labelText: "",
            value: Int64(issuerNotAfter.timeIntervalSince(now).rounded(.down)))
        writer.family("identity_cert_issued_total", help: "Certificates issued.", type: .counter)
        writer.sample("identity_cert_issued_total", labelText: "", value: totals.issuedCount)
        writer.family("identity_cert_refused_total", help: "Requests refused, by reason.", type: .counter)
        for kind in IdentityError.Kind.allCases where kind != .configuration {
            writer.sample(
                "identity_cert_refused_total", labels: [("reason", kind.rawValue)],
                value: totals.refused[kind] ?? 0)
        }
        writer.family("identity_issuer_reload_total", help: "Changes of the issuer's files.", type: .counter)
        writer.sample(
            "identity_issuer_reload_total", labels: [("result", "updated")], value: totals.issuerUpdatedCount)
        writer.sample(
            "identity_issuer_reload_total", labels: [("result", "skipped")], value: totals.issuerSkippedCount)
        writer.family("identity_events_dropped_total", help: "Kubernetes Events not written.", type: .counter)
        writer.sample("identity_events_dropped_total", labelText: "", value: totals.eventsDroppedCount)
        Self.writeCalls(totals, to: &writer)
        return writer.bytes
    }

    private static func writeCalls(_ totals: Totals, to writer: inout ExpositionWriter) {
        let labels = [
            ("grpc_method", "Certify"), ("grpc_service", "io.linkerd.proxy.identity.Identity"),
            ("grpc_type", "unary"),
        ]
        writer.family("grpc_server_started_total", help: "Calls received.", type: .counter)
        writer.sample("grpc_server_started_total", labels: labels, value: totals.startedCount)
        writer.family("grpc_server_handled_total", help: "Calls ended, by gRPC code.", type: .counter)
        for (code, count) in totals.handled.sorted(by: { $0.key < $1.key }) {
            writer.sample("grpc_server_handled_total", labels: [("grpc_code", code)] + labels, value: count)
        }
    }
}
