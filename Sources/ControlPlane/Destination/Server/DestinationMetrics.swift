// What the controller counts about itself, in Linkerd's names.

internal import MeshKubernetes
internal import MeshMetrics
internal import Synchronization

/// Counters of the two services. Series of a destination vanish with its last stream.
package final class DestinationMetrics: Sendable {
    /// Which of the two calls a stream belongs to.
    package enum Call: String, CaseIterable, Sendable {
        case endpoints
        case profile
    }

    private struct Series: Hashable {
        let call: Call
        let labels: String
    }

    private struct Counts {
        var subscribers: Int64 = 0
        var updates: UInt64 = 0
    }

    private struct Totals {
        var series: [Series: Counts] = [:]
        var started: [Call: UInt64] = [:]
        /// Ended streams by call and gRPC code.
        var handled: [Call: [String: UInt64]] = [:]
        /// Objects that could not be used, by kind.
        var invalid: [String: UInt64] = [:]
    }

    private let totals = Mutex(Totals())

    package init() {}

    /// The labels of a destination.
    static func labels(of path: DestinationPath) -> String {
        let pairs: [(String, String)] =
            switch path {
            case .service(let authority):
                [
                    ("namespace", authority.service.namespace), ("service", authority.service.name),
                    ("port", String(authority.port)), ("hostname", authority.hostname ?? ""),
                ]
            case .address(let address):
                [
                    ("namespace", ""), ("service", ""), ("port", String(address.port)),
                    ("hostname", "\(address.ip)"),
                ]
            }
        return ExpositionWriter.labelText(pairs)
    }

    func opened(_ call: Call, labels: String) {
        totals.withLock {
            $0.series[Series(call: call, labels: labels), default: Counts()].subscribers += 1
            $0.started[call, default: 0] += 1
        }
    }

    func sent(_ call: Call, labels: String, count: Int) {
        totals.withLock {
            $0.series[Series(call: call, labels: labels), default: Counts()].updates += UInt64(count)
        }
    }

    func closed(_ call: Call, labels: String) {
        totals.withLock { totals in
            let key = Series(call: call, labels: labels)
            totals.series[key]?.subscribers -= 1
            if totals.series[key]?.subscribers ?? 0 <= 0 { totals.series[key] = nil }
        }
    }

    func handled(_ call: Call, code: String) {
        totals.withLock { $0.handled[call, default: [:]][code, default: 0] += 1 }
    }

    func invalid(kind: String) { totals.withLock { $0.invalid[kind, default: 0] += 1 } }

    /// The exposition text, with the sizes of the caches.
    package func render(index: ClusterIndex) -> [UInt8] {
        let totals = totals.withLock { $0 }
        var writer = ExpositionWriter()
        for call in Call.allCases {
            let series = totals.series.filter { $0.key.call == call }.sorted { $0.key.labels < $1.key.labels }
            writer.family("\(call)_subscribers", help: "Open streams per destination.", type: .gauge)
            for (key, counts) in series {
                writer.sample("\(call)_subscribers", labelText: key.labels, value: counts.subscribers)
            }
            writer.family("\(call)_updates", help: "Messages sent per destination.", type: .counter)
            for (key, counts) in series {
                writer.sample("\(call)_updates", labelText: key.labels, value: counts.updates)
            }
        }
        Self.writeCalls(totals, to: &writer)
        writer.family(
            "profile_objects_invalid_total", help: "Objects with mistakes, which changed nothing.", type: .counter)
        for (kind, count) in totals.invalid.sorted(by: { $0.key < $1.key }) {
            writer.sample("profile_objects_invalid_total", labels: [("kind", kind)], value: count)
        }
        for (kind, count) in index.read({ $0.counts }) {
            writer.family("\(kind)_cache_size", help: "Objects kept in memory.", type: .gauge)
            writer.sample("\(kind)_cache_size", labelText: "cluster=\"local\"", value: UInt64(count))
        }
        return writer.bytes
    }

    private static func writeCalls(_ totals: Totals, to writer: inout ExpositionWriter) {
        func labels(_ call: Call) -> [(String, String)] {
            [
                ("grpc_method", call == .endpoints ? "Get" : "GetProfile"),
                ("grpc_service", "io.linkerd.proxy.destination.Destination"), ("grpc_type", "server_stream"),
            ]
        }
        writer.family("grpc_server_started_total", help: "Calls received.", type: .counter)
        for call in Call.allCases {
            writer.sample("grpc_server_started_total", labels: labels(call), value: totals.started[call] ?? 0)
        }
        writer.family("grpc_server_handled_total", help: "Calls ended, by gRPC code.", type: .counter)
        for call in Call.allCases {
            for (code, count) in (totals.handled[call] ?? [:]).sorted(by: { $0.key < $1.key }) {
                writer.sample(
                    "grpc_server_handled_total", labels: [("grpc_code", code)] + labels(call), value: count)
            }
        }
    }
}
