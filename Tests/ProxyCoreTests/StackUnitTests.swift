import Logging
import MeshMetrics
import MeshModel
import MeshTransport
import MeshWire
import NIOCore
import ProxyCore
import Testing

@Suite("Classification", .timeLimit(.minutes(1))) struct ClassificationTests {
    @Test("5xx fails; otherwise the gRPC status decides, when there is one")
    func table() {
        let failingCodes: Set<Int> = [2, 4, 7, 13, 14, 15]
        for status in [200, 204, 301, 400, 404, 429, 499, 500, 503, 599] {
            #expect((Classification.of(status: status, grpcStatus: nil) == .failure) == (status >= 500))
            for code in 0...16 {
                let isFailure = status >= 500 || failingCodes.contains(code)
                #expect((Classification.of(status: status, grpcStatus: code) == .failure) == isFailure)
            }
        }
    }
}

@Suite("Error responses", .timeLimit(.minutes(1))) struct ErrorResponsesTests {
    @Test(
        "Every kind has its answer",
        arguments: rows)
    func table(kind: ProxyError.Kind, status: Int, grpc: Int, closes: Bool, label: String) {
        let response = kind.response
        #expect(response.status == status)
        #expect(response.grpcStatus == grpc)
        #expect(response.closesConnection == closes)
        #expect(response.metricLabel == label)
    }

    private static let rows: [(ProxyError.Kind, Int, Int, Bool, String)] = [
            (ProxyError.Kind.malformedRequest, 400, 13, true, "unexpected"),
            (.headTimedOut, 408, 4, true, "unexpected"), (.connectFailed, 502, 14, true, "i/o"),
            (.connectTimedOut, 504, 14, true, "i/o"), (.upstreamClosed, 502, 14, true, "i/o"),
            (.upstreamMalformed, 502, 14, true, "unexpected"), (.upstreamReset, 502, 14, false, "i/o"),
            (.failFast, 504, 14, true, "failfast"), (.loadShed, 503, 14, true, "loadshed"),
            (.responseTimedOut, 504, 14, true, "response timeout"),
            (.unauthorized, 403, 7, false, "unauthorized"),
            (.notFound, 404, 5, false, "not found"), (.loop, 508, 10, true, "gateway loop"),
            (.unexpected, 500, 13, true, "unexpected"),
            (.identityMismatch, 502, 14, true, "identity required"),
            (.gatewayDomain, 404, 5, false, "gateway domain invalid"),
            (.tlsDetectTimedOut, 504, 14, true, "tls detection timeout"),
        ]

    @Test("The table above has every kind")
    func complete() {
        #expect(Set(Self.rows.map(\.0)) == Set(ProxyError.Kind.allCases))
    }

    @Test("A message that cannot be a field value is replaced")
    func headerText() {
        #expect(ProxyError(.unexpected, "a\r\nb").headerText == "unexpected error")
        let text = String(
            buffer: ProxyError(.notFound, "no route").http1Response(isInformational: true, closes: false))
        #expect(text == "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nl5d-proxy-error: no route\r\n\r\n")
    }
}

