import MeshBalance
package import MeshModel
import MeshTLS
import MeshTransport
import MeshWire
import NIOCore

extension ProxyConfig {
    /// Reads every key, and throws all mistakes together.
    ///
    /// - Parameter coresAvailable: what `LINKERD2_PROXY_CORES` is clamped to.
    package init(from source: some StringSource, coresAvailable: Int) throws(ConfigError) {
        var reader = KeyReader(source)
        inbound = Self.side("INBOUND", &reader, listen: ["0.0.0.0:4143"], connectTimeout: .milliseconds(300))
        outbound = Self.side("OUTBOUND", &reader, listen: ["127.0.0.1:4140"], connectTimeout: .seconds(1))
        adminAddress = reader.address("ADMIN_LISTEN_ADDR", default: "127.0.0.1:4191")
        inboundIPs = reader.list("INBOUND_IPS", accepted: "IP addresses separated by commas") {
            SocketAddress.numeric($0, port: 0)
        }
        inboundOpaquePorts = reader.value(
            "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", default: PortSet(),
            accepted: "ports and ranges separated by commas", PortSet.init)
        destinationAddress = reader.value("DESTINATION_SVC_ADDR", default: nil, accepted: "host:port") {
            text in
            Authority(text).flatMap { $0.port == nil ? nil : .some($0) }
        }
        identity = Self.identity(&reader)
        destinationName = reader.text("DESTINATION_SVC_NAME", default: "")
        if identity != nil, destinationName.isEmpty, let address = destinationAddress, !address.isLoopback {
            reader.reject("DESTINATION_SVC_NAME", accepted: "the identity of the destination service")
        }
        destinationContext = reader.text("DESTINATION_CONTEXT", default: "")
        profileNetworks = reader.list(
            "DESTINATION_PROFILE_NETWORKS", accepted: "networks separated by commas"
        ) { IPNetwork($0) }
        profileSuffixes = reader.list(
            "DESTINATION_PROFILE_SUFFIXES", accepted: "DNS suffixes separated by commas"
        ) {
            $0.lowercased()
        }
        if profileSuffixes.isEmpty { profileSuffixes = ["svc.cluster.local."] }
        let isIngress = reader.flag("INGRESS_MODE", default: false)
        self.isIngress = isIngress
        profileInitialTimeout = reader.duration(
            "DESTINATION_PROFILE_INITIAL_TIMEOUT", default: .milliseconds(500))
        emitsOutboundHeaders = !reader.flag("OUTBOUND_DISABLE_INFORMATIONAL_HEADERS", default: isIngress)
        coreCount = min(reader.integer("CORES", default: 1, in: 1...1_024), max(1, coresAvailable))
        metricsRetainIdle = reader.duration("METRICS_RETAIN_IDLE", default: .seconds(600))
        shutdownGrace = reader.duration("SHUTDOWN_GRACE_PERIOD", default: .seconds(120))
        shutdownAcceptGrace = reader.duration("SHUTDOWN_ACCEPT_GRACE", default: .seconds(3))
        isShutdownEndpointEnabled = reader.flag("SHUTDOWN_ENDPOINT_ENABLED", default: false)
        log = reader.text("LOG", default: "warn,linkerd=info")
        unknownKeys = reader.unknownKeys().filter { key in
            !Self.keysOfLater.contains { key.dropFirst(Self.prefix.count).hasPrefix($0) }
        }
        try reader.finish()
    }

    /// Beginnings of Linkerd's keys for what this proxy does not do, or needs no telling.
    private static let keysOfLater = [
        "IDENTITY_SPIRE_", "IDENTITY_SERVER_ID", "POLICY_", "TAP_", "CONTROL_", "TRACE_",
        "INBOUND_DEFAULT_POLICY",
        "INBOUND_PORTS", "INBOUND_GATEWAY_SUFFIXES", "INBOUND_METRICS_AUTHORITY_LABELS",
        "OUTBOUND_METRICS_HOSTNAME_LABELS", "OUTBOUND_TCP_", "LOG_FORMAT", "ACCESS_LOG", "CORES_", "DNS_",
        "BUFFER_CAPACITY",
    ]

