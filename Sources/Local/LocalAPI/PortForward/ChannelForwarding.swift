// `v4.channel.k8s.io`: each port has two channels, data and errors. The first message on each from the
// server carries the port; the first byte of every message says which channel it belongs to.

import MeshWebSocket
import NIOCore

/// Serves one WebSocket connection of that kind.
struct ChannelForwarding: Sendable {
    /// Ports of one connection; a channel's number is one byte.
    static let portsMax = 64

    let podUID: String
    let ports: [Int]
    let node: NodeSocket

    /// Runs until the client leaves, or every port's connection is over.
    func run(
        _ inbound: NIOAsyncChannelInboundStream<WebSocketMessage>,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketMessage>
    ) async throws {
        let ports = ports.prefix(Self.portsMax)
        let pipes = ports.map { _ in BytePipe() }
        for (index, port) in ports.enumerated() {
            for channel in [2 * index, 2 * index + 1] {
                let announced = ByteBuffer(bytes: [
                    UInt8(channel), UInt8(port & 0xFF), UInt8(port >> 8 & 0xFF),
                ])
                try await outbound.write(.binary(announced))
            }
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for try await message in inbound { await Self.dispatch(message.payload, to: pipes) }
                return true
            }
            for (index, port) in ports.enumerated() {
                group.addTask {
                    await tunnel(index, port, pipes[index], outbound)
                    return false
                }
            }
            var open = ports.count
            while open > 0, let clientLeft = try await group.next(), !clientLeft { open -= 1 }
            group.cancelAll()
        }
    }

    private static func dispatch(_ payload: ByteBuffer, to pipes: [BytePipe]) async {
        var payload = payload
        guard let channel = payload.readInteger(as: UInt8.self), channel % 2 == 0, payload.readableBytes > 0,
            pipes.indices.contains(Int(channel) / 2)
        else { return }
        await pipes[Int(channel) / 2].send(payload)
    }

    private func tunnel(
        _ index: Int, _ port: Int, _ pipe: BytePipe,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketMessage>
    ) async {
        let tunnel = PodTunnel(node: node, podUID: podUID, port: port)
        do {
            try await tunnel.run(from: pipe) { bytes in
                try await outbound.write(.binary(Self.message(channel: 2 * index, bytes)))
            }
        } catch {
            let text = (error as? StatusError)?.message ?? "\(error)"
            let report = ByteBuffer(string: "error forwarding port \(port): \(text)")
            // A client that has gone needs no report.
            try? await outbound.write(.binary(Self.message(channel: 2 * index + 1, report)))
        }
    }

    private static func message(channel: Int, _ bytes: ByteBuffer) -> ByteBuffer {
        var message = ByteBuffer()
        message.reserveCapacity(bytes.readableBytes + 1)
        message.writeInteger(UInt8(truncatingIfNeeded: channel))
        message.writeImmutableBuffer(bytes)
        return message
    }
}
