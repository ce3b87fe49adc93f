// Finishing work before exit, as one event loop sees it.

package import MeshHTTP2
package import NIOCore

/// A connection that can be asked to finish.
package protocol DrainableConnection: AnyObject {
    /// Start nothing new, finish what runs, then close. Called once, on the loop; HTTP/1 answers with
    /// `connection: close`, HTTP/2 sends GOAWAY, an idle connection closes at once.
    func beginDrain()
}

/// The accepted connections of one loop, and whether they are draining. Bound to its loop.
package final class DrainState {
    /// Whether the process is on its way out. A connection registered later is told at once.
    package private(set) var isDraining = false
    private var connections: [ObjectIdentifier: any DrainableConnection] = [:]
    private var emptied: EventLoopPromise<Void>?
    private let loop: any EventLoop
    /// What the HTTP/2 sessions of this loop's connections share. It lies here because this is the one thing that
    /// every accepted connection gets from its loop.
    package let http2Memory = HTTP2Memory()
    /// What these connections may keep of their requests, together.
    package let replays: ReplayBudget
    let requestCopies: RequestCopies
    private var isTrimDue = false

    /// How often the memory of quiet HTTP/2 connections is given back, while there are more than a few of them.
    private static let trimInterval = TimeAmount.seconds(2)
    /// Between two parts of one round: nothing waits for long, however many connections there are.
    private static let trimPause = TimeAmount.milliseconds(100)
    private static let trimmedPagesMin = 32

    package init(loop: any EventLoop, replays: ReplayBudget = ReplayBudget()) {
        self.loop = loop
        self.replays = replays
        requestCopies = RequestCopies(replays: replays)
    }

    /// How many accepted connections are open.
    package var openCount: Int { connections.count }

    /// Registers a connection from `handlerAdded`; it is kept until `remove`.
    package func add(_ connection: any DrainableConnection) {
        connections[ObjectIdentifier(connection)] = connection
        if isDraining { connection.beginDrain() }
        trimLater(in: Self.trimInterval)
    }

    private func trimLater(in delay: TimeAmount) {
        guard !isTrimDue, http2Memory.heldPageCount >= Self.trimmedPagesMin else { return }
        isTrimDue = true
        loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            guard let self else { return }
            isTrimDue = false
            trimLater(in: http2Memory.trimPages().isWhole ? Self.trimInterval : Self.trimPause)
        }
    }

    /// Forgets a closed connection, from `channelInactive` or `handlerRemoved`. Unknown ones are ignored.
    package func remove(_ connection: any DrainableConnection) {
        connections[ObjectIdentifier(connection)] = nil
        if connections.isEmpty, let emptied {
            self.emptied = nil
            emptied.succeed(())
        }
    }

    /// Asks every connection to finish.
    /// - Returns: completes when the last one is gone.
    package func beginDrain() -> EventLoopFuture<Void> {
        isDraining = true
        for connection in Array(connections.values) { connection.beginDrain() }
        if connections.isEmpty { return loop.makeSucceededVoidFuture() }
        let promise = emptied ?? loop.makePromise(of: Void.self)
        emptied = promise
        return promise.futureResult
    }
}
