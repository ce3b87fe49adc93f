package import MeshAPI
package import MeshRollup

/// Latencies that 50, 95 and 99 of a hundred responses stayed under, in milliseconds.
package struct LatencyQuantiles: Sendable, Equatable {
    package var p50: Double
    package var p95: Double
    package var p99: Double

    package init(p50: Double = 0, p95: Double = 0, p99: Double = 0) {
        self.p50 = p50
        self.p95 = p95
        self.p99 = p99
    }
}

/// What a backend answers about one object, edge or route over one window.
package struct TrafficStats: Sendable, Equatable {
    /// Responses as the client saw them, after retries.
    package var successes: UInt64 = 0
    package var failures: UInt64 = 0
    /// Every attempt, for routes that are asked about from their clients.
    package var actualSuccesses: UInt64 = 0
    package var actualFailures: UInt64 = 0
    /// `nil` when no response was timed.
    package var latency: LatencyQuantiles?
    /// At the end of the window.
    package var openConnections: UInt64 = 0
    package var readBytes: UInt64 = 0
    package var writeBytes: UInt64 = 0

    /// Nothing counted.
    package init() {}

    /// Sums of a window from the store.
    package init(_ rollup: Rollup) {
        successes = rollup[.successes]
        failures = rollup[.failures]
        openConnections = rollup.openConnections?.last ?? 0
        readBytes = rollup[.readBytes]
        writeBytes = rollup[.writeBytes]
        guard !rollup.latency.isEmpty else { return }
        func quantile(_ quantile: Double) -> Double { rollup.latency.quantile(quantile)?.milliseconds ?? 0 }
        latency = LatencyQuantiles(p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99))
    }

    /// Classified responses.
    package var responses: UInt64 { successes &+ failures }

    /// Whether anything happened, requests or bytes, or a connection is open.
    package var isActive: Bool { responses > 0 || openConnections > 0 || readBytes &+ writeBytes > 0 }
}

extension Linkerd2_Viz_BasicStats {
    /// Counts and quantiles; `nil` when nothing was classified.
    package init?(_ stats: TrafficStats) {
        guard stats.responses > 0 || stats.actualSuccesses &+ stats.actualFailures > 0 else { return nil }
        self.init()
        successCount = stats.successes
        failureCount = stats.failures
        actualSuccessCount = stats.actualSuccesses
        actualFailureCount = stats.actualFailures
        let latency = stats.latency ?? LatencyQuantiles()
        latencyMsP50 = UInt64(latency.p50.rounded())
        latencyMsP95 = UInt64(latency.p95.rounded())
        latencyMsP99 = UInt64(latency.p99.rounded())
    }
}

extension Linkerd2_Viz_TcpStats {
    /// Connections at the end, bytes over the window.
    package init(_ stats: TrafficStats) {
        self.init()
        openConnections = stats.openConnections
        readBytesTotal = stats.readBytes
        writeBytesTotal = stats.writeBytes
    }
}
