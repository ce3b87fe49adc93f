import MeshHTTP2
import NIOCore
import NIOPosix
import ProxyCore
import Testing

@Suite("HTTP/2 through a whole proxy", .timeLimit(.minutes(1)))
struct HTTP2ProxyTests {
    @Test(
        "Detected by its preface, forwarded, and counted in the scrape",
        arguments: [Direction.inbound, .outbound])
    func detected(direction: Direction) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let upstream = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let peer = HTTP2Peer(.server, onEvent: HTTP2ForwardTests.upstream)
                try channel.pipeline.syncOperations.addHandler(peer)
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(upstream.localAddress)
        try await ProxyFixture.run { proxy in
            // Sets where connections go; this one says nothing and leaves.
            let scout =
                direction == .inbound
                ? try await proxy.inbound(to: address) : try await proxy.outbound(to: address)
            await scout.close()
            let entrance = proxy.runtime.addresses[direction == .inbound ? 0 : 1]
            let client = HTTP2TestClient(loop: loop)
            try await loop.flatSubmit { client.connect(to: entrance) }.get()
            for path in ["/", "/", "/missing", "/broken"] {
                let answer = try await loop.flatSubmit { client.open(path).answer }.get()
                #expect(answer.isComplete)
            }
            let grpc = try await loop.flatSubmit {
                client.open("/grpc", method: "POST", fields: [("content-type", "application/grpc")]).answer
            }.get()
            #expect(grpc.trailers["grpc-status"] == "14")
            let labels = ["direction": direction.rawValue]
            #expect(try await proxy.metric("request_total", labels) == 5)
            #expect(
                try await proxy.metric("response_total", labels.merging(["classification": "success"]) { $1 })
                    == 3)
            #expect(
                try await proxy.metric("response_total", labels.merging(["classification": "failure"]) { $1 })
                    == 2)
            #expect(
                try await proxy.metric("response_total", labels.merging(["grpc_status": "14"]) { $1 }) == 1)
            #expect(try await proxy.metric("response_latency_ms_count", labels) == 5)
            try await loop.submit { client.peer.close() }.get()
        }
        try await upstream.close()
        try await group.shutdownGracefully()
    }

    @Test("In ingress mode a request is sent elsewhere by the name that it gave")
    func ingressRedispatch() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let upstream = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let peer = HTTP2Peer(.server, onEvent: HTTP2ForwardTests.upstream)
                try channel.pipeline.syncOperations.addHandler(peer)
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let gone = try await ServerBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get()
        let (live, dead) = (try #require(upstream.localAddress), try #require(gone.localAddress))
        try await gone.close()
        try await ProxyFixture.run(["LINKERD2_PROXY_INGRESS_MODE": "true"]) { proxy in
            let service = try RoutedService()
            service.set(proxy)
            let host = "a.ns.svc.cluster.local"
            proxy.discovery.setProfile("\(host):80", .profile(DestinationProfile(fullyQualifiedName: host)))
            let endpoints = [dead, live].map { DiscoveredEndpoint(address: $0) }
            let scout = try await proxy.outbound(to: service.address)
            await scout.close()
            let client = HTTP2TestClient(loop: loop)
            let entrance = proxy.runtime.addresses[1]
            try await loop.flatSubmit { client.connect(to: entrance) }.get()
            for round in 0..<8 {
                // Discovered anew each time, so that nothing is known of the dead one.
                proxy.discovery.setEndpoints("\(host):80", .noEndpoints(exists: true))
                proxy.discovery.setEndpoints("\(host):80", .replace(endpoints))
                let answer = try await loop.flatSubmit {
                    client.open("/", fields: [("l5d-dst-override", host)]).answer
                }.get()
                #expect(answer.isComplete && answer.status == 200, "round \(round)")
            }
            try await loop.submit { client.peer.close() }.get()
        }
        try await upstream.close()
        try await group.shutdownGracefully()
    }
}
