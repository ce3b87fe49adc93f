import Logging
import MeshAPI
import MeshBalance
import MeshHTTP2
import MeshTransport
import NIOCore
import NIOPosix
import ProxyCore
import SwiftProtobuf
import Testing

/// A destination service whose answers a test writes. Loop-bound, like everything in `HTTP2Peers`.
final class FakeDestinationServer: @unchecked Sendable {
    /// One stream that a client opened.
    struct Call {
        let peer: HTTP2Peer
        let slot: Int
        let method: String
        let request: Io_Linkerd_Proxy_Destination_GetDestination
    }

    let loop: any EventLoop
    private(set) var calls: [Call] = []
    private(set) var peers: [HTTP2Peer] = []
    private(set) var resets: [HTTP2ErrorCode] = []
    private(set) var openPeers = 0
    /// Called with every call once its request is whole.
    var onCall: (Call, FakeDestinationServer) -> Void = { _, _ in }
    private var bodies: [ObjectIdentifier: [Int: (String, ByteBuffer)]] = [:]

    init(loop: any EventLoop) { self.loop = loop }

    func listen(port: Int = 0) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = HTTP2Peer(.server) { [unowned self] event, peer in handle(event, peer) }
                    self.peers.append(peer)
                    self.openPeers += 1
                    peer.onClose = { [unowned self] in openPeers -= 1 }
                    try channel.pipeline.syncOperations.addHandler(peer)
                }
            }.bind(host: "127.0.0.1", port: port)
    }

    private func handle(_ event: HTTP2Event, _ peer: HTTP2Peer) {
        let key = ObjectIdentifier(peer)
        switch event {
        case .head(let slot, let block, _):
            let path = peer.session.headers.text(of: .path, in: block) ?? ""
            bodies[key, default: [:]][slot] = (path, ByteBuffer())
        case .data(let slot, let chunk):
            var bytes = peer.take(chunk, of: slot)
            bodies[key]?[slot]?.1.writeBuffer(&bytes)
        case .end(let slot):
            guard let (path, body) = bodies[key]?[slot] else { return }
            var reader = GRPCMessageReader()
            reader.append(body)
            let message = (try? reader.next()) ?? ByteBuffer()
            let request = try? Io_Linkerd_Proxy_Destination_GetDestination(
                serializedBytes: Array(message.readableBytesView))
            let call = Call(
                peer: peer, slot: slot, method: String(path.split(separator: "/").last ?? ""),
                request: request ?? .init())
            calls.append(call)
            onCall(call, self)
        case .closed(_, let closure):
            if closure.code != .noError { resets.append(closure.code) }
        default: break
        }
    }
}

extension FakeDestinationServer.Call {
    /// Sends messages, with the head before the first one.
    func send(_ messages: [any Message], isFirst: Bool = true, status: Int? = nil, message: String? = nil) {
        if isFirst {
            let headers = HTTP2Headers()
            peer.session.submitResponse(
                headers.append([(":status", "200"), ("content-type", "application/grpc")]), of: headers,
                isEnd: false,
                on: slot)
        }
        for message in messages {
            guard let bytes: [UInt8] = try? message.serializedBytes() else { continue }
            peer.session.sendBody(GRPCMessageReader.frame(bytes), on: slot)
        }
        if let status {
            peer.sendTrailers(
                [("grpc-status", "\(status)")] + (message.map { [("grpc-message", $0)] } ?? []), on: slot)
        }
        peer.flush()
    }

    /// Answers with a status and nothing else.
    func refuse(_ status: Int, message: String = "") {
        peer.respond(
            slot,
            fields: [
                ("content-type", "application/grpc"), ("grpc-status", "\(status)"), ("grpc-message", message),
            ])
    }
}

/// Updates as they arrive, on the loop.
final class Updates<Value>: @unchecked Sendable {
    var values: [Value] = []
}

