import Foundation
import MeshHTTP2
import MeshMetrics
import NIOCore
import NIOPosix
import ProxyCore
import Testing

/// A scrape held against the catalogue.
struct CatalogueCheck {
    private(set) var complaints: [String] = []
    private(set) var seen: Set<String> = []

    mutating func read(_ scrape: String) {
        let bytes = Array(scrape.utf8)
        var parser = ExpositionParser()
        var buckets: [String: [String]] = [:]
        parser.forEachSample(in: bytes) { sample in
            let name = ExpositionParser.text(of: sample.name, in: bytes)
            var labels: [String] = []
            var bound: String?
            ExpositionParser.forEachLabel(in: bytes, of: sample) { label, value in
                let text = ExpositionParser.text(of: label, in: bytes)
                if text == "le" { bound = ExpositionParser.text(of: value, in: bytes) } else { labels.append(text) }
            }
            guard let family = Self.family(name) else { return complain("\(name) is not in the catalogue") }
            seen.insert(family.name)
            guard case .exported = family.standing else { return complain("\(name) is said to be absent") }
            if let complaint = family.complaint(labels: labels) { complain(complaint) }
            if let bound {
                let series = ExpositionParser.text(of: sample.series, in: bytes).replacing("le=\"\(bound)\"", with: "")
                buckets[series, default: [family.name]].append(bound)
            }
        }
        for (series, bounds) in buckets {
            let expected = (MetricCatalogue.family(bounds[0])?.buckets ?? []) + ["+Inf"]
            if Array(bounds.dropFirst()) != expected { complain("\(series) has the buckets \(bounds.dropFirst())") }
        }
        if parser.malformedLineCount > 0 { complain("\(parser.malformedLineCount) malformed lines") }
        for line in scrape.split(separator: "\n") where line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ")
            guard words.count == 4, let family = MetricCatalogue.family(String(words[2])) else {
                complain("\(line) is of no family")
                continue
            }
            if family.type.rawValue != words[3] { complain("\(line) should be \(family.type.rawValue)") }
        }
    }

    private mutating func complain(_ text: String) {
        if !complaints.contains(text) { complaints.append(text) }
    }

    /// The family of a sample, also of a histogram's parts.
    private static func family(_ name: String) -> MetricFamily? {
        if let family = MetricCatalogue.family(name) { return family }
        for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
            if let family = MetricCatalogue.family(String(name.dropLast(suffix.count))), family.type == .histogram {
                return family
            }
        }
        return nil
    }
}

