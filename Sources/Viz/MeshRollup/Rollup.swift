/// What a rollup counts. The raw value is the position in `Rollup.counters` and in the stored bytes: frozen.
public enum Counter: Int, CaseIterable, Sendable {
    case requests = 0
    case successes = 1
    case failures = 2
    case retries = 3
    case status2xx = 4
    case status3xx = 5
    case status4xx = 6
    case status5xx = 7
    /// Responses that carried a gRPC status.
    case grpcResponses = 8
    case latencySumMilliseconds = 9
    case tcpOpens = 10
    case tcpCloses = 11
    case readBytes = 12
    case writeBytes = 13
    case authzAllowed = 14
    case authzDenied = 15
}

/// Open connections over a stretch of time.
public struct ConnectionGauge: Sendable, Hashable {
    /// At the end.
    public var last: UInt64
    /// The most seen at once; never less than `last`.
    public var max: UInt64

    /// One observation.
    public init(_ value: UInt64) {
        last = value
        max = value
    }

    /// An end value and a maximum; the maximum is raised to `last` when below.
    public init(last: UInt64, max: UInt64) {
        self.last = last
        self.max = Swift.max(last, max)
    }
}

/// One series of events summarised over one stretch of time.
public struct Rollup: Sendable, Equatable {
    /// Indexed by `Counter.rawValue`.
    public var counters: SIMD16<UInt64>
    /// Latencies of responses.
    public var latency: LatencyHistogram
    /// `nil` when no scrape reported the gauge.
    public var openConnections: ConnectionGauge?
    /// `nil` where latencies are counted by bucket only.
    public var extremes: LatencyExtremes?
    /// Whether any part was spread over a gap between scrapes instead of observed.
    public var isEstimated: Bool

    /// Nothing counted.
    public init() {
        counters = .zero
        latency = LatencyHistogram()
        openConnections = nil
        extremes = nil
        isEstimated = false
    }

    /// One counter.
    public subscript(counter: Counter) -> UInt64 {
        get { counters[counter.rawValue] }
        set { counters[counter.rawValue] = newValue }
    }

    /// Whether there is neither a count nor a gauge.
    public var isEmpty: Bool { counters == .zero && openConnections == nil && extremes == nil && latency.isEmpty }

    /// Adds what the same series did in a later stretch: the gauge's end value is replaced.
    public mutating func append(_ later: Rollup) {
        addCounts(later)
        if let extremes = later.extremes { append(extremes) }
        guard let gauge = later.openConnections else { return }
        openConnections = ConnectionGauge(last: gauge.last, max: max(openConnections?.max ?? 0, gauge.max))
    }

    /// Adds what another series did in the same stretch: gauges sum.
    ///
    /// The sum of maxima is an upper bound of the maximum of the sum.
    public mutating func combine(_ sibling: Rollup) {
        addCounts(sibling)
        if let extremes = sibling.extremes { combine(extremes) }
        guard let gauge = sibling.openConnections else { return }
        let own = openConnections ?? ConnectionGauge(0)
        openConnections = ConnectionGauge(last: own.last &+ gauge.last, max: own.max &+ gauge.max)
    }

    private mutating func addCounts(_ other: Rollup) {
        counters &+= other.counters
        latency.add(other.latency)
        isEstimated = isEstimated || other.isEstimated
    }

    /// Takes in the extremes of a later stretch.
    mutating func append(_ later: LatencyExtremes) {
        guard var merged = extremes else { return extremes = later }
        merged.append(later)
        extremes = merged
    }

    /// Takes in the extremes of another series.
    private mutating func combine(_ sibling: LatencyExtremes) {
        guard var merged = extremes else { return extremes = sibling }
        merged.combine(sibling)
        extremes = merged
    }
}
