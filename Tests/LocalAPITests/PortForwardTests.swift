import Foundation
import LocalAPI
import Logging
import MeshModel
import MeshWebSocket
import NIOCore
import NIOPosix
import Testing

/// Port-forwarding through the server, as our own CLI does it.
@Suite("Port-forward", .timeLimit(.minutes(2))) struct PortForwardTests {
    private static let path = "/api/v1/namespaces/default/pods"

    /// A server with a running pod `web` and a node that echoes.
    private static func withRunningPod(
        greeting: String = "",
        _ body: @escaping @Sendable (TestCluster, WebSocketServerAddress) async throws -> Void
    ) async throws {
        try await TestCluster.run { cluster in
            let node = try await FakeNode(stateDirectory: cluster.directory, greeting: greeting)
            _ = try await cluster.call(.POST, path, TestCluster.pod("web"))
            let patch: JSONValue = ["status": ["phase": "Running"]]
            _ = try await cluster.call(.PATCH, path + "/web/status", patch, type: PatchTests.merge)
            func read(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
            let server = WebSocketServerAddress(
                url: cluster.url, caPEM: try read(cluster.pki.authority.certificatePath),
                clientCertificatePEM: try read(cluster.pki.admin.certificatePath),
                clientKeyPEM: try read(cluster.pki.admin.keyPath))
            try await body(cluster, server)
            try await node.close()
        }
    }

    private static func forward(
        _ server: WebSocketServerAddress, pod: String = "web", port: Int = 8080
    ) async throws -> PortForwarder {
        try await PortForwarder.listen(
            server: server, localPort: 0, namespace: "default", pod: pod, port: port,
            logger: Logger(label: "test"))
    }

    /// Sends bytes to a local port and reads as many back, or until the other side closes.
    private static func exchange(_ port: Int, send: [UInt8], expect count: Int) async throws -> [UInt8] {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            async let writing: Void = outbound.write(ByteBuffer(bytes: send))
            var received: [UInt8] = []
            do {
                for try await piece in inbound {
                    received += piece.readableBytesView
                    if received.count >= count { break }
                }
            } catch let error as IOError where error.errnoCode == ECONNRESET {
                // Closed with our bytes unread: the same as closed.
            }
            // A server that closed first makes the write fail; what came back tells.
            try? await writing
            return received
        }
    }

    @Test("Bytes come through unchanged, and several connections do not mix")
    func echoes() async throws {
        try await Self.withRunningPod { _, server in
            let forwarder = try await Self.forward(server)
            let big = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            #expect(try await Self.exchange(forwarder.localPort, send: big, expect: big.count) == big)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let bytes = Array(repeating: UInt8(number), count: 50_000)
                        return try await Self.exchange(forwarder.localPort, send: bytes, expect: 50_000)
                            == bytes
                    }
                }
                for try await isEqual in group { #expect(isEqual) }
            }
            await forwarder.close()
        }
    }

    @Test("A server that speaks first is heard")
    func greets() async throws {
        try await Self.withRunningPod(greeting: "hello") { _, server in
            let forwarder = try await Self.forward(server)
            #expect(try await Self.exchange(forwarder.localPort, send: [], expect: 5) == Array("hello".utf8))
            await forwarder.close()
        }
    }

    @Test(
        "A refused port, and a pod that is not there, close the connection",
        arguments: [("web", 1), ("none", 8080)])
    func refuses(pod: String, port: Int) async throws {
        try await Self.withRunningPod { _, server in
            let forwarder = try await Self.forward(server, pod: pod, port: port)
            #expect(try await Self.exchange(forwarder.localPort, send: [1], expect: 1) == [])
            try await eventually("no connection is left open") { forwarder.connectionCount == 0 }
            await forwarder.close()
        }
    }

    @Test("A refused upgrade gets the Status it would get as a plain request")
    func refusedUpgrades() async throws {
        try await Self.withRunningPod { cluster, server in
            let client = try WebSocketClient(server)
            await #expect(throws: WebSocketError.self) {
                _ = try await client.connect(
                    path: Self.path + "/none/portforward?ports=80", subprotocols: ["v4.channel.k8s.io"])
            }
            let upgrade = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
            let exec = try await cluster.call(.POST, Self.path + "/web/exec?command=ls", headers: upgrade)
            #expect(exec.status == 501)
            var stranger = server
            (stranger.clientCertificatePEM, stranger.clientKeyPEM) = (nil, nil)
            let anonymous = try WebSocketClient(stranger)
            do {
                _ = try await anonymous.connect(
                    path: Self.path + "/web/portforward?ports=80", subprotocols: ["v4.channel.k8s.io"])
                Issue.record("an anonymous port-forward was let in")
            } catch let error as WebSocketError { #expect(error.status == 401) }
        }
    }
}
