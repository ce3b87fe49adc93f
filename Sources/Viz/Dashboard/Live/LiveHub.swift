package import Logging
package import MeshModel
import ServiceLifecycle

/// What a live view sends to its viewers.
package enum LiveEvent: Sendable, Equatable {
    /// The whole screen as JSON.
    case view([UInt8])
    /// Why there is nothing new; the screen keeps what it has.
    case problem([UInt8])
    /// Still here, nothing changed.
    case unchanged

    /// The event as a browser's `EventSource` reads it.
    /// Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
    package var frame: [UInt8] {
        switch self {
        case .view(let json): Array("event: view\ndata: ".utf8) + json + Array("\n\n".utf8)
        case .problem(let json): Array("event: problem\ndata: ".utf8) + json + Array("\n\n".utf8)
        case .unchanged: Array(": unchanged\n\n".utf8)
        }
    }
}

/// Asks each distinct view upstream once per period, however many people look at it.
///
/// A view is asked only while someone looks. A viewer that reads slowly gets the newest state and misses
/// those between. Beyond the limits, a new viewer is turned away; nobody who is inside loses anything.
package actor LiveHub: Service {
    /// Distinct views at a time; each costs its upstream queries every period.
    package static let viewsMax = 64
    /// Viewers at a time over all views; each costs a connection.
    package static let viewersMax = 512

    /// One viewer's seat.
    package struct Viewer: Sendable {
        let id: UInt64
        let query: ViewQuery
        /// The events to show, newest only.
        package let events: AsyncStream<LiveEvent>
    }

    private struct Audience {
        var seats: [UInt64: AsyncStream<LiveEvent>.Continuation] = [:]
        var last: LiveEvent?
    }

    private let composer: ViewComposer
    private let period: Duration
    private let logger: Logger
    private var audiences: [ViewQuery: Audience] = [:]
    private var nextID: UInt64 = 0
    private var isOpen = true
    private let starts: AsyncStream<ViewQuery>
    private let startsContinuation: AsyncStream<ViewQuery>.Continuation

    /// A hub that asks through `composer` every `period`.
    package init(composer: ViewComposer, period: Duration, logger: Logger) {
        self.composer = composer
        self.period = period
        self.logger = logger
        (starts, startsContinuation) = AsyncStream.makeStream(
            of: ViewQuery.self, bufferingPolicy: .bufferingNewest(Self.viewsMax))
    }

    /// Serves the audiences until cancelled or shut down; then every viewer's stream ends.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await query in starts.cancelOnGracefulShutdown() {
                group.addTask { await self.serve(query) }
            }
            group.cancelAll()
        }
        isOpen = false
        for audience in audiences.values { audience.seats.values.forEach { $0.finish() } }
        audiences = [:]
    }

    /// Number of people looking, over all views.
    package var viewerCount: Int { audiences.values.reduce(0) { $0 + $1.seats.count } }
    /// Number of distinct views being asked.
    package var viewCount: Int { audiences.count }

    /// Whether one more viewer of `query` fits.
    package func checkCapacity(for query: ViewQuery) throws(DashboardError) {
        guard isOpen else { throw DashboardError(.upstreamUnavailable, "the dashboard is shutting down") }
        guard viewerCount < Self.viewersMax, audiences[query] != nil || audiences.count < Self.viewsMax else {
            throw DashboardError(.tooManyViewers, "too many live views are open; close some pages and reload")
        }
    }

    /// Takes a seat; give it back with `leave`.
    package func join(_ query: ViewQuery) throws(DashboardError) -> Viewer {
        try checkCapacity(for: query)
        nextID += 1
        let (stream, continuation) = AsyncStream.makeStream(
            of: LiveEvent.self, bufferingPolicy: .bufferingNewest(1))
        let isFirst = audiences[query] == nil
        audiences[query, default: Audience()].seats[nextID] = continuation
        if let last = audiences[query]?.last { continuation.yield(last) }
        if isFirst { startsContinuation.yield(query) }
        return Viewer(id: nextID, query: query, events: stream)
    }

    /// Gives the seat back; the view is asked no more once the last one left.
    package func leave(_ viewer: Viewer) {
        audiences[viewer.query]?.seats.removeValue(forKey: viewer.id)?.finish()
    }

    private func serve(_ query: ViewQuery) async {
        while !Task.isCancelled, let audience = audiences[query], !audience.seats.isEmpty {
            publish(await ask(query), to: query)
            try? await Task.sleep(for: period)
        }
        // Nothing suspends between the check above and this line, so nobody can have joined meanwhile.
        if let audience = audiences.removeValue(forKey: query) {
            audience.seats.values.forEach { $0.finish() }
        }
    }

    private func ask(_ query: ViewQuery) async -> LiveEvent {
        do {
            return .view(try await composer.document(query).serialized())
        } catch {
            let problem = DashboardError(explaining: error)
            logger.debug("Live view failed", metadata: ["kind": "\(problem.kind.rawValue)"])
            return .problem(problem.json.serialized())
        }
    }

    private func publish(_ event: LiveEvent, to query: ViewQuery) {
        let shown = audiences[query]?.last == event ? .unchanged : event
        audiences[query]?.last = event
        for seat in audiences[query]?.seats.values.map({ $0 }) ?? [] { seat.yield(shown) }
    }
}

extension DashboardError {
    /// The error as a reader sees it; whatever we did not foresee is an upstream failure.
    package init(explaining error: any Error) {
        self = (error as? DashboardError) ?? DashboardError(.upstream, String(describing: error))
    }

    /// `{"error": …}`.
    package var json: JSONValue { ["error": .string(message), "kind": .string(kind.rawValue)] }
}
