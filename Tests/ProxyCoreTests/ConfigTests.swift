import Foundation
import MeshBalance
import MeshMetrics
import MeshModel
import MeshTransport
import NIOCore
import ProxyCore
import Testing

/// Reads a configuration from keys without their prefix.
private func read(_ values: [String: String], cores: Int = 4) throws(ConfigError) -> ProxyConfig {
    // Identity is a matter of its own, and its keys are needed unless it is off.
    let keys = values.merging(["IDENTITY_DISABLED": "1"]) { mine, _ in mine }.map { (ProxyConfig.prefix + $0.key, $0.value) }
    return try ProxyConfig(from: DictionarySource(Dictionary(uniqueKeysWithValues: keys)), coresAvailable: cores)
}

/// The keys that are mistaken, without their prefix.
private func mistakes(_ values: [String: String]) -> [String] {
    do throws(ConfigError) {
        _ = try read(values)
        return []
    } catch {
        return error.mistakes.map { String($0.key.dropFirst(ProxyConfig.prefix.count)) }.sorted()
    }
}

@Suite("Configuration grammar", .timeLimit(.minutes(1))) struct ConfigGrammarTests {
    @Test(
        "Durations are whole numbers with a unit",
        arguments: [
            ("0", 0), ("0s", 0), ("10ms", 10_000_000), ("2s", 2_000_000_000), (" 3m ", 180_000_000_000),
            ("1h", 3_600_000_000_000), ("365d", 31_536_000_000_000_000), ("9000000d", Int64.max),
        ] as [(String, Int64)])
    func durations(text: String, nanoseconds: Int64) {
        #expect(ConfigGrammar.duration(text) == .nanoseconds(nanoseconds))
    }

    @Test(
        "What is no duration", arguments: ["", "1", "10", "1.5s", "-1s", "+1s", "1 s", "s", "1S", "1us", "1m30s", "٣s", "1sec"])
    func noDurations(text: String) { #expect(ConfigGrammar.duration(text) == nil) }

    @Test("Flags, numbers and ratios are exact")
    func scalars() {
        for text in ["", "True", "1", "yes", " true"] { #expect(ConfigGrammar.flag(text) == nil) }
        #expect(ConfigGrammar.flag("true") == true)
        #expect(ConfigGrammar.flag("false") == false)
        for text in ["", "-1", "+1", "1.0", "0x1", " 1", "99999999999999999999"] {
            #expect(ConfigGrammar.integer(text, in: 0...10) == nil)
        }
        #expect(ConfigGrammar.integer("007", in: 0...10) == 7)
        for text in ["", "-0.1", "nan", "inf", "one"] { #expect(ConfigGrammar.ratio(text) == nil) }
    }

    @Test(
        "Suffixes are names",
        arguments: [
            ("Svc.Cluster.Local.", "svc.cluster.local."), (".", "."), ("a_b.c-d", "a_b.c-d"), ("", nil), ("a..b", nil),
            ("a b", nil), ("a*", nil),
        ] as [(String, String?)])
    func suffixes(text: String, expected: String?) { #expect(ConfigGrammar.suffix(text) == expected) }
}

@Suite("Configuration keys", .timeLimit(.minutes(1))) struct ConfigKeyTests {
    @Test("Every default reads by its own key's grammar, and names are unique")
    func defaults() throws {
        let empty = try read([:])
        #expect(empty.unknownKeys.isEmpty)
        let names = ConfigKey.all.map(\.name)
        #expect(Set(names).count == names.count)
        // What has a default may be set to it, and nothing changes; the backoff's jitter differs when it is set.
        var spelt: [String: String] = [:]
        for key in ConfigKey.all where !key.fallback.isEmpty { spelt[key.name] = key.fallback }
        let same = try read(spelt)
        #expect(same.unknownKeys.isEmpty)
        #expect(same.inbound.endpoint == empty.inbound.endpoint)
        #expect(same.outbound.http2 == empty.outbound.http2)
        #expect(same.outbound.failFastTimeout == empty.outbound.failFastTimeout)
        #expect(same.profileSuffixes == empty.profileSuffixes)
        #expect(same.coreCount == empty.coreCount)
    }

    @Test("The keys of the reference are all there")
    func complete() {
        let names = Set(ConfigKey.all.map(\.name))
        for name in Self.reference { #expect(names.contains(name), "\(name)") }
    }

    @Test("A text that no grammar takes is a mistake for every key that has one")
    func refuses() {
        for key in ConfigKey.all where key.form != .text {
            if key.name.hasPrefix("CORES") { continue }  // Named in a warning instead.
            #expect(mistakes([key.name: "\u{1}"]).contains(key.name), "\(key.name)")
        }
    }

    @Test("An empty text is no absent one: numbers, times and addresses refuse it, lists and texts take it")
    func empty() {
        let none = ["CONTROL_STREAM_INITIAL_TIMEOUT", "CONTROL_STREAM_IDLE_TIMEOUT", "CONTROL_STREAM_LIFETIME"]
        for key in ConfigKey.all where !key.name.hasPrefix("CORES") {
            let isRefused: Bool
            switch key.form {
            case .duration, .integer, .listenAddress, .serviceAddress, .flag, .ratio: isRefused = !none.contains(key.name)
            default: isRefused = false
            }
            #expect(mistakes([key.name: ""]).contains(key.name) == isRefused, "\(key.name)")
        }
    }

    /// `spec/proxy.md` 2.2 to 2.9, typed in from there.
    private static let reference: [String] = {
        let shared = [
            "ACCEPT_KEEPALIVE", "CONNECT_KEEPALIVE", "ACCEPT_USER_TIMEOUT", "CONNECT_USER_TIMEOUT", "TCP_LISTEN_BACKLOG",
            "DISPATCH_TIMEOUT", "HTTP_QUEUE_CAPACITY", "HTTP_FAILFAST_TIMEOUT", "DETECT_TIMEOUT", "CONNECT_TIMEOUT",
            "CONNECT_EXP_BACKOFF_MIN", "CONNECT_EXP_BACKOFF_MAX", "CONNECT_EXP_BACKOFF_JITTER", "ROUTER_MAX_IDLE_AGE",
            "DISCOVERY_IDLE_TIMEOUT", "HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", "MAX_IN_FLIGHT", "LISTEN_ADDR",
            "SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE", "SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE",
            "SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL", "SERVER_HTTP2_KEEP_ALIVE_INTERVAL", "SERVER_HTTP2_KEEP_ALIVE_TIMEOUT",
            "SERVER_HTTP2_MAX_CONCURRENT_STREAMS", "SERVER_HTTP2_MAX_FRAME_SIZE", "SERVER_HTTP2_MAX_HEADER_LIST_SIZE",
            "SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS", "SERVER_HTTP2_MAX_SEND_BUF_SIZE",
        ].flatMap { ["INBOUND_\($0)", "OUTBOUND_\($0)"] }
        return shared + [
            "OUTBOUND_LISTEN_ADDRS", "CONTROL_LISTEN_ADDR", "ADMIN_LISTEN_ADDR", "BUFFER_CAPACITY",
            "OUTBOUND_TCP_QUEUE_CAPACITY", "OUTBOUND_TCP_FAILFAST_TIMEOUT", "MAX_IDLE_CONNS_PER_ENDPOINT",
            "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT", "METRICS_RETAIN_IDLE", "SHUTDOWN_GRACE_PERIOD",
            "HTTP2_INITIAL_STREAM_WINDOW_SIZE", "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", "DESTINATION_SVC_ADDR",
            "DESTINATION_SVC_NAME", "DESTINATION_CONTEXT", "DESTINATION_PROFILE_SUFFIXES", "DESTINATION_PROFILE_NETWORKS",
            "DESTINATION_PROFILE_INITIAL_TIMEOUT", "POLICY_SVC_ADDR", "POLICY_SVC_NAME", "POLICY_WORKLOAD",
            "POLICY_CLUSTER_NETWORKS", "INBOUND_DEFAULT_POLICY", "INBOUND_PORTS", "INBOUND_IPS",
            "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "INBOUND_PORTS_REQUIRE_IDENTITY", "INBOUND_PORTS_REQUIRE_TLS",
            "INBOUND_GATEWAY_SUFFIXES", "INGRESS_MODE", "OUTBOUND_DISABLE_INFORMATIONAL_HEADERS",
            "CONTROL_STREAM_INITIAL_TIMEOUT", "CONTROL_STREAM_IDLE_TIMEOUT", "CONTROL_STREAM_LIFETIME",
            "OUTBOUND_METRICS_HOSTNAME_LABELS", "INBOUND_METRICS_AUTHORITY_LABELS", "IDENTITY_DISABLED", "IDENTITY_DIR",
            "IDENTITY_TRUST_ANCHORS", "IDENTITY_LOCAL_NAME", "IDENTITY_SERVER_NAME", "IDENTITY_SERVER_ID",
            "IDENTITY_TOKEN_FILE", "IDENTITY_SVC_ADDR", "IDENTITY_SVC_NAME", "IDENTITY_MIN_REFRESH", "IDENTITY_MAX_REFRESH",
            "IDENTITY_SPIRE_WORKLOAD_API_ADDRESS", "IDENTITY_SPIRE_SOCKET", "IDENTITY_SPIRE_EXP_BACKOFF_MIN",
            "IDENTITY_SPIRE_EXP_BACKOFF_MAX", "IDENTITY_SPIRE_EXP_BACKOFF_JITTER", "TAP_SVC_NAME",
            "TRACE_COLLECTOR_SVC_ADDR", "TRACE_COLLECTOR_SVC_NAME", "TRACE_ATTRIBUTES_PATH", "TRACE_SERVICE_NAME",
            "TRACE_EXTRA_ATTRIBUTES", "TRACE_ANNOTATIONS_PATH", "TRACE_PROTOCOL", "RESOLV_CONF", "DNS_MIN_TTL",
            "DNS_MAX_TTL", "SHUTDOWN_ENDPOINT_ENABLED", "LOG", "LOG_FORMAT", "ACCESS_LOG", "CORES", "CORES_MIN",
            "CORES_MAX", "CORES_MAX_RATIO",
        ]
    }()
}

@Suite("Configuration values", .timeLimit(.minutes(1))) struct ConfigValueTests {
    @Test("The names of 2.11 are read where the later ones are not set")
    func olderNames() throws {
        let older = try read([
            "OUTBOUND_DISPATCH_TIMEOUT": "7s", "BUFFER_CAPACITY": "9", "INBOUND_ROUTER_MAX_IDLE_AGE": "20s",
        ])
        #expect(older.outbound.failFastTimeout == .seconds(7))
        #expect(older.outbound.tcpFailFastTimeout == .seconds(7))
        #expect(older.inbound.queueMax == 9)
        #expect(older.inbound.idleTimeout == .seconds(20))
        #expect(older.inbound.endpoint.poolIdleTimeout == .seconds(20))
        let both = try read(["OUTBOUND_DISPATCH_TIMEOUT": "7s", "OUTBOUND_HTTP_FAILFAST_TIMEOUT": "2s"])
        #expect(both.outbound.failFastTimeout == .seconds(2))
        #expect(both.outbound.tcpFailFastTimeout == .seconds(7))
    }

    @Test("Sockets, windows and bounds reach their settings")
    func reach() throws {
        let config = try read([
            "INBOUND_TCP_LISTEN_BACKLOG": "77", "OUTBOUND_CONNECT_USER_TIMEOUT": "30s", "INBOUND_ACCEPT_USER_TIMEOUT": "5s",
            "HTTP2_INITIAL_STREAM_WINDOW_SIZE": "70000", "OUTBOUND_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE": "80000",
            "INBOUND_SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS": "5", "INBOUND_MAX_IN_FLIGHT": "3",
            "OUTBOUND_TCP_QUEUE_CAPACITY": "4", "METRICS_SERIES_MAX": "6", "LOG_FORMAT": "json", "ACCESS_LOG": "APACHE",
            "INBOUND_DEFAULT_POLICY": "cluster-authenticated", "POLICY_CLUSTER_NETWORKS": "10.0.0.0/8", "TAP_SVC_NAME": "tap",
        ])
        #expect(config.inbound.accept.backlog == 77)
        #expect(config.inbound.accept.userTimeout == .seconds(5))
        #expect(config.outbound.endpoint.connect.socket.userTimeout == .seconds(30))
        #expect(config.inbound.http2.streamWindowBytes == 70_000)
        #expect(config.outbound.http2.streamWindowBytes == 80_000)
        #expect(config.inbound.http2.resetStreamsMax == 5)
        #expect(config.inbound.inFlightMax == 3)
        #expect(config.outbound.tcpQueueMax == 4)
        #expect(config.metricsSeriesMax == 6)
        #expect(config.logFormat == .json)
        #expect(config.accessLog == .apache)
        #expect(config.policy.policy == .clusterAuthenticated)
        #expect(config.tapServiceName == "tap")
    }

    @Test(
        "What belongs together is checked together",
        arguments: [
            (["DESTINATION_SVC_NAME": "d"], ["DESTINATION_SVC_ADDR"]),
            (["POLICY_SVC_ADDR": "p:8090"], ["POLICY_SVC_NAME", "POLICY_WORKLOAD"]),
            (["POLICY_SVC_ADDR": "localhost:8090", "POLICY_WORKLOAD": "w"], []),
            (["TRACE_COLLECTOR_SVC_NAME": "t"], ["TRACE_COLLECTOR_SVC_ADDR"]),
            (["INBOUND_CONNECT_EXP_BACKOFF_MIN": "1s"], ["INBOUND_CONNECT_EXP_BACKOFF_MAX", "INBOUND_CONNECT_EXP_BACKOFF_MAX"]),
            (["INBOUND_CONNECT_EXP_BACKOFF_MAX": "1s"], ["INBOUND_CONNECT_EXP_BACKOFF_MIN"]),
            (
                ["INBOUND_CONNECT_EXP_BACKOFF_MAX": "1s", "INBOUND_CONNECT_EXP_BACKOFF_MIN": "2s"],
                ["INBOUND_CONNECT_EXP_BACKOFF_MAX"]
            ),
            (["INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": "25,4143"], ["INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"]),
            (["CONTROL_STREAM_INITIAL_TIMEOUT": "3s", "CONTROL_STREAM_IDLE_TIMEOUT": "2s"], ["CONTROL_STREAM_IDLE_TIMEOUT"]),
            (["CONTROL_STREAM_INITIAL_TIMEOUT": "3s", "CONTROL_STREAM_LIFETIME": "2s"], ["CONTROL_STREAM_LIFETIME"]),
            (
                [
                    "INBOUND_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL": "true",
                    "INBOUND_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE": "70000",
                ], ["INBOUND_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL"]
            ),
            (["OUTBOUND_LISTEN_ADDRS": "127.0.0.1:1,127.0.0.1:2,[::1]:3"], ["OUTBOUND_LISTEN_ADDRS"]),
        ] as [([String: String], [String])])
    func together(values: [String: String], expected: [String]) { #expect(mistakes(values) == expected) }

    @Test("Jitter is none unless it is set beside the times")
    func jitter() throws {
        #expect(try read([:]).inbound.endpoint.connect.backoff.jitter == 0.1)
        let times = ["INBOUND_CONNECT_EXP_BACKOFF_MIN": "1s", "INBOUND_CONNECT_EXP_BACKOFF_MAX": "2s"]
        #expect(try read(times).inbound.endpoint.connect.backoff.jitter == 0)
        #expect(
            try read(times.merging(["INBOUND_CONNECT_EXP_BACKOFF_JITTER": "0.5"]) { $1 }).inbound.endpoint.connect.backoff
                .jitter == 0.5)
    }

    @Test(
        "Event loops follow what is asked, within what there is",
        arguments: [
            ([:], 1, false), (["CORES": "3"], 3, false), (["CORES": "64"], 8, true), (["CORES_MIN": "2"], 2, false),
            (["CORES_MAX": "5"], 5, false), (["CORES_MIN": "6", "CORES_MAX": "5"], 6, false),
            (["CORES_MAX_RATIO": "0.5"], 4, false), (["CORES_MAX_RATIO": "0.05"], 1, false),
            (["CORES_MAX_RATIO": "2"], 1, true), (["CORES": "many"], 1, true), (["CORES": ""], 1, true),
            (["CORES": "2", "CORES_MAX": "4"], 4, false),
        ] as [([String: String], Int, Bool)])
    func cores(values: [String: String], expected: Int, warns: Bool) throws {
        let config = try read(values, cores: 8)
        #expect(config.coreCount == expected)
        #expect(config.warnings.isEmpty != warns)
    }

    @Test("What begins like a key of ours and is none is named")
    func unknown() throws {
        let config = try read(["INBOUND_LISTEN_ADR": "x", "TAP_SVC_NAME": "t"])
        #expect(config.unknownKeys == ["LINKERD2_PROXY_INBOUND_LISTEN_ADR"])
    }

    @Test(
        "The default policy lets in whom it names, and the pod itself always",
        arguments: [
            ("all-unauthenticated", "1.2.3.4", false, "all-unauthenticated"), ("all-authenticated", "1.2.3.4", false, nil),
            ("all-authenticated", "1.2.3.4", true, "all-authenticated"), ("cluster-unauthenticated", "1.2.3.4", false, nil),
            ("cluster-unauthenticated", "10.1.2.3", false, "cluster-unauthenticated"),
            ("cluster-authenticated", "10.1.2.3", false, nil), ("cluster-authenticated", "10.1.2.3", true, "cluster-authenticated"),
            ("deny", "10.1.2.3", true, nil), ("deny", "127.0.0.1", false, "localhost"), ("deny", "::1", false, "localhost"),
            ("audit", "1.2.3.4", false, "audit"),
        ] as [(String, String, Bool, String?)])
    func policy(name: String, client: String, isIdentified: Bool, expected: String?) throws {
        let policy = try read(["INBOUND_DEFAULT_POLICY": name, "POLICY_CLUSTER_NETWORKS": "10.0.0.0/8,fd00::/8"]).policy
        let address = try SocketAddress(ipAddress: client, port: 1)
        let tls: InboundTLS = isIdentified ? .mesh(clientID: "web") : .none(.noTLSFromRemote)
        #expect(policy.authorization(of: address, port: 80, tls) == expected)
    }

    @Test(
        "Ports can be set apart for identities, or for mesh TLS",
        arguments: [
            ("all-unauthenticated", 1, "all-authenticated", [false, false, true]),
            ("all-unauthenticated", 2, "all-tls-unauthenticated", [false, true, true]),
            ("all-unauthenticated", 3, "all-unauthenticated", [true, true, true]),
            ("cluster-unauthenticated", 1, "cluster-authenticated", [false, false, true]),
            ("cluster-authenticated", 2, "cluster-authenticated", [false, false, true]), ("deny", 1, "deny", [false, false, false]),
        ] as [(String, Int, String, [Bool])])
    func portsApart(policy: String, port: Int, name: String, grants: [Bool]) throws {
        let policy = try read([
            "INBOUND_DEFAULT_POLICY": policy, "POLICY_CLUSTER_NETWORKS": "10.0.0.0/8",
            "INBOUND_PORTS_REQUIRE_IDENTITY": "1", "INBOUND_PORTS_REQUIRE_TLS": "2",
        ]).policy
        let client = try SocketAddress(ipAddress: "10.1.2.3", port: 1)
        let shown: [InboundTLS] = [.none(.noTLSFromRemote), .mesh(clientID: nil), .mesh(clientID: "web")]
        #expect(policy.name(port: port) == name)
        #expect(shown.map { policy.authorization(of: client, port: port, $0) } == grants.map { $0 ? name : nil })
    }
}

@Suite("Tables of the README", .serialized, .timeLimit(.minutes(1))) struct ReadmeTableTests {
    /// Compares what stands between two marks of the README; `UPDATE_GOLDEN=1` writes it.
    @Test("Configuration and metrics are the README's, to the letter", arguments: ["configuration", "metrics"])
    func tables(mark: String) throws {
        let table = mark == "metrics" ? MetricCatalogue.table() : ConfigKey.table()
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "README.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: "<!-- \(mark) -->\n"))
        let end = try #require(text.range(of: "<!-- /\(mark) -->"))
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            let updated = text[..<start.upperBound] + table + text[end.lowerBound...]
            try String(updated).write(to: file, atomically: true, encoding: .utf8)
            return
        }
        #expect(text[start.upperBound..<end.lowerBound] == table, "UPDATE_GOLDEN=1 writes the README's table")
    }
}
