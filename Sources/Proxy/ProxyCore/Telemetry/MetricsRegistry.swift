import MeshMetrics
import MeshModel
import MeshTransport
package import NIOCore

/// All loops' series, and what the process says about itself: one scrape.
package struct MetricsRegistry: Sendable {
    private let loops: LoopLocal<ProxyLoop>
    private let retainIdle: TimeAmount
    /// Shards that are not a data-plane loop's, such as the control-plane client's.
    private let startedAt: NIODeadline

    package init(loops: LoopLocal<ProxyLoop>, retainIdle: TimeAmount) {
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
        renderProcess(into: &writer)
        return writer.bytes
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
