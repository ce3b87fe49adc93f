/// The keys that inbound and outbound both have, and the few that differ in name.
struct SideKeys: Sendable {
    static let inbound = SideKeys("INBOUND")
    static let outbound = SideKeys("OUTBOUND")

    let listenAddress, listenAddresses: ConfigKey
    let acceptKeepAlive, acceptUserTimeout, backlog: ConfigKey
    let connectKeepAlive, connectUserTimeout, connectTimeout: ConfigKey
    let backoffMin, backoffMax, backoffJitter: ConfigKey
    let detectTimeout: ConfigKey
    let queueCapacity, failFastTimeout, tcpQueueCapacity, tcpFailFastTimeout: ConfigKey
    /// Names that 2.11 had for the same, read when the later ones are not set.
    let dispatchTimeout, bufferCapacity, routerMaxIdle: ConfigKey
    let discoveryIdle, poolIdle, poolIdleMax, inFlightMax: ConfigKey
    /// Our own: bounds against clients that hold connections without using them.
    let connectionsMax, headTimeout: ConfigKey
    let streamWindow, connectionWindow, adaptiveFlowControl: ConfigKey
    let keepAliveInterval, keepAliveTimeout: ConfigKey
    let streamsMax, frameBytes, headerListBytes, resetStreamsMax, sendBufferBytes: ConfigKey

    private let isInbound: Bool

    /// In the order of the table. Each side lists only what it has, and shared names come with inbound.
    var all: [ConfigKey] {
        var keys = [listenAddress]
        if !isInbound { keys.append(listenAddresses) }
        keys += [
            acceptKeepAlive, acceptUserTimeout, backlog, connectTimeout, connectKeepAlive, connectUserTimeout, backoffMin,
            backoffMax, backoffJitter, detectTimeout, queueCapacity, failFastTimeout,
        ]
        if !isInbound { keys += [tcpQueueCapacity, tcpFailFastTimeout] }
        keys.append(dispatchTimeout)
        if isInbound { keys.append(bufferCapacity) }
        return keys + [
            routerMaxIdle, discoveryIdle, poolIdle, poolIdleMax, inFlightMax, connectionsMax, headTimeout, streamWindow, connectionWindow,
            adaptiveFlowControl, keepAliveInterval, keepAliveTimeout, streamsMax, frameBytes, headerListBytes,
            resetStreamsMax, sendBufferBytes,
        ]
    }

