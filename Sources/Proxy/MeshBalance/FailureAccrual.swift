// Takes an endpoint out of the balancer that fails again and again, and tries it from time to time.
//
//   closed ──max failures in a row──► shut ──back-off over──► half open ──one request──► probing
//     ▲                                ▲                                                   │
//     └────────── success ─────────────┼──────────────────────── failure, twice the pause ─┘
//
// Only consecutive failures count: a success in between starts over. An answer to a request that left before the
// breaker shut changes nothing while it is shut; during a probe the first answer decides, whichever it is.
// Source: linkerd2-proxy's consecutive-failures breaker (`spec/proxy.md` 3.13).

/// The breaker of one endpoint on one loop. Pure; times are nanoseconds of any monotonic clock.
package struct FailureAccrual: Sendable {
    /// When to shut, and for how long.
    package struct Settings: Sendable, Equatable {
        /// Failures in a row, at least 1.
        package let failuresMax: Int
        package let backoff: Backoff

        package init(failuresMax: Int, backoff: Backoff) {
            self.failuresMax = max(1, failuresMax)
            self.backoff = backoff
        }
    }

    private enum State {
        case closed(failures: Int)
        case shut(until: UInt64)
        case probing
    }

    private let settings: Settings
    private var state = State.closed(failures: 0)
    /// Times it shut since it was last closed: the exponent of the next pause.
    private var trips = 0
    private var random: XorShift

    package init(_ settings: Settings, seed: UInt64) {
        self.settings = settings
        random = XorShift(seed: seed)
    }

    /// Whether the endpoint takes a request now.
    package func isOpen(at now: UInt64) -> Bool {
        switch state {
        case .closed: true
        case .shut(let until): now >= until
        case .probing: false
        }
    }

    /// A request was sent to the endpoint: the one that tries it out, if the pause is over.
    package mutating func dispatched(at now: UInt64) {
        if case .shut(let until) = state, now >= until { state = .probing }
    }

    /// A request came back.
    package mutating func answered(isFailure: Bool, at now: UInt64) {
        switch (state, isFailure) {
        case (.closed, false): state = .closed(failures: 0)
        case (.closed(let failures), true):
            if failures + 1 >= settings.failuresMax { shut(at: now) } else { state = .closed(failures: failures + 1) }
        case (.probing, false):
            state = .closed(failures: 0)
            trips = 0
        case (.probing, true): shut(at: now)
        case (.shut, _): break
        }
    }

    /// A request ended without saying anything about the endpoint: the next one is the probe.
    package mutating func abandoned(at now: UInt64) {
        if case .probing = state { state = .shut(until: now) }
    }

    private mutating func shut(at now: UInt64) {
        let (until, overflow) = now.addingReportingOverflow(
            settings.backoff.nanoseconds(afterFailures: trips, using: &random))
        state = .shut(until: overflow ? .max : until)
        trips += 1
    }
}
