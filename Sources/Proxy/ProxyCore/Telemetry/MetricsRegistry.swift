import MeshMetrics
import MeshModel
import MeshTransport
package import NIOCore

/// All loops' series, and what the process says about itself: one scrape.
package struct MetricsRegistry: Sendable {
    private let loops: LoopLocal<ProxyLoop>
    private let retainIdle: TimeAmount
    private let startedAt: NIODeadline
    private let identity: IdentityStatus?

    /// - Parameter identity: `nil` when identity is disabled.
    package init(loops: LoopLocal<ProxyLoop>, retainIdle: TimeAmount, identity: IdentityStatus? = nil) {
        self.identity = identity
        self.loops = loops
        self.retainIdle = retainIdle
        startedAt = .now()
    }

    /// Hops to each loop, copies its numbers and adds them up.
    package func snapshot() async throws -> MetricsSnapshot {
        let retainIdle = retainIdle
        var sum = MetricsSnapshot()
        for share in try await loops.map({ $0.metrics.snapshot(retainIdle: retainIdle) }) { sum.merge(share) }
        return sum
    }

    /// The whole exposition.
    package func exposition() async throws -> [UInt8] {
        var writer = ExpositionWriter(reservingBytes: 65_536)
        MetricsRenderer.render(try await snapshot(), into: &writer)
        renderIdentity(into: &writer)
        renderProcess(into: &writer)
        return writer.bytes
    }

    private func renderIdentity(into writer: inout ExpositionWriter) {
        guard let identity else { return }
        let (end, count) = ("identity_cert_expiration_timestamp_seconds", "identity_cert_refresh_count")
        if let validUntil = identity.validUntil {
            writer.family(end, help: "When this proxy's certificate ends, since the epoch", type: .gauge)
            writer.sample(end, labelText: "", value: UInt64(clamping: validUntil))
        }
        writer.family(count, help: "Certificates received", type: .counter)
        writer.sample(count, labelText: "", value: identity.refreshCount)
    }

    private func renderProcess(into writer: inout ExpositionWriter) {
        let process = ProcessStatistics.current()
        func gauge(_ name: String, _ help: String, _ value: UInt64) {
            writer.family(name, help: help, type: .gauge)
            writer.sample(name, labelText: "", value: value)
        }
        writer.family(
            "process_start_time_seconds", help: "When the process started, since the epoch", type: .gauge)
        writer.sample("process_start_time_seconds", labelText: "", value: process.startTimeSeconds)
        writer.family("process_cpu_seconds_total", help: "CPU time, user and system", type: .counter)
        writer.sample("process_cpu_seconds_total", labelText: "", value: process.cpuSeconds)
        writer.family("process_uptime_seconds_total", help: "Time since the proxy started", type: .counter)
        let uptime = Double((NIODeadline.now() - startedAt).nanoseconds) / 1e9
        writer.sample("process_uptime_seconds_total", labelText: "", value: uptime)
        gauge("process_open_fds", "Open descriptors", process.openDescriptors)
        gauge("process_max_fds", "Descriptors allowed", process.descriptorsMax)
        gauge("process_virtual_memory_bytes", "Virtual memory", process.virtualBytes)
        gauge("process_resident_memory_bytes", "Resident memory", process.residentBytes)
        gauge("process_threads", "Threads", process.threadCount)
        writer.family("proxy_build_info", help: "Which build runs", type: .gauge)
        writer.sample(
            "proxy_build_info", labels: [("version", BuildVersion.current), ("vendor", "linkerd-swift")],
            value: 1 as UInt64)
    }
}