    private static func identity(_ reader: inout KeyReader<some StringSource>) -> IdentityConfig? {
        // Any text disables, as in Linkerd 2.11.
        let isDisabled = !reader.text("IDENTITY_DISABLED", default: "").isEmpty
        let localName = reader.text("IDENTITY_LOCAL_NAME", default: "").lowercased()
        let anchors = reader.value(
            "IDENTITY_TRUST_ANCHORS", default: TrustAnchors?.none, accepted: "certificates in PEM"
        ) { text -> TrustAnchors?? in
            do { return .some(try TrustAnchors(pem: text)) } catch { return nil }
        }
        let address = reader.value("IDENTITY_SVC_ADDR", default: Authority?.none, accepted: "host:port") {
            text in
            Authority(text).flatMap { $0.port == nil ? nil : .some($0) }
        }
        let controllerName = reader.text("IDENTITY_SVC_NAME", default: "")
        let config = IdentityConfigTexts(
            serverName: reader.text("IDENTITY_SERVER_NAME", default: localName).lowercased(),
            directory: reader.text("IDENTITY_DIR", default: ""),
            tokenFile: reader.text(
                "IDENTITY_TOKEN_FILE", default: "/var/run/secrets/kubernetes.io/serviceaccount/token"))
        let minRefresh = reader.duration("IDENTITY_MIN_REFRESH", default: .seconds(10))
        let maxRefresh = reader.duration("IDENTITY_MAX_REFRESH", default: .seconds(86_400))
        guard !isDisabled else { return nil }
        if localName.isEmpty {
            reader.reject(
                "IDENTITY_LOCAL_NAME", accepted: "this proxy's identity, or IDENTITY_DISABLED to run without")
        }
        if anchors == nil { reader.reject("IDENTITY_TRUST_ANCHORS", accepted: "certificates in PEM") }
        if address == nil { reader.reject("IDENTITY_SVC_ADDR", accepted: "host:port") }
        if controllerName.isEmpty, let address, !address.isLoopback {
            reader.reject("IDENTITY_SVC_NAME", accepted: "the identity of the identity controller")
        }
        guard let anchors, let address, !localName.isEmpty else { return nil }
        return IdentityConfig(
            localName: localName, serverName: config.serverName, trustAnchors: anchors,
            directory: config.directory, tokenFile: config.tokenFile, address: address,
            controllerName: controllerName, minRefresh: minRefresh, maxRefresh: max(minRefresh, maxRefresh))
    }

    /// The keys that are any text.
    private struct IdentityConfigTexts {
        let serverName: String
        let directory: String
        let tokenFile: String
    }

    private static func side(
        _ name: String, _ reader: inout KeyReader<some StringSource>, listen: [String],
        connectTimeout: Duration
    ) -> Side {
        let isInbound = name == "INBOUND"
        let connect = ConnectSettings(
            timeout: reader.duration("\(name)_CONNECT_TIMEOUT", default: connectTimeout),
            backoff: Backoff(
                minNanoseconds: reader.nanoseconds(
                    "\(name)_CONNECT_EXP_BACKOFF_MIN", default: .milliseconds(100)),
                maxNanoseconds: reader.nanoseconds(
                    "\(name)_CONNECT_EXP_BACKOFF_MAX", default: .milliseconds(500)),
                jitter: reader.value(
                    "\(name)_CONNECT_EXP_BACKOFF_JITTER", default: 0.1, accepted: "a number ≥ 0"
                ) {
                    Double($0).flatMap { $0 >= 0 ? $0 : nil }
                }),
            socket: SocketSettings(
                keepAlive: reader.optionalDuration("\(name)_CONNECT_KEEPALIVE"),
                userTimeout: reader.optionalDuration("\(name)_CONNECT_USER_TIMEOUT")))
        let idleMaxKey = isInbound ? "MAX_IDLE_CONNS_PER_ENDPOINT" : "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT"
        let endpoint = EndpointSettings(
            connect: connect,
            poolIdleTimeout: reader.duration(
                "\(name)_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", default: .seconds(3)),
            poolIdleMax: reader.integer(idleMaxKey, default: 10_000, in: 0...1_000_000))
        let idle = reader.duration(
            "\(name)_DISCOVERY_IDLE_TIMEOUT", default: isInbound ? .seconds(90) : .seconds(5))
        return Side(
            listenAddresses: reader.addresses("\(name)_LISTEN_ADDR", default: listen),
            accept: SocketSettings(
                keepAlive: reader.optionalDuration("\(name)_ACCEPT_KEEPALIVE"),
                userTimeout: reader.optionalDuration("\(name)_ACCEPT_USER_TIMEOUT")),
            detectTimeout: reader.duration("\(name)_DETECT_TIMEOUT", default: .seconds(10)),
            endpoint: endpoint,
            failFastTimeout: reader.duration(
                "\(name)_HTTP_FAILFAST_TIMEOUT", default: isInbound ? .seconds(1) : .seconds(3)),
            queueMax: reader.integer("\(name)_HTTP_QUEUE_CAPACITY", default: 10_000, in: 1...1_000_000),
            inFlightMax: reader.integer("\(name)_MAX_IN_FLIGHT", default: 100_000, in: 1...10_000_000),
            idleTimeout: idle, http2: http2(name, &reader))
    }

