/// How much one proxy may show: a number of requests for each window.
package struct ObserveRate: Sendable, Equatable {
    package let requests: UInt32
    package let windowMilliseconds: UInt32

    /// A share below one request in so long is not asked for.
    static let windowMillisecondsMax = 3_600_000.0

    package init(requests: UInt32, windowMilliseconds: UInt32) {
        self.requests = requests
        self.windowMilliseconds = windowMilliseconds
    }

    /// Splits a rate among proxies so that together they never show more. Linkerd's own tap gives each at least
    /// one request a second, and so exceeds a small rate over many pods.
    ///
    /// - Returns: One rate for each proxy; they differ by at most one request.
    package static func shares(perSecond rate: Double, among count: Int) -> [ObserveRate] {
        guard count > 0 else { return [] }
        let share = rate / Double(count)
        guard share >= 1 else {
            let window = min((1_000 / max(share, 1e-9)).rounded(.up), windowMillisecondsMax)
            return Array(repeating: ObserveRate(requests: 1, windowMilliseconds: UInt32(window)), count: count)
        }
        let whole = UInt32(share.rounded(.down))
        let rest = Int(rate.rounded(.down)) - Int(whole) * count
        return (0..<count).map { index in
            ObserveRate(requests: whole + (index < rest ? 1 : 0), windowMilliseconds: 1_000)
        }
    }

    /// Requests each second.
    var perSecond: Double { Double(requests) * 1_000 / Double(windowMilliseconds) }

    /// Whether a running stream is to be started anew for this rate: starting costs the exchanges under way, so a
    /// little too little is kept, and too much is not.
    func isWorthRestart(of running: ObserveRate) -> Bool {
        perSecond < running.perSecond * 0.9 || perSecond > running.perSecond * 2
    }
}
