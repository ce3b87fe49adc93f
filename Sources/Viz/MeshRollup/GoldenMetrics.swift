extension Rollup {
    /// Classified responses.
    public var responses: UInt64 { self[.successes] &+ self[.failures] }

    /// Share of classified responses that succeeded, in `0...1`; `nil` when none arrived.
    ///
    /// Draw `nil` as a gap: a quiet service is not a failing one.
    public var successRate: Double? {
        let total = responses
        return total == 0 ? nil : Double(self[.successes]) / Double(total)
    }

    /// Classified responses per second over a window of `milliseconds`; 0 for an empty window.
    public func requestsPerSecond(over milliseconds: Int64) -> Double {
        milliseconds <= 0 ? 0 : Double(responses) * 1_000 / Double(milliseconds)
    }

    /// What the traffic mostly is; opaque bytes when nothing was classified.
    public var wireProtocol: TrafficProtocol {
        if responses == 0 { return .tcp }
        return self[.grpcResponses] &* 2 > responses ? .grpc : .http
    }

    /// Scales every count by `numerator / denominator`, rounded to nearest; gauges stay.
    ///
    /// Used for windows that cut a bucket: what happened inside one is not known, so it is taken as even.
    public func scaled(_ numerator: Int64, per denominator: Int64) -> Rollup {
        guard numerator != denominator, denominator > 0, numerator >= 0 else { return self }
        func scale(_ value: UInt64) -> UInt64 {
            UInt64((Double(value) * Double(numerator) / Double(denominator)).rounded())
        }
        var scaled = self
        for counter in Counter.allCases { scaled[counter] = scale(self[counter]) }
        for index in 0..<LatencyHistogram.bucketCount { scaled.latency[index] = scale(latency[index]) }
        scaled.isEstimated = true
        return scaled
    }
}

/// Protocols that an edge is drawn with.
public enum TrafficProtocol: String, Sendable {
    case http, grpc, tcp
}
