import MeshHTTP2
import MeshWire
import NIOCore

/// The HTTP/2 connections of one endpoint on one event loop.
///  One connection is the rule. Only when the endpoint's own limit on streams is reached is another opened,
/// up to `connectionsMax`; past that, requests wait inside the sessions, up to `waitingMax` for each
/// connection, and then they are refused.
final class HTTP2Upstream: EndpointClient {
    static let connectionsMax = 8
    static let waitingMax = 1_024

    private let limits: HTTP2Limits
    private let memory: HTTP2Memory
    /// Where heads of carried requests are built.
    let scratch = HTTP2Headers(byteCapacity: 512, fieldCapacity: 16)
    private var connections: [HTTP2ClientHandler] = []
    private var isRetired = false
    /// What the endpoint last allowed: its next connection starts from there.
    private var streamsMax = SessionLimits().assumedPeerStreamsMax

    init(limits: HTTP2Limits, memory: HTTP2Memory) {
        self.limits = limits
        self.memory = memory
    }

    deinit {
        for connection in connections { connection.retire() }
    }

    /// The upstream of `endpoint`, made when it is first asked for.
    static func of(_ endpoint: EndpointHandle, limits: HTTP2Limits, memory: HTTP2Memory) -> HTTP2Upstream {
        if let known = endpoint.http2 as? HTTP2Upstream { return known }
        let made = HTTP2Upstream(limits: limits, memory: memory)
        endpoint.http2 = made
        return made
    }

    /// A connection that takes one more request, opened if need be; nil when too many wait already.
    func connection(to endpoint: EndpointHandle) -> HTTP2ClientHandler? {
        guard !isRetired else { return nil }
        for connection in connections
        where connection.takesRequests && connection.openCount < connection.streamsMax {
            return connection
        }
        if connections.count < Self.connectionsMax { return open(endpoint) }
        guard
            let least = connections.filter(\.takesRequests).min(by: { $0.openCount < $1.openCount }),
            least.openCount < least.streamsMax + Self.waitingMax
        else { return nil }
        return least
    }

    func retire() {
        isRetired = true
        for connection in connections { connection.retire() }
    }

    private func open(_ endpoint: EndpointHandle) -> HTTP2ClientHandler {
        let connection = HTTP2ClientHandler(
            limits: limits, streamsMax: streamsMax, transport: endpoint.transport, owner: self,
            keepAlive: endpoint.keepAlive.map {
                HTTP2KeepAlive(interval: $0.interval, timeout: $0.timeout, isWhileIdle: $0.isWhileIdle)
            },
            memory: memory)
        connections.append(connection)
        let connected = endpoint.connect(carrying: .http2) { channel in
            try channel.pipeline.syncOperations.addHandler(connection)
        }
        connected.assumeIsolated().whenFailure { error in
            connection.connectFailed(error as? ProxyError ?? ProxyError(.connectFailed, "connect failed"))
        }
        return connection
    }
}

extension HTTP2Upstream: HTTP2ClientOwner {
    func connectionRetired(_ connection: HTTP2ClientHandler) {
        connections.removeAll { $0 === connection }
    }

    func streamsMaxChanged(connection: HTTP2ClientHandler) {
        // Zero would leave the next connection waiting for a word that may never come.
        streamsMax = min(max(1, connection.streamsMax), SessionLimits().assumedPeerStreamsMax)
    }
}
