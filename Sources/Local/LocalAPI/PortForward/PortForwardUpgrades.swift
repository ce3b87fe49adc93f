import MeshWebSocket
import NIOCore
import NIOHTTP1

/// The upgrades that lead to port-forwarding; a refused one goes on as plain HTTP and gets its Status there.
struct PortForwardUpgrades: Sendable {
    let gate: PortForwardGate

    var all: [any NIOTypedHTTPServerProtocolUpgrader<Listener.Connection>] {
        [webSocket, SPDYUpgrader(gate: gate)]
    }

    private var webSocket: any NIOTypedHTTPServerProtocolUpgrader<Listener.Connection> {
        WebSocketServer.upgrader(
            accept: { channel, head in
                channel.eventLoop.makeFutureWithTask { try await accept(channel, head) }
            },
            upgraded: { head, stream in .webSocket(stream, head) })
    }

    /// The headers of the answer; `nil` refuses.
    private func accept(_ channel: any Channel, _ head: HTTPRequestHead) async throws -> HTTPHeaders? {
        guard let target = PortForwardTarget(head),
            let chosen = Self.choose(WebSocketServer.offeredProtocols(head.headers)),
            chosen == PortForwardProtocol.tunnel || !target.ports.isEmpty
        else { return nil }
        do {
            try await gate.admit(target, headers: head.headers, certificate: ClientCertificate.of(channel))
        } catch is StatusError {
            return nil  // The plain request that follows is refused for the same reason, and says it.
        }
        return ["Sec-WebSocket-Protocol": chosen]
    }

    private static func choose(_ offered: [String]) -> String? {
        offered.first { $0 == PortForwardProtocol.tunnel || $0 == PortForwardProtocol.channels }
    }
}

/// The raw upgrade to SPDY/3.1.
private struct SPDYUpgrader: NIOTypedHTTPServerProtocolUpgrader {
    let gate: PortForwardGate

    let supportedProtocol = "SPDY/3.1"
    let requiredUpgradeHeaders: [String] = []

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        channel.eventLoop.makeFutureWithTask {
            guard let target = PortForwardTarget(upgradeRequest) else { throw StatusError.unknownPath }
            try await gate.admit(
                target, headers: upgradeRequest.headers, certificate: ClientCertificate.of(channel))
            var headers = initialResponseHeaders
            headers.add(name: "X-Stream-Protocol-Version", value: PortForwardProtocol.spdy)
            return headers
        }
    }

    func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Listener.Connection> {
        channel.eventLoop.makeCompletedFuture {
            .spdy(try NIOAsyncChannel(wrappingChannelSynchronously: channel), upgradeRequest)
        }
    }
}

/// Serves upgraded connections.
struct PortForwardServer: Sendable {
    let gate: PortForwardGate

    private var node: NodeSocket { NodeSocket(path: gate.router.cluster.config.stateDirectory + "/run/node.sock") }

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
