// The exchanges of one proxy's stream that are under way: what waits for the filter's word, and what was shown
// and has not ended. Pure. One table for each stream; an id means nothing beyond it.

package import MeshAPI

/// Follows exchanges from the request's head to the response's end.
package struct ExchangeTable: Sendable {
    package typealias Event = Io_Linkerd_Proxy_Tap_TapEvent

    /// Exchanges that may wait for the filter at once; one more pushes out the oldest, which counts as dropped.
    package static let waitingMax = 10_000

    /// Decided exchanges that the order may hold besides twice the waiting ones.
    package static let slack = 1_024

    /// Exchanges remembered in their order, decided ones included.
    package var orderCount: Int { order.count }

    private enum State {
        /// Shown from the start, or since the filter said so.
        case shown
        /// The filter cannot tell yet.
        case waiting(Exchange, [Event])
        /// The filter said no: the rest is not for the caller.
        case filtered
    }

    private let filter: ResponseFilter
    private var states: [UInt64: State] = [:]
    /// Waiting exchanges in the order they began; ended ones are skipped when met.
    private var order: [UInt64] = []
    private var firstInOrder = 0
    private var waitingCount = 0
    /// Exchanges shown whose end is still to come.
    package private(set) var openCount = 0
    /// Exchanges that did not pass.
    package private(set) var filteredCount: UInt64 = 0
    /// Exchanges given up because too many waited.
    package private(set) var droppedCount: UInt64 = 0

    package init(_ filter: ResponseFilter) { self.filter = filter }

    /// Takes one event.
    /// - Returns: what the caller is shown now, in order: this event, those that waited with it, or none.
    package mutating func take(_ event: Event) -> [Event] {
        guard let (stream, isBegin, isEnd) = Self.place(event) else { return [] }
        if isBegin { return began(stream, event) }
        switch states[stream] {
        case .shown:
            if isEnd { close(stream) }
            return [event]
        case .filtered:
            if isEnd { states[stream] = nil }
            return []
        case .waiting(var exchange, var events):
            exchange.take(event)
            events.append(event)
            return decide(stream, exchange, events, isEnd: isEnd)
        case nil: return []  // Its beginning was lost, which the proxy counted.
        }
    }

    private mutating func began(_ stream: UInt64, _ event: Event) -> [Event] {
        guard !filter.isEmpty else {
            states[stream] = .shown
            openCount += 1
            return [event]
        }
        var exchange = Exchange()
        exchange.take(event)
        waitingCount += 1
        let shown = decide(stream, exchange, [event], isEnd: false)
        if case .waiting? = states[stream] {
            order.append(stream)
            evictOldest()
            if order.count - firstInOrder > 2 * waitingCount + Self.slack { forgetDecided() }
        }
        return shown
    }

    /// Leaves out what does not wait any more: without it the list would grow for as long as the tap lives.
    private mutating func forgetDecided() {
        order = order[firstInOrder...].filter { stream in
            if case .waiting? = states[stream] { true } else { false }
        }
        firstInOrder = 0
    }

    private mutating func decide(
        _ stream: UInt64, _ exchange: Exchange, _ events: [Event], isEnd: Bool
    ) -> [Event] {
        switch filter.verdict(exchange) {
        case .undecided where !isEnd:
            states[stream] = .waiting(exchange, events)
            return []
        case .pass:
            waitingCount -= 1
            states[stream] = isEnd ? nil : .shown
            if !isEnd { openCount += 1 }
            return events
        case .fail, .undecided:
            waitingCount -= 1
            filteredCount += 1
            states[stream] = isEnd ? nil : .filtered
            return []
        }
    }

    /// The caller is not shown an exchange after all: the rate is used up. The rest of it is skipped.
    package mutating func suppress(_ stream: UInt64) {
        guard case .shown? = states[stream] else { return }
        states[stream] = .filtered
        openCount -= 1
    }

    private mutating func close(_ stream: UInt64) {
        states[stream] = nil
        openCount -= 1
    }

    private mutating func evictOldest() {
        while waitingCount > Self.waitingMax, firstInOrder < order.count {
            let oldest = order[firstInOrder]
            firstInOrder += 1
            guard case .waiting? = states[oldest] else { continue }
            states[oldest] = .filtered
            waitingCount -= 1
            droppedCount += 1
        }
        if firstInOrder > Self.waitingMax {
            order.removeFirst(firstInOrder)
            firstInOrder = 0
        }
    }

    private static func place(_ event: Event) -> (stream: UInt64, isBegin: Bool, isEnd: Bool)? {
        switch event.http.event {
        case .requestInit(let part): (part.id.stream, true, false)
        case .responseInit(let part): (part.id.stream, false, false)
        case .responseEnd(let part): (part.id.stream, false, true)
        case nil: nil
        }
    }
}
