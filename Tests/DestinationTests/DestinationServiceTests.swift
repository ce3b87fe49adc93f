import Destination
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Testing

private typealias Discovery = Io_Linkerd_Proxy_Destination_Destination

/// A running server over a state that the test changes, and a client of it.
private struct Fixture: Sendable {
    let index: ClusterIndex
    let metrics: DestinationMetrics
    let client: Discovery.Client<HTTP2ClientTransport.Posix>

    static func run(_ body: @escaping @Sendable (Fixture) async throws -> Void) async throws {
        let index = ClusterIndex()
        let metrics = DestinationMetrics()
        let server = DestinationController.makeServer(
            host: "127.0.0.1", port: 0,
            service: DestinationService(index: index, settings: DestinationSettings(), metrics: metrics))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let port = try #require(try await server.listeningAddress?.ipv4?.port)
            let transport = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
            try await withGRPCClient(transport: transport) { client in
                try await body(
                    Fixture(index: index, metrics: metrics, client: Discovery.Client(wrapping: client)))
            }
            index.finish()
            server.beginGracefulShutdown()
            try await group.waitForAll()
        }
    }

    func change(_ objects: any KubernetesObject...) {
        index.update { state in objects.reduce(into: []) { $0.formUnion(state.add($1)) } }
    }

    /// Reads the messages of a stream one by one; leaving `body` cancels the call.
    func get(
        _ path: String,
        _ body: @escaping @Sendable (inout Reader<Io_Linkerd_Proxy_Destination_Update>) async throws -> Void
    ) async throws {
        try await client.get(.with { $0.path = path }) { response in
            var reader = Reader(response.messages)
            try await body(&reader)
        }
    }

    func getProfile(
        _ path: String,
        _ body:
            @escaping @Sendable (inout Reader<Io_Linkerd_Proxy_Destination_DestinationProfile>) async throws
            -> Void
    ) async throws {
        try await client.getProfile(.with { $0.path = path }) { response in
            var reader = Reader(response.messages)
            try await body(&reader)
        }
    }

    func error(of call: () async throws -> Void) async -> RPCError.Code? {
        do { try await call() } catch let error as RPCError { return error.code } catch { return nil }
        return nil
    }
}

/// The stream ended although a message was expected.
private struct Ended: Error {}

