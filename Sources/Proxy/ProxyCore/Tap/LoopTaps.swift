import NIOCore

/// The taps of one event loop: a snapshot that the hub replaces. Bound to its loop.
package final class LoopTaps {
    /// Whether anybody taps: all that a request costs otherwise is to ask this.
    package private(set) var isTapped = false
    private var subscriptions: [TapSubscription] = []
    private var request = TapRequest()
    private let scratch = TapScratch()

    package init() {}

    /// Replaces the snapshot.
    func replace(_ next: [TapSubscription]) {
        subscriptions = next
        isTapped = !next.isEmpty
    }

    /// Looks at a request that is about to be sent to its endpoint.
    ///
    /// - Parameters:
    ///   - flow: where it comes from and goes to.
    ///   - fill: writes the request's parts.
    ///   - fields: its headers, asked for when a tap that takes it wants them.
    /// - Returns: `nil` when no tap takes it.
    package func begin(
        on flow: TapFlow, fill: (inout TapRequest) -> Void, fields: () -> TapFields
    ) -> TapExchange? {
        request.begin()
        fill(&request)
        defer { request.end() }
        var now: UInt64 = 0
        var takers: [TapExchange.Taker] = []
        for subscription in subscriptions where subscription.interest.match.matches(request, on: flow) {
            if now == 0 { now = NIODeadline.now().uptimeNanoseconds }
            guard let stream = subscription.admit(atNanoseconds: now) else { continue }
            takers.append(TapExchange.Taker(subscription: subscription, stream: stream))
        }
        guard !takers.isEmpty else { return nil }
        let exchange = TapExchange(flow: flow, takers: takers, startedAt: now, scratch: scratch)
        exchange.began(request, fields: exchange.wantsHeaders ? fields() : nil)
        return exchange
    }
}