@Suite("Metric catalogue", .timeLimit(.minutes(3))) struct CatalogueTests {
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    private let get = "GET / HTTP/1.1\r\nHost: voting.emojivoto.svc.cluster.local:8080\r\n\r\n"

    @Test("Everything that the reference has is in the catalogue, exported or with a reason")
    func complete() {
        for name in Self.reference {
            #expect(MetricCatalogue.family(name) != nil, "\(name)")
        }
        let names = MetricCatalogue.all.map(\.name)
        #expect(Set(names).count == names.count)
        for family in MetricCatalogue.all {
            if case .absent(let reason) = family.standing { #expect(reason.count > 10, "\(family.name)") }
            #expect(family.type == .histogram ? !family.buckets.isEmpty || family.standing != .exported : family.buckets.isEmpty)
        }
    }

    @Test("All kinds of traffic together show every family, label and bucket of the catalogue, and nothing else")
    func traffic() async throws {
        var check = CatalogueCheck()
        try await meshed(&check)
        try await routed(&check)
        try await forbidden(&check)
        try await crowded(&check)
        #expect(check.complaints.isEmpty, "\(check.complaints.joined(separator: "\n"))")
        let exported = MetricCatalogue.all.filter { $0.standing == .exported }.map(\.name)
        let missing = exported.filter { !check.seen.contains($0) }
        #expect(missing.isEmpty, "\(missing)")
    }

    @Test("promtool finds nothing wrong but the reference's own names")
    func promtool() async throws {
        var text = ""
        try await MeshPair.run { pair in
            try await exchange(pair)
            text = try await pair.near.scrape()
        }
        let path = "/usr/bin/promtool"
        try #require(FileManager.default.isExecutableFile(atPath: path), "promtool is missing: run deploy/setup --test")
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = ["check", "metrics"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardError = output
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
        try input.fileHandleForWriting.close()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        // Names that Linkerd chose before there was a rule, and that its dashboards read.
        let known = [
            "response_latency_ms use base unit \"seconds\" instead of \"milliseconds\"",
            "response_latency_ms metric names should not contain abbreviated units",
            "identity_cert_refresh_count counter metrics should have \"_total\" suffix",
            "identity_cert_refresh_count non-histogram and non-summary metrics should not have \"_count\" suffix",
        ]
        let complaints = said.split(separator: "\n").map(String.init).filter { line in
            !known.contains { line.hasSuffix($0) }
        }
        #expect(complaints.isEmpty, "\(complaints)")
    }

    @Test("Idle series leave after the time that was set, and those in use stay")
    func retention() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_METRICS_RETAIN_IDLE": "0s"]) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.outbound(to: server.address)
            try await client.send(get)
            _ = try await client.take(through: "hi")
            #expect(try await proxy.metric("request_total") == 1)
            // The destination is still open, so its series are held however idle they are.
            #expect(try await proxy.metric("request_total") == 1)
        }
        let quick = ["LINKERD2_PROXY_METRICS_RETAIN_IDLE": "0s", "LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT": "10ms"]
        try await ProxyFixture.run(quick) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.outbound(to: server.address)
            try await client.send(get)
            _ = try await client.take(through: "hi")
            await client.close()
            try await eventually("the series leave") { try await proxy.metric("request_total") == 0 }
        }
    }

    @Test("Label sets past the bound are folded: sums stay true, and what was folded is counted")
    func folding() async throws {
        let bounds = ["LINKERD2_PROXY_METRICS_SERIES_MAX": "3", "LINKERD2_PROXY_METRICS_AUTHORITIES_MAX": "100"]
        try await ProxyFixture.run(bounds) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            for number in 0..<10 {
                try await client.send("GET / HTTP/1.1\r\nHost: s\(number).ns.svc.cluster.local\r\n\r\n")
                _ = try await client.take(through: "hi")
            }
            #expect(try await proxy.metric("request_total", ["direction": "inbound"]) == 10)
            #expect(try await proxy.metric("request_total", ["authority": "other", "target_port": "other"]) == 7)
            #expect(try await proxy.metric("proxy_metrics_folded_total", ["kind": "requests"]) == 7)
        }
        try await ProxyFixture.run(["LINKERD2_PROXY_METRICS_AUTHORITIES_MAX": "2"]) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            for number in 0..<5 {
                try await client.send("GET / HTTP/1.1\r\nHost: s\(number).ns.svc.cluster.local\r\n\r\n")
                _ = try await client.take(through: "hi")
            }
            #expect(try await proxy.metric("request_total", ["authority": "s1.ns.svc.cluster.local"]) == 1)
            #expect(try await proxy.metric("request_total", ["authority": "s2.ns.svc.cluster.local"]) == 0)
            #expect(try await proxy.metric("request_total", ["direction": "inbound"]) == 5)
        }
    }

    // MARK: Traffic

    /// One request of each version through two meshed proxies.
    private func exchange(_ pair: MeshPair) async throws {
        let server = try await ScriptedServer.answering(ok, on: pair.near.group)
        try await pair.serve(server.address)
        pair.near.discovery.setEndpoints(
            MeshPair.service,
            .replace([
                DiscoveredEndpoint(
                    address: pair.far.runtime.addresses[0], metricLabels: ["deployment": "voting", "pod": "v-1"],
                    tlsIdentity: MeshPair.voting)
            ]))
        let client = try await pair.near.outbound(to: pair.address)
        try await client.send(get)
        _ = try await client.take(through: "hi")
    }

    private func meshed(_ check: inout CatalogueCheck) async throws {
        var scrapes: [String] = []
        try await MeshPair.run { pair in
            try await exchange(pair)
            try await grpc(pair)
            try await direct(pair)
            // Nobody listens there: a refused connection, for HTTP and for opaque bytes.
            let server = try await ScriptedServer.start(on: pair.near.group)
            await server.stop()
            for text in [get, "\u{0}opaque bytes that are no HTTP"] {
                for direction in ["inbound", "outbound"] {
                    let client =
                        direction == "inbound"
                        ? try await pair.far.inbound(to: server.address) : try await pair.near.outbound(to: server.address)
                    try await client.send(text)
                    try await eventually("an end") { client.isInputClosed }
                }
            }
            scrapes = [try await pair.near.scrape(), try await pair.far.scrape()]
        }
        for scrape in scrapes { check.read(scrape) }
    }

    /// To the far proxy's own port.
    private func direct(_ pair: MeshPair) async throws {
        let server = try await ScriptedServer.answering(ok, on: pair.near.group)
        try await pair.serveDirect(server.address, isOpaque: false)
        let client = try await pair.near.outbound(to: pair.address)
        try await client.send(get)
        _ = try await client.take(through: "hi")
    }

    /// gRPC that fails, is reset, and has no status at all; through the far proxy alone.
    private func grpc(_ pair: MeshPair) async throws {
        let loop = pair.near.group.next()
        let upstream = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(HTTP2Peer(.server, onEvent: HTTP2ForwardTests.upstream))
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let address = try #require(upstream.localAddress)
        try await pair.far.inbound(to: address).close()
        let client = HTTP2TestClient(loop: loop)
        let entrance = pair.far.runtime.addresses[0]
        try await loop.flatSubmit { client.connect(to: entrance) }.get()
        for path in ["/grpc", "/", "/broken", "/reset"] {
            _ = try await loop.flatSubmit {
                client.open(path, method: "POST", fields: [("content-type", "application/grpc")]).answer
            }.get()
        }
        try await loop.submit { client.peer.close() }.get()
        try await upstream.close()
    }

    /// A retryable route whose budget gives out.
    private func routed(_ check: inout CatalogueCheck) async throws {
        var scrape = ""
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            let service = try RoutedService()
            service.set(
                proxy, routes: [.path("/.*", isRetryable: true)], budget: RoutedService.budget(ratio: 0, minPerSecond: 1))
            let script = Script([Script.response("503 Service Unavailable", "no")])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            _ = try await client.take(through: "no")
            scrape = try await proxy.scrape()
        }
        check.read(scrape)
    }

    /// A policy that lets nobody in, for HTTP and for TCP.
    private func forbidden(_ check: inout CatalogueCheck) async throws {
        var scrape = ""
        let deny = ["LINKERD2_PROXY_INBOUND_DEFAULT_POLICY": "deny"]
        try await ProxyFixture.run(deny, adjust: { $0.trustsInboundLoopback = false }) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            for _ in 0..<2 {  // The connection stays open.
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.takeHead().hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            }
            let opaque = try await proxy.inbound(to: server.address)
            try await opaque.send("\u{0}opaque bytes that are no HTTP")
            try await eventually("the connection is closed") { opaque.isInputClosed }
            #expect(opaque.receivedCount == 0)
            #expect(server.acceptedCount == 0)
            let names = ["srv_name": "deny"]
            #expect(try await proxy.metric("inbound_http_authz_deny_total", names) == 2)
            #expect(try await proxy.metric("inbound_tcp_authz_deny_total", names) == 1)
            #expect(try await proxy.metric("inbound_http_errors_total") == 0)
            scrape = try await proxy.scrape()
        }
        check.read(scrape)
        try await ProxyFixture.run(deny) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await client.take(through: "hi")
            #expect(try await proxy.metric("inbound_http_authz_allow_total", ["authz_name": "localhost"]) == 1)
            scrape = try await proxy.scrape()
        }
        check.read(scrape)
    }

    private func crowded(_ check: inout CatalogueCheck) async throws {
        var scrape = ""
        let bound = ["LINKERD2_PROXY_METRICS_SERIES_MAX": "1", "LINKERD2_PROXY_ACCESS_LOG": "json"]
        try await ProxyFixture.run(bound) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            for direction in ["inbound", "outbound"] {
                let client =
                    direction == "inbound"
                    ? try await proxy.inbound(to: server.address) : try await proxy.outbound(to: server.address)
                try await client.send("GET / HTTP/1.1\r\nHost: a.b.svc.cluster.local\r\n\r\n")
                _ = try await client.take(through: "hi")
            }
            scrape = try await proxy.scrape()
        }
        check.read(scrape)
    }

    /// `spec/proxy.md` 6.2 and 6.10, typed in from there.
    private static let reference: [String] = {
        var names = ["", "route_", "control_"].flatMap {
            ["\($0)request_total", "\($0)response_latency_ms", "\($0)response_total"]
        }
        names += ["route_actual_request_total", "route_actual_response_total", "route_retryable_total"]
        names += ["open_total", "open_connections", "read_bytes_total", "write_bytes_total", "close_total"].map { "tcp_\($0)" }
        names += [
            "http_authz_allow_total", "http_authz_deny_total", "http_route_not_found_total", "http_local_ratelimit_total",
            "tcp_authz_allow_total", "tcp_authz_deny_total", "tcp_authz_terminate_total", "http_errors_total",
            "tcp_errors_total", "tcp_detect_http_duration_seconds", "tcp_detect_http_results_total",
            "tcp_transport_header_connections_total",
        ].map { "inbound_\($0)" }
        names += ["create_total", "drop_total", "poll_total", "poll_total_ms"].map { "stack_\($0)" }
        names += [
            "outbound_http_errors_total", "outbound_tcp_errors_total", "opencensus_span_export_streams",
            "opencensus_span_export_requests", "opencensus_span_exports", "identity_cert_expiration_timestamp_seconds",
            "identity_cert_refresh_count", "proxy_build_info", "control_dns_resolutions_total",
            "control_identity_cert_expiration_timestamp_seconds", "control_identity_cert_refresh_timestamp_seconds",
            "control_identity_cert_refreshes_total", "outbound_tcp_protocol_connections_total",
            "outbound_tcp_detect_http_duration_seconds", "outbound_tcp_detect_http_results_total",
            "outbound_tcp_route_open_total", "outbound_tls_route_close_total", "outbound_tcp_transfer_cost_bytes_total",
            "rustls_info", "tokio_rt_workers", "tokio_rt_busy_seconds_total",
        ]
        names += [
            "start_time_seconds", "open_fds", "max_fds", "virtual_memory_bytes", "resident_memory_bytes", "cpu_seconds_total",
            "uptime_seconds_total", "threads", "network_receive_bytes_total", "network_transmit_bytes_total",
        ].map { "process_\($0)" }
        for kind in ["http", "grpc"] {
            names += ["request_duration_seconds", "request_statuses_total", "request_frame_size_bytes", "retry_requests_total"]
                .map { "outbound_\(kind)_route_\($0)" }
            names += ["requests_total", "response_duration_seconds", "response_statuses_total"]
                .map { "outbound_\(kind)_route_backend_\($0)" }
            names += ["requests_total", "request_duration_seconds", "response_frame_size_bytes", "statuses_total"]
                .map { "inbound_\(kind)_\($0)" }
        }
        for kind in ["http", "tcp", "tls"] {
            names += ["endpoints", "p2c_updates_total", "queue_length", "queue_latency_seconds", "queue_gate_open_total"]
                .map { "outbound_\(kind)_balancer_\($0)" }
        }
        return names
    }()
}
