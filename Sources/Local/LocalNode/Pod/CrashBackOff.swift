/// How long a container that ended waits before it runs again: not at all the first time, then 10 s,
/// doubling to 5 min. A kubelet waits 10 s already the first time; a demo should heal at once. A run of 10
/// minutes starts the count anew.
package struct CrashBackOff: Sendable, Hashable {
    /// Longest wait.
    package static let secondsMax = 300
    /// A run this long counts as healthy.
    package static let healthySeconds = 600.0

    private var restarts = 0

    package init() {}

    /// For a container that was restarted `restarts` times while nobody counted.
    package init(restarts: Int) { self.restarts = max(0, restarts) }

    /// Notes that a run ended after `ranSeconds`, and answers how long to wait before the next.
    package mutating func ended(ranSeconds: Double) -> Int {
        if ranSeconds >= Self.healthySeconds { restarts = 0 }
        let wait = Self.seconds(afterRestarts: restarts)
        restarts += 1
        return wait
    }

    /// The wait before the next run when `restarts` runs were restarted in a row.
    package static func seconds(afterRestarts restarts: Int) -> Int {
        guard restarts > 0 else { return 0 }
        return min(secondsMax, 10 << min(restarts - 1, 10))
    }
}