    private init(_ side: String) {
        let isInbound = side == "INBOUND"
        self.isInbound = isInbound
        let peer = isInbound ? "the workload" : "endpoints"
        func key(
            _ name: String, _ form: ConfigKey.Form, _ fallback: String = "", _ summary: String,
            _ reason: String? = nil
        ) -> ConfigKey {
            let standing = reason.map { ConfigKey.Standing.withoutEffect($0) } ?? .inEffect
            return ConfigKey("\(side)_\(name)", form, fallback, summary, standing: standing)
        }
        listenAddress = key(
            "LISTEN_ADDR", .listenAddress, isInbound ? "0.0.0.0:4143" : "127.0.0.1:4140", "Where it listens.")
        listenAddresses = key(
            "LISTEN_ADDRS", .listenAddresses, "", "Where it listens, IPv4 and IPv6; wins over the one above.")
        acceptKeepAlive = key("ACCEPT_KEEPALIVE", .duration, "", "Keep-alive probes on accepted sockets.")
        acceptUserTimeout = key(
            "ACCEPT_USER_TIMEOUT", .duration, "", "How long sent bytes may stay unacknowledged on accepted sockets.")
        backlog = key(
            "TCP_LISTEN_BACKLOG", .integer(1...65_535), "1024", "Connections the kernel keeps until they are accepted.")
        connectTimeout = key(
            "CONNECT_TIMEOUT", .duration, isInbound ? "300ms" : "1s", "How long a connection to \(peer) may take.")
        connectKeepAlive = key("CONNECT_KEEPALIVE", .duration, "", "Keep-alive probes towards \(peer).")
        connectUserTimeout = key(
            "CONNECT_USER_TIMEOUT", .duration, "", "How long sent bytes may stay unacknowledged towards \(peer).")
        backoffMin = key(
            "CONNECT_EXP_BACKOFF_MIN", .duration, "100ms", "First pause after a failed connection; set together with the longest.")
        backoffMax = key(
            "CONNECT_EXP_BACKOFF_MAX", .duration, "500ms",
            "Longest pause. Later Linkerd waits up to \(isInbound ? 10 : 60) s; a sidecar that recovers at once is worth the attempts.")
        backoffJitter = key(
            "CONNECT_EXP_BACKOFF_JITTER", .ratio, "0.1", "Random share on top of a pause; 0 unless set beside the other two.")
        detectTimeout = key(
            "DETECT_TIMEOUT", .duration, "10s", "How long the first bytes may take until the connection is opaque.")
        let failFast = isInbound ? "1s" : "3s"
        queueCapacity = key(
            "HTTP_QUEUE_CAPACITY", .integer(1...1_000_000), "10000",
            "Requests that may wait for an endpoint of one destination.")
        failFastTimeout = key("HTTP_FAILFAST_TIMEOUT", .duration, failFast, "How long a request waits for an endpoint.")
        tcpQueueCapacity = key(
            "TCP_QUEUE_CAPACITY", .integer(1...1_000_000), "10000", "Connections that may wait for discovery.")
        tcpFailFastTimeout = key("TCP_FAILFAST_TIMEOUT", .duration, failFast, "How long a connection waits for discovery.")
        dispatchTimeout = key(
            "DISPATCH_TIMEOUT", .duration, "", "2.11's name for the fail-fast time-outs.")
        bufferCapacity = ConfigKey(
            "BUFFER_CAPACITY", .integer(1...1_000_000), "", "2.11's name for the queue capacities, both sides.")
        routerMaxIdle = key(
            "ROUTER_MAX_IDLE_AGE", .duration, "", "2.11's name for the idle times of discovery and pools.")
        discoveryIdle = key(
            "DISCOVERY_IDLE_TIMEOUT", .duration, isInbound ? "90s" : "5s",
            "How long what was learnt about a destination is kept after its last use.")
        poolIdle = key(
            "HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", .duration, "3s", "How long an idle HTTP/1 connection is kept.")
        let idleMaxName = isInbound ? "MAX_IDLE_CONNS_PER_ENDPOINT" : "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT"
        poolIdleMax = ConfigKey(
            idleMaxName, .integer(0...1_000_000), "10000", "Idle HTTP/1 connections kept per endpoint and event loop.")
        inFlightMax = key(
            "MAX_IN_FLIGHT", .integer(1...10_000_000), "100000",
            "Requests without an answer yet, per event loop; more get 503.")
        connectionsMax = key(
            "CONNECTIONS_MAX", .integer(1...10_000_000), "50000",
            "Accepted connections open at once, per event loop; more are closed as they come. Our own key.")
        headTimeout = key(
            "HTTP1_HEAD_TIMEOUT", .duration, "60s",
            "How long an HTTP/1 head may take from its first byte to its last; then it is 408. Our own key.")
        let server = "SERVER_HTTP2_"
        streamWindow = key(
            server + "INITIAL_STREAM_WINDOW_SIZE", .integer(ConfigKey.windowBytes), "",
            "The stream window on accepted connections.")
        connectionWindow = key(
            server + "INITIAL_CONNECTION_WINDOW_SIZE", .integer(ConfigKey.windowBytes), "",
            "The connection window on accepted connections.")
        adaptiveFlowControl = key(
            server + "ADAPTIVE_FLOW_CONTROL", .flag, "false", "Not together with the two windows.",
            "windows stay as they are set: they are what bounds memory")
        keepAliveInterval = key(
            server + "KEEP_ALIVE_INTERVAL", .duration, "", "Pings on silent accepted connections.")
        keepAliveTimeout = key(server + "KEEP_ALIVE_TIMEOUT", .duration, "3s", "How long such a ping may go unanswered.")
        streamsMax = key(
            server + "MAX_CONCURRENT_STREAMS", .integer(1...Int(Int32.max)), "1000", "Streams open at once on one connection.")
        frameBytes = key(
            server + "MAX_FRAME_SIZE", .integer(16_384...16_777_215), "", "Largest frame that is taken.",
            "the 16384 bytes that every peer may send are the best for a proxy's memory")
        headerListBytes = key(
            server + "MAX_HEADER_LIST_SIZE", .integer(1_024...Int(Int32.max)), "65536",
            "One request's header list as HPACK counts it; more is 431.")
        resetStreamsMax = key(
            server + "MAX_PENDING_ACCEPT_RESET_STREAMS", .integer(1...1_000_000), "1000",
            "Resets that one connection may send at once before it is told ENHANCE_YOUR_CALM.")
        sendBufferBytes = key(
            server + "MAX_SEND_BUF_SIZE", .integer(1...Int(Int32.max)), "", "Bytes queued for one stream.",
            "the windows bound what is queued")
    }
}