    private static func http2(_ name: String, _ reader: inout KeyReader<some StringSource>) -> HTTP2Limits {
        var limits = HTTP2Limits()
        let bytes = 65_535...Int(Int32.max)
        let stream = reader.integer(
            "HTTP2_INITIAL_STREAM_WINDOW_SIZE", default: limits.streamWindowBytes, in: bytes)
        let connection = reader.integer(
            "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", default: limits.connectionWindowBytes, in: bytes)
        let server = "\(name)_SERVER_HTTP2_"
        limits.streamWindowBytes = reader.integer(
            "\(server)INITIAL_STREAM_WINDOW_SIZE", default: stream, in: bytes)
        limits.connectionWindowBytes = reader.integer(
            "\(server)INITIAL_CONNECTION_WINDOW_SIZE", default: connection, in: bytes)
        limits.concurrentStreamsMax = reader.integer(
            "\(server)MAX_CONCURRENT_STREAMS", default: limits.concurrentStreamsMax, in: 1...Int(Int32.max))
        limits.headerListBytesMax = reader.integer(
            "\(server)MAX_HEADER_LIST_SIZE", default: limits.headerListBytesMax, in: 1_024...Int(Int32.max))
        limits.keepAliveInterval = reader.optionalDuration("\(server)KEEP_ALIVE_INTERVAL").map(\.timeAmount)
        limits.keepAliveTimeout = reader.duration("\(server)KEEP_ALIVE_TIMEOUT", default: .seconds(3))
        return limits
    }
}

/// Reads keys without spelling their prefix, in the proxy's own types.
private struct KeyReader<Source: StringSource> {
    private var reader: ConfigReader<Source>

    init(_ source: Source) { reader = ConfigReader(source) }

    mutating func value<Value>(
        _ key: String, default fallback: Value, accepted: String, _ parse: (String) -> Value?
    ) -> Value {
        reader.read(ProxyConfig.prefix + key, default: fallback, accepted: accepted, as: parse)
    }

    mutating func text(_ key: String, default fallback: String) -> String {
        reader.text(ProxyConfig.prefix + key, default: fallback)
    }

    mutating func reject(_ key: String, accepted: String) {
        reader.reject(ProxyConfig.prefix + key, accepted: accepted)
    }

    mutating func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        reader.integer(ProxyConfig.prefix + key, default: fallback, in: range)
    }

    mutating func flag(_ key: String, default fallback: Bool) -> Bool {
        value(key, default: fallback, accepted: "true or false") { Bool($0) }
    }

    mutating func duration(_ key: String, default fallback: Duration) -> TimeAmount {
        reader.duration(ProxyConfig.prefix + key, default: fallback).timeAmount
    }

    mutating func nanoseconds(_ key: String, default fallback: Duration) -> UInt64 {
        UInt64(clamping: duration(key, default: fallback).nanoseconds)
    }

    mutating func optionalDuration(_ key: String) -> Duration? {
        let none = Duration.nanoseconds(-1)
        let read = reader.duration(ProxyConfig.prefix + key, default: none)
        return read == none ? nil : read
    }

    mutating func address(_ key: String, default fallback: String) -> SocketAddress {
        addresses(key, default: [fallback])[0]
    }

    /// One address under `key`, or up to two under `key` with an `S`, which wins.
    mutating func addresses(_ key: String, default fallback: [String]) -> [SocketAddress] {
        let defaults = fallback.compactMap { SocketAddress.numeric($0) }
        precondition(!defaults.isEmpty, "default listen addresses are numeric")
        let single = value(key, default: defaults, accepted: "ip:port") { text in
            SocketAddress.numeric(text).map { [$0] }
        }
        let several = list(key + "S", accepted: "one or two ip:port separated by commas") {
            SocketAddress.numeric($0)
        }
        return several.isEmpty ? single : several
    }

    mutating func list<Element>(
        _ key: String, accepted: String, _ parse: (String) -> Element?
    ) -> [Element] {
        value(key, default: [], accepted: accepted) { text in
            let items = text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
            let parsed = items.compactMap(parse)
            return parsed.count == items.count ? parsed : nil
        }
    }

    func unknownKeys() -> [String] { reader.unknownKeys(prefix: ProxyConfig.prefix) }

    func finish() throws(ConfigError) { try reader.finish() }
}
