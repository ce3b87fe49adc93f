import MeshWebSocket
import NIOCore
import NIOHTTP1

/// The upgrades that lead to port-forwarding. `isGranted` is asked first; the upgraders then never refuse.
struct PortForwardUpgrades: Sendable {
    let gate: PortForwardGate

    var upgraders: [any NIOTypedHTTPServerProtocolUpgrader<Listener.Connection>] {
        [webSocket, SPDYUpgrader()]
    }

    /// Whether the request may become a port-forward. A refused one is answered as the plain request it is.
    func isGranted(_ channel: any Channel, _ head: HTTPRequestHead) async throws -> Bool {
        guard let target = PortForwardTarget(head) else { return false }
        if head.headers[canonicalForm: "Upgrade"].contains(where: { $0.lowercased() == "websocket" }) {
            guard let chosen = Self.choose(head.headers) else { return false }
            if chosen == PortForwardProtocol.channels, target.ports.isEmpty { return false }
        }
        try await gate.admit(target, head: head, certificate: ClientCertificate.of(channel))
        return true
    }

    private var webSocket: any NIOTypedHTTPServerProtocolUpgrader<Listener.Connection> {
        WebSocketServer.upgrader(
            accept: { channel, head in
                let headers = Self.choose(head.headers).map { HTTPHeaders([("Sec-WebSocket-Protocol", $0)]) }
                return channel.eventLoop.makeSucceededFuture(headers)
            },
            upgraded: { head, stream in .webSocket(stream, head) })
    }

    private static func choose(_ headers: HTTPHeaders) -> String? {
        WebSocketServer.offeredProtocols(headers).first {
            $0 == PortForwardProtocol.tunnel || $0 == PortForwardProtocol.channels
        }
    }
}

/// The raw upgrade to SPDY/3.1.
private struct SPDYUpgrader: NIOTypedHTTPServerProtocolUpgrader {
    let supportedProtocol = "SPDY/3.1"
    let requiredUpgradeHeaders: [String] = []

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        var headers = initialResponseHeaders
        headers.add(name: "X-Stream-Protocol-Version", value: PortForwardProtocol.spdy)
        return channel.eventLoop.makeSucceededFuture(headers)
    }

    func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<
        Listener.Connection
    > {
        channel.eventLoop.makeCompletedFuture {
            .spdy(try NIOAsyncChannel(wrappingChannelSynchronously: channel), upgradeRequest)
        }
    }
}

/// Serves upgraded connections.
struct PortForwardServer: Sendable {
    let gate: PortForwardGate

    private var node: NodeSocket {
        NodeSocket(path: gate.router.cluster.config.stateDirectory + "/run/node.sock")
    }

    /// Serves SPDY over the connection itself.
    func serve(_ stream: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ head: HTTPRequestHead) async throws {
        try await stream.executeThenClose { inbound, outbound in
            guard let forwarding = try await spdy(head) else { return }
            try await forwarding.run(inbound) { try await outbound.write($0) }
        }
    }

    /// Serves a WebSocket by the sub-protocol that was agreed on.
    func serve(_ stream: WebSocketStream, _ head: HTTPRequestHead) async throws {
        try await stream.executeThenClose { inbound, outbound in
            if WebSocketServer.offeredProtocols(head.headers).contains(PortForwardProtocol.tunnel) {
                guard let forwarding = try await spdy(head) else { return }
                try await forwarding.run(inbound.map(\.payload)) { try await outbound.write(.binary($0)) }
            } else if let target = PortForwardTarget(head) {
                let uid = try await gate.podUID(target)
                let forwarding = ChannelForwarding(podUID: uid, ports: target.ports, node: node)
                try await forwarding.run(inbound, outbound)
            }
        }
    }

    private func spdy(_ head: HTTPRequestHead) async throws -> SPDYForwarding? {
        guard let target = PortForwardTarget(head) else { return nil }
        return SPDYForwarding(podUID: try await gate.podUID(target), node: node, logger: gate.router.logger)
    }
}
