import Synchronization

/// Who taps this proxy. Changes reach the loops as whole snapshots; between changes nobody waits for anybody.
package final class TapHub: Sendable {
    private struct State {
        var subscriptions: [TapSubscription] = []
        var nextBase: UInt32 = 0
    }

    private let loops: LoopLocal<ProxyLoop>
    private let state = Mutex(State())

    /// - Parameter loops: the data plane's.
    package init(loops: LoopLocal<ProxyLoop>) { self.loops = loops }

    /// Starts a tap. Requests that start after the loops heard of it, moments later, are seen.
    package func subscribe(_ interest: TapInterest, wake: @escaping @Sendable () -> Void) -> TapSubscription {
        state.withLock { state in
            let subscription = TapSubscription(base: state.nextBase, interest: interest, wake: wake)
            state.nextBase &+= 1
            state.subscriptions.append(subscription)
            publish(state.subscriptions)
            return subscription
        }
    }

    /// Ends a tap: nothing new is shown to it. Requests it saw begin go on to their ends.
    package func unsubscribe(_ subscription: TapSubscription) {
        state.withLock { state in
            guard let index = state.subscriptions.firstIndex(where: { $0 === subscription }) else { return }
            state.subscriptions.remove(at: index)
            publish(state.subscriptions)
        }
    }

    /// Taps that run.
    package var count: Int { state.withLock { $0.subscriptions.count } }

    /// Under the lock, so that every loop sees the snapshots in the same order.
    private func publish(_ subscriptions: [TapSubscription]) {
        loops.execute { $0.taps.replace(subscriptions) }
    }
}