@Suite("The proxy's gRPC client", .timeLimit(.minutes(1)))
struct HTTP2GRPCTests {
    private static func run<Result: Sendable>(
        _ body:
            @escaping @Sendable (FakeDestinationServer, DestinationClient, any EventLoop) async throws ->
            Result
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let server = FakeDestinationServer(loop: loop)
        let listener = try await server.listen().get()
        let client = try await DestinationClient.make(
            settings: settings(port: listener.localAddress?.port ?? 0), contextToken: "{\"ns\":\"web\"}",
            loop: loop,
            logger: Logger(label: "test")
        ) { nil }.get()
        let result: Result
        do {
            result = try await body(server, client, loop)
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        client.shutDown()
        try await listener.close()
        try await group.shutdownGracefully()
        return result
    }

    private static func settings(port: Int) -> GRPCSettings {
        let backoff = Backoff(minNanoseconds: 1_000_000, maxNanoseconds: 20_000_000, jitter: 0.1)
        let connect = ConnectSettings(timeout: .seconds(5), backoff: backoff, socket: SocketSettings())
        return GRPCSettings(host: "127.0.0.1", port: port, connect: connect)
    }

    /// Waits until `isTrue` on the loop; false after ten seconds.
    private static func until(
        _ loop: any EventLoop, _ isTrue: @escaping @Sendable () -> Bool
    ) async throws -> Bool {
        let deadline = NIODeadline.now() + .seconds(10)
        while NIODeadline.now() < deadline {
            if try await loop.submit(isTrue).get() { return true }
            try await loop.scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
        }
        return false
    }

    private static func address(_ last: UInt8, port: UInt32 = 8080) -> Io_Linkerd_Proxy_Net_TcpAddress {
        .with {
            $0.ip.ipv4 = 0x0A2A_0000 | UInt32(last)
            $0.port = port
        }
    }

    private static func add(_ last: [UInt8]) -> Io_Linkerd_Proxy_Destination_Update {
        .with { update in
            update.add.metricLabels = ["service": "web", "pod": "of the set"]
            update.add.addrs = last.map { last in
                .with {
                    $0.addr = address(last)
                    $0.weight = 10_000
                    $0.metricLabels = ["pod": "web-\(last)"]
                    $0.protocolHint.h2 = .init()
                }
            }
        }
    }

    private static func endpoint(_ last: UInt8) throws -> DiscoveredEndpoint {
        DiscoveredEndpoint(
            address: try SocketAddress(ipAddress: "10.42.0.\(last)", port: 8080), weight: 10_000,
            metricLabels: ["service": "web", "pod": "web-\(last)"], protocolHint: .init(isHTTP2: true))
    }

    @Test("Endpoints arrive as the contract says, and a new stream's first set replaces the old one")
    func endpoints() async throws {
        let (updates, paths) = try await Self.run { server, client, loop in
            let updates = Updates<EndpointsUpdate>()
            try await loop.submit {
                server.onCall = { call, server in
                    if server.calls.count == 1 {
                        call.send([
                            Self.add([1, 2]), Self.add([3]),
                            Io_Linkerd_Proxy_Destination_Update.with { $0.remove.addrs = [Self.address(1)] },
                            Io_Linkerd_Proxy_Destination_Update(),
                            Io_Linkerd_Proxy_Destination_Update.with { $0.noEndpoints.exists = true },
                        ])
                        // The connection dies; what is known stays known until the next stream says more.
                        _ = server.loop.scheduleTask(in: .milliseconds(20)) { call.peer.close() }
                    } else {
                        call.send([Self.add([9])])
                    }
                }
            }.get()
            let watch = client.watchEndpoints(path: "web.ns.svc.cluster.local:80", on: loop) {
                updates.values.append($0)
            }
            #expect(try await Self.until(loop) { updates.values.count >= 5 })
            watch.cancel()
            return try await loop.submit {
                (
                    updates.values,
                    server.calls.map { "\($0.method) \($0.request.path) \($0.request.contextToken)" }
                )
            }.get()
        }
        #expect(
            updates == [
                .replace([try Self.endpoint(1), try Self.endpoint(2)]), .add([try Self.endpoint(3)]),
                .remove([try SocketAddress(ipAddress: "10.42.0.1", port: 8080)]), .noEndpoints(exists: true),
                .replace([try Self.endpoint(9)]),
            ])
        #expect(Set(paths) == ["Get web.ns.svc.cluster.local:80 {\"ns\":\"web\"}"])
    }

