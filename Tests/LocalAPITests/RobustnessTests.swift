import Foundation
import LocalAPI
import Logging
import MeshModel
import NIOCore
import NIOPosix
import Testing

/// What goes wrong around the server must not take it down.
@Suite("Robustness", .timeLimit(.minutes(2))) struct RobustnessTests {
    private static let maps = "/api/v1/namespaces/default/configmaps"

    @Test("A body that is too large is refused, and the server goes on")
    func oversizedBodies() async throws {
        try await TestCluster.run { cluster in
            let text = String(repeating: "x", count: 4 << 20)
            let answer = try await cluster.call(
                .POST, Self.maps, ["metadata": ["name": "big"], "data": ["a": .string(text)]])
            #expect(answer.status == 413)
            #expect(try await cluster.call(.GET, Self.maps).status == 200)
        }
    }

    static let bodies: [(type: String, body: String, status: Int)] = [
        ("application/json", "{\"metadata\":", 400), ("application/json", "[1]", 400),
        ("application/json", "", 400),
        ("application/json", String(repeating: "[", count: 100_000), 400), ("application/yaml", "a: [b", 400),
        ("application/yaml", "metadata: {name: yaml}\ndata: {n: \"5\"}", 201),
        ("application/vnd.kubernetes.protobuf", "k8s", 400), ("image/png", "x", 415),
    ]

    @Test("A body that is not what it says is 400, and of a type nobody reads 415", arguments: bodies)
    func malformedBodies(type: String, body: String, status: Int) async throws {
        try await TestCluster.run { cluster in
            let answer = try await cluster.post(Self.maps, type: type, text: body)
            #expect(answer.status == status)
        }
    }

    @Test("Clients that hang up leave nothing behind")
    func hangUps() async throws {
        try await TestCluster.run { cluster in
            for number in 0..<20 {
                let lines = try await cluster.lines("\(Self.maps)?watch=true&timeoutSeconds=600")
                for try await _ in lines { break }
                let bytes = number % 2 == 0 ? "GET / HT" : "\u{16}\u{3}\u{1}"
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: cluster.port).get()
                try await channel.writeAndFlush(ByteBuffer(string: bytes))
                // The server may have closed it first.
                try? await channel.close()
            }
            #expect(try await cluster.call(.GET, "/readyz").status == 200)
        }
    }

    @Test("A full state refuses changes with 507 and still answers reads")
    func fullDisk() async throws {
        try await TestCluster.run(configure: { $0.stateBytesMax = 1 << 20 }) { cluster in
            let text = String(repeating: "y", count: 100_000)
            var statuses: [Int] = []
            for number in 0..<30 {
                let map: JSONValue = [
                    "metadata": ["name": .string("m\(number)")], "data": ["a": .string(text)],
                ]
                statuses.append(try await cluster.call(.POST, Self.maps, map).status)
            }
            #expect(statuses.first == 201)
            #expect(statuses.last == 507)
            #expect(try await cluster.call(.GET, Self.maps).status == 200)
            #expect(try await cluster.call(.GET, Self.maps + "/m0").status == 200)
        }
    }

    @Test("Events that are an hour old go, newer ones stay")
    func oldEvents() async throws {
        try await TestCluster.run { cluster in
            for (name, time) in [("old", "2020-01-01T00:00:00Z"), ("new", "2999-01-01T00:00:00Z")] {
                let event: JSONValue = [
                    "metadata": ["name": .string(name)], "involvedObject": ["kind": "Pod", "name": "web"],
                    "lastTimestamp": .string(time),
                ]
                _ = try await cluster.call(.POST, "/api/v1/namespaces/default/events", event)
            }
            // Both were created just now; what counts is when they were last seen.
            #expect(try await cluster.server.sweep() == 1)
            let left = try await cluster.call(.GET, "/api/v1/events").json["items"]?.arrayValue ?? []
            #expect(left.compactMap { $0.value(at: ["metadata", "name"]) } == ["new"])
        }
    }

    @Test("Objects survive a restart, numbers go on; a damaged file is set aside and a fresh one is made")
    func restarts() async throws {
        let directory = TestCluster.temporaryDirectory()
        defer { TestCluster.remove(directory) }
        let before = try await TestCluster.run(directory: directory) { cluster in
            _ = try await cluster.call(.POST, Self.maps, ["metadata": ["name": "kept"]])
            return try await cluster.call(.GET, Self.maps).json
        }
        let after = try await TestCluster.run(directory: directory) { cluster in
            try await cluster.call(.GET, Self.maps).json
        }
        #expect(after["items"] == before["items"])
        #expect(after["metadata"] == before["metadata"])
        try Data(repeating: 0x5A, count: 8_192).write(to: URL(fileURLWithPath: directory + "/state.db"))
        try await TestCluster.run(directory: directory) { cluster in
            let kept = try await cluster.call(.GET, Self.maps + "/kept")
            #expect(kept.status == 404)
            let new = try await cluster.call(.POST, Self.maps, ["metadata": ["name": "new"]])
            #expect(new.status == 201)
        }
        #expect(FileManager.default.fileExists(atPath: directory + "/state.db.corrupt-1"))
    }

    @Test("pods/proxy and services/proxy pass requests on")
    func proxies() async throws {
        try await TestCluster.run { cluster in
            let pods = "/api/v1/namespaces/default/pods"
            _ = try await cluster.call(.POST, pods, TestCluster.pod("web"))
            let patch: JSONValue = ["status": ["phase": "Running", "podIP": "127.0.0.1"]]
            _ = try await cluster.call(.PATCH, pods + "/web/status", patch, type: PatchTests.merge)
            // Any HTTP server will do: a plain one that always answers the same.
            let server = try await PlainServer()
            let answer = try await cluster.call(.GET, "\(pods)/web:\(server.port)/proxy/some/path?x=1")
            #expect(answer.status == 200)
            #expect(answer.text == "GET /some/path?x=1 HTTP/1.1")
            try await server.close()
            #expect(try await cluster.call(.GET, "\(pods)/web:\(server.port)/proxy/").status == 503)
            #expect(
                try await cluster.call(.GET, "/api/v1/namespaces/default/services/none/proxy/").status == 404)
        }
    }
}

/// Answers every request with its own first line.
private final class PlainServer: Sendable {
    private let listener: any Channel
    var port: Int { listener.localAddress?.port ?? 0 }

    init() async throws {
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FirstLineHandler())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func close() async throws { try await listener.close() }
}

private final class FirstLineHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let line =
            String(buffer: Self.unwrapInboundIn(data)).split(separator: "\r\n").first.map(String.init) ?? ""
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Length: \(line.utf8.count)\r\nConnection: close\r\n\r\n\(line)"
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
    }
}
