package import MeshMetrics
import MeshModel
package import NIOCore

/// All loops' series, and what the process says about itself: one scrape.
package struct MetricsRegistry: Sendable {
    /// The data plane's loops and the admin port's.
    private let groups: [LoopLocal<ProxyLoop>]
    private let retainIdle: TimeAmount
    private let startedAt: NIODeadline
    private let identity: IdentityStatus?
    private let accessLines: LineWriter?

    /// - Parameter identity: `nil` when identity is disabled.
    /// - Parameter accessLines: `nil` when there is no access log.
    package init(
        _ groups: [LoopLocal<ProxyLoop>], retainIdle: TimeAmount, identity: IdentityStatus? = nil,
        accessLines: LineWriter? = nil
    ) {
        self.accessLines = accessLines
        self.groups = groups
        self.identity = identity
        self.retainIdle = retainIdle
        startedAt = .now()
    }

    /// Hops to each loop, copies its numbers and adds them up.
    package func snapshot() async throws -> MetricsSnapshot {
        let retainIdle = retainIdle
        var sum = MetricsSnapshot()
        for loops in groups {
            for share in try await loops.map({ $0.metrics.snapshot(retainIdle: retainIdle) }) { sum.merge(share) }
        }
        return sum
    }

    /// The whole exposition.
    package func exposition(_ format: ExpositionFormat = .prometheus) async throws -> [UInt8] {
        var writer = ExpositionWriter(format, reservingBytes: 65_536)
        MetricsRenderer.render(try await snapshot(), into: &writer)
        renderIdentity(into: &writer)
        renderAccessLog(into: &writer)
        renderProcess(into: &writer)
        writer.end()
        return writer.bytes
    }

    /// Under the names of 2.11 and under those of later releases.
    private func renderIdentity(into writer: inout ExpositionWriter) {
        guard let identity else { return }
        let gauges = [
            ("identity_cert_expiration_timestamp_seconds", identity.validUntil),
            ("control_identity_cert_expiration_timestamp_seconds", identity.validUntil),
            ("control_identity_cert_refresh_timestamp_seconds", identity.refreshedAt),
        ]
        for (name, value) in gauges {
            guard let value, let family = MetricCatalogue.family(name) else { continue }
            writer.family(family)
            writer.sample(name, labelText: "", value: UInt64(clamping: value))
        }
        if let family = MetricCatalogue.family("identity_cert_refresh_count") {
            writer.family(family)
            writer.sample(family.name, labelText: "", value: identity.refreshCount)
        }
        guard let family = MetricCatalogue.family("control_identity_cert_refreshes_total") else { return }
        writer.family(family)
        writer.sample(family.name, labelText: "result=\"ok\"", value: identity.refreshCount)
        writer.sample(family.name, labelText: "result=\"error\"", value: identity.failureCount)
    }

    private func renderAccessLog(into writer: inout ExpositionWriter) {
        guard let accessLines, let family = MetricCatalogue.family("proxy_access_log_dropped_total") else { return }
        writer.family(family)
        writer.sample(family.name, labelText: "", value: accessLines.droppedCount)
    }

    private func renderProcess(into writer: inout ExpositionWriter) {
        ProcessStatistics.current().write(into: &writer)
        if let uptime = MetricCatalogue.family("process_uptime_seconds_total") {
            writer.family(uptime)
            let seconds = Double((NIODeadline.now() - startedAt).nanoseconds) / 1e9
            writer.sample(uptime.name, labelText: "", value: seconds)
        }
        guard let build = MetricCatalogue.family("proxy_build_info") else { return }
        writer.family(build)
        let labels = [
            ("date", ""), ("git_sha", ""), ("profile", Self.profile), ("vendor", "linkerd-swift"),
            ("version", BuildVersion.current),
        ]
        writer.sample(build.name, labels: labels, value: 1 as UInt64)
    }

    private static var profile: String {
        #if DEBUG
            "debug"
        #else
            "release"
        #endif
    }
}