    @Test("Profiles carry the name, the flag, the endpoint and the parent")
    func profiles() async throws {
        let update = try await Self.run { server, client, loop in
            let updates = Updates<ProfileUpdate>()
            try await loop.submit {
                server.onCall = { call, _ in
                    call.send([
                        Io_Linkerd_Proxy_Destination_DestinationProfile.with {
                            $0.fullyQualifiedName = "web.ns.svc.cluster.local"
                            $0.opaqueProtocol = true
                            $0.endpoint.addr = Self.address(7)
                            $0.endpoint.tlsIdentity.dnsLikeIdentity.name = "web.ns.identity"
                            $0.endpoint.protocolHint.opaqueTransport.inboundPort = 4143
                            $0.endpoint.authorityOverride.authorityOverride = "other:80"
                            $0.parentRef.resource = .with {
                                $0.group = "core"
                                $0.kind = "Service"
                                $0.name = "web"
                                $0.namespace = "ns"
                                $0.port = 80
                            }
                        }
                    ])
                }
            }.get()
            _ = client.watchProfile(path: "10.96.0.5:80", on: loop) { updates.values.append($0) }
            #expect(try await Self.until(loop) { !updates.values.isEmpty })
            return try await loop.submit { updates.values.first }.get()
        }
        let endpoint = DiscoveredEndpoint(
            address: try SocketAddress(ipAddress: "10.42.0.7", port: 8080), weight: 0,
            protocolHint: .init(opaqueTransportPort: 4143), tlsIdentity: "web.ns.identity",
            authorityOverride: "other:80")
        #expect(
            update
                == .profile(
                    DestinationProfile(
                        fullyQualifiedName: "web.ns.svc.cluster.local", isOpaque: true, endpoint: endpoint,
                        parent: ResourceReference(
                            group: "core", kind: "Service", namespace: "ns", name: "web", port: 80))))
    }

    @Test(
        "InvalidArgument is final, every other end starts the stream again",
        arguments: [(3, true), (14, false), (0, false)])
    func refusals(status: Int, isFinal: Bool) async throws {
        let (updates, calls) = try await Self.run { server, client, loop in
            let updates = Updates<EndpointsUpdate>()
            try await loop.submit {
                server.onCall = { call, server in
                    if server.calls.count == 1 { call.refuse(status) } else { call.send([Self.add([1])]) }
                }
            }.get()
            _ = client.watchEndpoints(path: "bad", on: loop) { updates.values.append($0) }
            #expect(try await Self.until(loop) { !updates.values.isEmpty })
            return try await loop.submit { (updates.values, server.calls.count) }.get()
        }
        #expect(updates == (isFinal ? [.rejected] : [.replace([try Self.endpoint(1)])]))
        #expect(calls == (isFinal ? 1 : 2))
    }

    @Test("Cancelled watches are silent at once, and their streams are reset at a pace")
    func cancelled() async throws {
        let (updates, resets) = try await Self.run { server, client, loop in
            let updates = Updates<EndpointsUpdate>()
            let watches = (0..<60).map { index in
                client.watchEndpoints(path: "web-\(index):80", on: loop) { updates.values.append($0) }
            }
            #expect(try await Self.until(loop) { server.calls.count == 60 })
            try await loop.submit {
                for watch in watches { watch.cancel() }
                for call in server.calls { call.send([Self.add([1])]) }
            }.get()
            #expect(try await Self.until(loop) { server.resets.count >= 32 })
            return try await loop.submit { (updates.values.count, server.resets) }.get()
        }
        #expect(updates == 0)
        #expect(resets.count < 60)
        #expect(Set(resets) == [.cancel])
    }

    @Test("GOAWAY is planned: open streams go on, the next watch connects anew")
    func goAway() async throws {
        let (first, second, peers) = try await Self.run { server, client, loop in
            let first = Updates<EndpointsUpdate>()
            let second = Updates<EndpointsUpdate>()
            _ = client.watchEndpoints(path: "a:80", on: loop) { first.values.append($0) }
            #expect(try await Self.until(loop) { server.calls.count == 1 })
            try await loop.submit {
                server.peers.first?.session.goAway(.noError)
                server.peers.first?.flush()
            }.get()
            server.onCall = { call, _ in call.send([Self.add([2])]) }
            // The GOAWAY has arrived once a ping behind it could have.
            try await loop.scheduleTask(in: .milliseconds(20)) {}.futureResult.get()
            _ = client.watchEndpoints(path: "b:80", on: loop) { second.values.append($0) }
            #expect(try await Self.until(loop) { !second.values.isEmpty })
            try await loop.submit { server.calls.first?.send([Self.add([1])]) }.get()
            #expect(try await Self.until(loop) { !first.values.isEmpty })
            return try await loop.submit { (first.values, second.values, server.peers.count) }.get()
        }
        #expect(first == [.replace([try Self.endpoint(1)])])
        #expect(second == [.replace([try Self.endpoint(2)])])
        #expect(peers == 2)
    }

    @Test("A watch waits for a server that is not there yet")
    func lateServer() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let server = FakeDestinationServer(loop: loop)
        let placeholder = try await server.listen().get()
        let port = placeholder.localAddress?.port ?? 0
        try await placeholder.close()
        let client = try await DestinationClient.make(
            settings: Self.settings(port: port), contextToken: "", loop: loop, logger: Logger(label: "test")
        ) { nil }.get()
        let updates = Updates<ProfileUpdate>()
        server.onCall = { call, _ in call.send([Io_Linkerd_Proxy_Destination_DestinationProfile()]) }
        _ = client.watchProfile(path: "a:80", on: loop) { updates.values.append($0) }
        try await loop.scheduleTask(in: .milliseconds(50)) {}.futureResult.get()
        let listener = try await server.listen(port: port).get()
        #expect(try await Self.until(loop) { updates.values == [.profile(DestinationProfile())] })
        client.shutDown()
        try await listener.close()
        try await group.shutdownGracefully()
    }

    @Test("A unary call gets its answer, its error with the message decoded, or a deadline")
    func unary() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let server = FakeDestinationServer(loop: loop)
        let listener = try await server.listen().get()
        let port = listener.localAddress?.port ?? 0
        let metrics = try await loop.submit { NIOLoopBound(RequestMetrics(labels: ""), eventLoop: loop) }
            .get()
        let client = try await loop.submit {
            NIOLoopBound(
                GRPCClient(
                    settings: Self.settings(port: port), loop: loop, metrics: metrics.value,
                    logger: Logger(label: "test")), eventLoop: loop)
        }.get()
        server.onCall = { call, _ in
            switch call.method {
            case "Good":
                call.send([Io_Linkerd_Proxy_Destination_NoEndpoints.with { $0.exists = true }], status: 0)
            case "Bad": call.send([], status: 9, message: "not%20so%2")
            default: break
            }
        }
        @Sendable func ask(
            _ method: String, _ timeout: TimeAmount = .seconds(5)
        ) async -> Result<[UInt8], any Error> {
            do {
                let bytes = try await loop.flatSubmit {
                    client.value.unary("/s/\(method)", message: [UInt8](), timeout: timeout)
                }.get()
                return .success(Array(bytes.readableBytesView))
            } catch { return .failure(error) }
        }
        #expect(try await ask("Good").get() == [8, 1])
        await #expect(throws: GRPCStatus(9, "not so%2")) { try await ask("Bad").get() }
        await #expect(throws: GRPCStatus(4, "no answer in time")) {
            try await ask("Silent", .milliseconds(30)).get()
        }
        let series = try await loop.submit {
            metrics.value.outcomes.map { "\($0.outcome.grpcStatus) \($0.count)" } + [
                "\(metrics.value.requestTotal)"
            ]
        }.get()
        #expect(series.contains("0 1") && series.contains("9 1") && series.last == "3")
        try await loop.submit { client.value.shutDown() }.get()
        try await listener.close()
        try await group.shutdownGracefully()
    }

    @Test("Messages are cut the same, however the bytes arrive", arguments: [1, 2, 3, 5, 64, 10_000])
    func framing(piece: Int) throws {
        let messages = [[], [1], [UInt8](repeating: 7, count: 300), [2, 3]] as [[UInt8]]
        var stream = ByteBuffer()
        for message in messages {
            var frame = GRPCMessageReader.frame(message)
            stream.writeBuffer(&frame)
        }
        var reader = GRPCMessageReader()
        var read: [[UInt8]] = []
        while let bytes = stream.readSlice(length: min(piece, stream.readableBytes)), bytes.readableBytes > 0
        {
            reader.append(bytes)
            while let message = try reader.next() { read.append(Array(message.readableBytesView)) }
        }
        #expect(read == messages)
    }

    @Test(
        "Compressed and endless messages are refused",
        arguments: [[1, 0, 0, 0, 0], [0, 0xFF, 0xFF, 0xFF, 0xFF]] as [[UInt8]])
    func badFrames(bytes: [UInt8]) {
        var reader = GRPCMessageReader()
        reader.append(ByteBuffer(bytes: bytes))
        #expect(throws: GRPCStatus.self) { try reader.next() }
    }
}
