import Synchronization

/// Lets so many requests through each second, for all proxies of a tap together. Needed when a filter makes the
/// proxies show more than the caller asked for.
final class RateGate: Sendable {
    private struct State {
        var windowEndsAt: ContinuousClock.Instant?
        var taken = 0
    }

    private let perWindow: Int
    private let window: Duration
    private let state = Mutex(State())

    init(perSecond: Double) {
        perWindow = max(1, Int(perSecond))
        window = perSecond >= 1 ? .seconds(1) : .seconds(1 / max(perSecond, 1e-6))
    }

    /// Whether one more request may pass now.
    func take(at now: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            if state.windowEndsAt.map({ now >= $0 }) ?? true {
                state.windowEndsAt = now + window
                state.taken = 0
            }
            guard state.taken < perWindow else { return false }
            state.taken += 1
            return true
        }
    }
}