private struct Reader<Message: Sendable> {
    private var iterator: RPCAsyncSequence<Message, any Error>.AsyncIterator
    init(_ messages: RPCAsyncSequence<Message, any Error>) { iterator = messages.makeAsyncIterator() }
    mutating func next() async throws -> Message {
        guard let message = try await iterator.next(isolation: #isolation) else { throw Ended() }
        return message
    }
    mutating func end() async throws -> Bool { try await iterator.next(isolation: #isolation) == nil }
}

@Suite("Destination service", .timeLimit(.minutes(1))) struct DestinationServiceTests {
    @Test("A stream starts with the whole set and goes on with deltas")
    func deltas() async throws {
        try await Fixture.run { mesh in
            mesh.change(
                service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")),
                pod("a", ip: "10.0.0.1", isMeshed: true))
            try await mesh.get("web.shop.svc.cluster.local:80") { stream in
                let first = try await stream.next().add
                #expect(first.addrs.map { $0.addr.ip.ipv4 } == [0x0A00_0001])
                #expect(first.metricLabels == ["namespace": "shop", "service": "web"])
                #expect(first.addrs.first?.metricLabels["replicaset"] == "web-abc")

                mesh.index.update { $0.addDeployment() }
                #expect(try await stream.next().add.addrs.first?.metricLabels["deployment"] == "web")

                mesh.change(slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.2")))
                #expect(try await stream.next().add.addrs.map { $0.addr.ip.ipv4 } == [0x0A00_0002])
                #expect(try await stream.next().remove.addrs.map { $0.ip.ipv4 } == [0x0A00_0001])

                mesh.change(slice("web-1", ports: [(8_080, nil)]))
                #expect(try await stream.next().noEndpoints.exists)

                mesh.index.update { $0.setService(webKey, nil) }
                let gone = try await stream.next().noEndpoints
                #expect(!gone.exists)

                mesh.change(service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.3")))
                #expect(try await stream.next().hasEndpointOrEmpty)
            }
        }
    }

    @Test("A service without endpoints is told so at once")
    func empty() async throws {
        try await Fixture.run { mesh in
            mesh.change(service())
            try await mesh.get("web.shop.svc.cluster.local") {
                let first = try await $0.next()
                #expect(first.noEndpoints.exists)
            }
        }
    }

    @Test("Questions that cannot be answered end with their code")
    func errors() async throws {
        try await Fixture.run { mesh in
            mesh.change(service("ext", clusterIP: "", type: "ExternalName"), service("a"), service("b"))
            let get = { (path: String) in
                await mesh.error { try await mesh.get(path) { _ = try await $0.next() } }
            }
            let profile = { (path: String) in
                await mesh.error { try await mesh.getProfile(path) { _ = try await $0.next() } }
            }
            #expect(await get("10.0.0.1:80") == .invalidArgument)
            #expect(await get("web:80") == .invalidArgument)
            #expect(await get("ext.shop.svc.cluster.local:80") == .invalidArgument)
            #expect(await get("none.shop.svc.cluster.local:80") == .notFound)
            #expect(await profile("none.shop.svc.cluster.local:80") == .notFound)
            #expect(await profile("short:80") == .invalidArgument)
            #expect(await profile("10.96.0.7:80") == .failedPrecondition)
        }
    }

    @Test("Profiles are sent when they change, and only then")
    func profiles() async throws {
        try await Fixture.run { mesh in
            try await mesh.getProfile("10.96.0.7:80") { stream in
                let unknown = try await stream.next()
                #expect(unknown.endpoint.addr.ip.ipv4 == 0x0A60_0007)
                mesh.change(service())
                let known = try await stream.next()
                #expect(known.fullyQualifiedName == "web.shop.svc.cluster.local")
                mesh.change(service())  // The same again: nothing is sent.
                mesh.change(service(annotations: ["config.linkerd.io/opaque-ports": "80"]))
                let opaque = try await stream.next()
                #expect(opaque.opaqueProtocol)
                let written = try ServiceProfile(
                    name: "web.shop.svc.cluster.local",
                    spec: JSONValue(parsing: #"{"routes": [{"name": "a", "condition": {"method": "GET"}}]}"#))
                mesh.index.update { $0.setProfile(of: webKey, in: "shop", written) }
                let routed = try await stream.next()
                #expect(routed.routes.map(\.metricsLabels) == [["route": "a"]] && routed.opaqueProtocol)
                mesh.index.update { $0.setProfile(of: webKey, in: "shop", nil) }
                let bare = try await stream.next()
                #expect(bare.routes.isEmpty)
            }
        }
    }

    @Test("A stream that is left gives up its place, and its series")
    func cancellation() async throws {
        try await Fixture.run { mesh in
            mesh.change(service())
            try await mesh.get("web.shop.svc.cluster.local:80") { stream in
                _ = try await stream.next()
                #expect(mesh.index.subscriberCount == 1)
                let text = String(decoding: mesh.metrics.render(index: mesh.index), as: UTF8.self)
                #expect(
                    text.contains(
                        #"endpoints_subscribers{namespace="shop",service="web",port="80",hostname=""} 1"#))
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while mesh.index.subscriberCount > 0, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(mesh.index.subscriberCount == 0)
        }
    }

    @Test("A shutdown ends streams in good order")
    func shutdown() async throws {
        try await Fixture.run { mesh in
            mesh.change(service())
            try await mesh.get("web.shop.svc.cluster.local:80") { stream in
                _ = try await stream.next()
                mesh.index.finish()
                #expect(try await stream.end())
            }
        }
    }

    @Test("Many streams follow many changes and all end in the last state")
    func load() async throws {
        try await Fixture.run { mesh in
            mesh.change(service())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        try await mesh.get("web.shop.svc.cluster.local:80") { stream in
                            var current: Set<UInt32> = []
                            while current != [0x0A00_00FF] {
                                switch try await stream.next().update {
                                case .add(let set): current.formUnion(set.addrs.map { $0.addr.ip.ipv4 })
                                case .remove(let set): current.subtract(set.addrs.map { $0.ip.ipv4 })
                                default: current = []
                                }
                            }
                        }
                    }
                }
                for last in 1...255 {
                    mesh.change(slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.\(last)")))
                }
                try await group.waitForAll()
            }
        }
    }
}

extension Io_Linkerd_Proxy_Destination_Update {
    /// Two changes in a row may be seen as one or as two.
    fileprivate var hasEndpointOrEmpty: Bool {
        switch update {
        case .add(let set): set.addrs.map { $0.addr.ip.ipv4 } == [0x0A00_0003]
        case .noEndpoints(let empty): empty.exists
        default: false
        }
    }
}