@Suite("Configuration", .timeLimit(.minutes(1))) struct ProxyConfigTests {
    private func read(_ values: [String: String]) throws(ConfigError) -> ProxyConfig {
        // Identity has keys that must be set; tests of its own read them.
        let keys = values.merging(["IDENTITY_DISABLED": "1"]) { own, _ in own }
            .map { (ProxyConfig.prefix + $0.key, $0.value) }
        return try ProxyConfig(
            from: DictionarySource(Dictionary(uniqueKeysWithValues: keys)), coresAvailable: 4)
    }

    @Test("Defaults are Linkerd's")
    func defaults() throws {
        let config = try read([:])
        #expect(config.inbound.listenAddresses.map(\.endpointText) == ["0.0.0.0:4143"])
        #expect(config.outbound.listenAddresses.map(\.endpointText) == ["127.0.0.1:4140"])
        #expect(config.adminAddress.endpointText == "127.0.0.1:4191")
        #expect(config.inbound.detectTimeout == .seconds(10))
        #expect(config.inbound.endpoint.connect.timeout == .milliseconds(300))
        #expect(config.outbound.endpoint.connect.timeout == .seconds(1))
        #expect(config.outbound.failFastTimeout == .seconds(3))
        #expect(config.profileNetworks.isEmpty)
        #expect(config.coreCount == 1)
        #expect(config.emitsOutboundHeaders)
    }

    @Test("What the injector sets is understood")
    func injected() throws {
        let config = try read([
            "DESTINATION_SVC_ADDR": "linkerd-dst-headless.linkerd.svc.cluster.local.:8086",
            "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8,172.16.0.0/12,fd00::/8",
            "OUTBOUND_LISTEN_ADDRS": "127.0.0.1:4140,[::1]:4140", "INBOUND_IPS": "10.244.0.7,fd00::7",
            "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": "25,3306,4444-4446", "INBOUND_DETECT_TIMEOUT": "365d",
            "INBOUND_ACCEPT_KEEPALIVE": "10000ms", "CORES": "16", "DESTINATION_CONTEXT": "{\"ns\":\"a\"}",
            "INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL": "10s",
            "DESTINATION_PROFILE_SUFFIXES": "svc.cluster.local.",
        ])
        #expect(config.destinationAddress?.host == "linkerd-dst-headless.linkerd.svc.cluster.local")
        #expect(config.destinationAddress?.port == 8086)
        #expect(config.outbound.listenAddresses.count == 2)
        #expect(config.inboundIPs.count == 2)
        #expect(config.inboundOpaquePorts.contains(4445))
        #expect(!config.inboundOpaquePorts.contains(80))
        #expect(config.inbound.accept.keepAlive == .seconds(10))
        #expect(config.inbound.http2.keepAliveInterval == .seconds(10))
        #expect(config.coreCount == 4)
    }

    @Test("All mistakes are reported together, by key")
    func mistakes() {
        do throws(ConfigError) {
            _ = try read([
                "INBOUND_LISTEN_ADDR": "nowhere", "OUTBOUND_CONNECT_TIMEOUT": "fast",
                "DESTINATION_PROFILE_NETWORKS": "10.0.0.0/99", "INGRESS_MODE": "yes",
            ])
            Issue.record("should not be accepted")
        } catch {
            let keys = error.mistakes.map(\.key).sorted()
            #expect(
                keys == [
                    "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS",
                    "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "LINKERD2_PROXY_INGRESS_MODE",
                    "LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT",
                ])
        }
    }

    @Test(
        "Networks contain what they should",
        arguments: [
            ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.1", false),
            ("172.16.0.0/12", "172.31.0.1", true), ("172.16.0.0/12", "172.32.0.1", false),
            ("fd00::/8", "fd12:3456::1", true), ("fd00::/8", "fe80::1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false), ("10.1.1.1", "10.1.1.1", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ])
    func networks(network: String, address: String, expected: Bool) throws {
        let network = try #require(IPNetwork(network))
        let address = try SocketAddress(ipAddress: address, port: 1)
        #expect(network.contains(address) == expected)
    }
}

@Suite("Metrics", .timeLimit(.minutes(1))) struct MetricsShardTests {
    @Test("Idle series go when nobody holds them, and stay when somebody does")
    func retention() {
        let shard = MetricsShard()
        let held = shard.requests(labels: "a=\"held\"")
        held.requestStarted()
        shard.requests(labels: "a=\"free\"").requestStarted()
        let start = NIODeadline.now()
        let names = { (after: TimeAmount) in
            Set(
                shard.snapshot(retainIdle: .seconds(600), now: start + after).requests[.endpoint]?.keys.map(
                    \.self) ?? [])
        }
        #expect(names(.seconds(1)).count == 2)
        #expect(names(.seconds(500)).count == 2)
        #expect(names(.seconds(700)).count == 2)  // The scrape that finds them idle still prints them.
        #expect(names(.seconds(701)) == ["a=\"held\""])
        held.requestStarted()
        #expect(shard.requests(labels: "a=\"held\"") === held)
    }

    @Test("Loops add up")
    func merges() {
        var sum = MetricsSnapshot()
        for status in [200, 200, 503] {
            let shard = MetricsShard()
            let series = shard.requests(labels: "direction=\"inbound\"")
            series.requestStarted()
            series.responseHead(status: status, latencyNanoseconds: 2_500_000)
            series.responseEnded(
                status: status, grpcStatus: status == 503 ? nil : 0, isFailure: status == 503)
            shard.transport(labels: "peer=\"src\"").opened()
            sum.merge(shard.snapshot(retainIdle: .seconds(1)))
        }
        var writer = ExpositionWriter()
        MetricsRenderer.render(sum, into: &writer)
        let text = String(decoding: writer.bytes, as: UTF8.self)
        for line in [
            "request_total{direction=\"inbound\"} 3",
            "response_latency_ms_bucket{direction=\"inbound\",status_code=\"200\",le=\"1\"} 0",
            "response_latency_ms_bucket{direction=\"inbound\",status_code=\"200\",le=\"2\"} 2",
            "response_latency_ms_count{direction=\"inbound\",status_code=\"200\"} 2",
            "response_latency_ms_sum{direction=\"inbound\",status_code=\"200\"} 4",
            "response_total{direction=\"inbound\",status_code=\"200\",classification=\"success\",grpc_status=\"0\"} 2",
            "response_total{direction=\"inbound\",status_code=\"503\",classification=\"failure\"} 1",
            "tcp_open_connections{peer=\"src\"} 3",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }

    @Test("Labels from discovery are sorted, prefixed and escaped")
    func labels() {
        #expect(
            SeriesLabels.destination(["pod": "p-1", "namespace": "a\"b"])
                == ",dst_namespace=\"a\\\"b\",dst_pod=\"p-1\"")
        #expect(SeriesLabels.destination([:]).isEmpty)
    }

    @Test("Log directives: the longest target wins, off silences")
    func logFilter() {
        let filter = LogFilter("warn,linkerd=info,linkerd.dns=off,[{headers}]=off")
        #expect(filter.allows(.warning, target: "other"))
        #expect(!filter.allows(.info, target: "other"))
        #expect(filter.allows(.info, target: "linkerd.proxy"))
        #expect(!filter.allows(.error, target: "linkerd.dns"))
        #expect(!filter.set("warn,x=loud"))
        #expect(filter.set("debug"))
        #expect(filter.allows(.debug, target: "other"))
    }
}
