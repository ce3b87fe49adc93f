import NIOCore

/// Idle HTTP/1 connections to one endpoint on one loop; the youngest is used first, so the rest can go.
package final class HTTP1Pool {
    private struct Idle {
        let connection: HTTP1ClientHandler
        let since: NIODeadline
    }

    private var idle: [Idle] = []
    private let idleTimeout: TimeAmount
    private let idleMax: Int
    private let loop: any EventLoop
    private var sweep: Scheduled<Void>?
    private var isRetired = false

    init(idleTimeout: TimeAmount, idleMax: Int, loop: any EventLoop) {
        self.idleTimeout = idleTimeout
        self.idleMax = idleMax
        self.loop = loop
    }

    /// How many connections wait for work.
    package var idleCount: Int { idle.count }

    /// Takes the connection that was used last.
    func take() -> HTTP1ClientHandler? {
        idle.popLast()?.connection
    }

    /// Keeps a connection for later, or closes it when the pool is full or retired.
    func put(_ connection: HTTP1ClientHandler) {
        guard !isRetired, idle.count < idleMax else {
            connection.close()
            return
        }
        idle.append(Idle(connection: connection, since: .now()))
        if sweep == nil { scheduleSweep(in: idleTimeout) }
    }

    /// Forgets a connection that closed while idle.
    func remove(_ connection: HTTP1ClientHandler) {
        if let index = idle.lastIndex(where: { $0.connection === connection }) { idle.remove(at: index) }
    }

    /// Closes what is idle; what is busy closes when it comes back.
    func retire() {
        isRetired = true
        sweep?.cancel()
        sweep = nil
        let closing = idle
        idle.removeAll()
        for entry in closing { entry.connection.close() }
    }

    // One timer for the pool, not one for each connection: putting and taking stays free of timers.
    private func scheduleSweep(in delay: TimeAmount) {
        sweep = loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in self?.closeExpired() }
    }

    private func closeExpired() {
        sweep = nil
        let oldest = NIODeadline.now() - idleTimeout
        let expired = idle.prefix { $0.since <= oldest }
        idle.removeFirst(expired.count)
        for entry in expired { entry.connection.close() }
        if let next = idle.first {
            scheduleSweep(in: max(.milliseconds(10), next.since + idleTimeout - .now()))
        }
    }
}
