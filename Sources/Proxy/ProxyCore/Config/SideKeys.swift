/// The keys that inbound and outbound both have, and the few that differ in name.
struct SideKeys: Sendable {
    static let inbound = SideKeys(side: "INBOUND")
    static let outbound = SideKeys(side: "OUTBOUND")

    private let side: String
    private var isInbound: Bool { side == "INBOUND" }
    private var peer: String { isInbound ? "the workload" : "endpoints" }

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

    private func key(
        _ name: String, _ form: ConfigKey.Form, _ fallback: String = "", _ summary: String, _ reason: String? = nil
    ) -> ConfigKey {
        let standing = reason.map { ConfigKey.Standing.withoutEffect($0) } ?? .inEffect
        return ConfigKey("\(side)_\(name)", form, fallback, summary, standing: standing)
    }

    var listenAddress: ConfigKey {
        key(
            "LISTEN_ADDR", .listenAddress, isInbound ? "0.0.0.0:4143" : "127.0.0.1:4140", "Where it listens.")
    }

    var listenAddresses: ConfigKey {
        key(
            "LISTEN_ADDRS", .listenAddresses, "", "Where it listens, IPv4 and IPv6; wins over the one above.")
    }

    var acceptKeepAlive: ConfigKey {
        key("ACCEPT_KEEPALIVE", .duration, "", "Keep-alive probes on accepted sockets.")
    }

    var acceptUserTimeout: ConfigKey {
        key(
            "ACCEPT_USER_TIMEOUT", .duration, "", "How long sent bytes may stay unacknowledged on accepted sockets.")
    }

    var backlog: ConfigKey {
        key(
            "TCP_LISTEN_BACKLOG", .integer(1...65_535), "1024", "Connections the kernel keeps until they are accepted.")
    }

    var connectTimeout: ConfigKey {
        key(
            "CONNECT_TIMEOUT", .duration, isInbound ? "300ms" : "1s", "How long a connection to \(peer) may take.")
    }

    var connectKeepAlive: ConfigKey {
        key("CONNECT_KEEPALIVE", .duration, "", "Keep-alive probes towards \(peer).")
    }

    var connectUserTimeout: ConfigKey {
        key(
            "CONNECT_USER_TIMEOUT", .duration, "", "How long sent bytes may stay unacknowledged towards \(peer).")
    }

    var backoffMin: ConfigKey {
        key(
            "CONNECT_EXP_BACKOFF_MIN", .duration, "100ms", "First pause after a failed connection; set together with the longest.")
    }

    var backoffMax: ConfigKey {
        key(
            "CONNECT_EXP_BACKOFF_MAX", .duration, "500ms",
            "Longest pause. Later Linkerd waits up to \(isInbound ? 10 : 60) s; a sidecar that recovers at once is worth the attempts.")
    }

    var backoffJitter: ConfigKey {
        key(
            "CONNECT_EXP_BACKOFF_JITTER", .ratio, "0.1", "Random share on top of a pause; 0 unless set beside the other two.")
    }

    var detectTimeout: ConfigKey {
        key(
            "DETECT_TIMEOUT", .duration, "10s", "How long the first bytes may take until the connection is opaque.")
    }

    var queueCapacity: ConfigKey {
        key(
            "HTTP_QUEUE_CAPACITY", .integer(1...1_000_000), "10000",
            "Requests that may wait for an endpoint of one destination.")
    }

    var failFastTimeout: ConfigKey {
        key("HTTP_FAILFAST_TIMEOUT", .duration, isInbound ? "1s" : "3s", "How long a request waits for an endpoint.")
    }

    var tcpQueueCapacity: ConfigKey {
        key(
            "TCP_QUEUE_CAPACITY", .integer(1...1_000_000), "10000", "Connections that may wait for discovery.")
    }

    var tcpFailFastTimeout: ConfigKey {
        key("TCP_FAILFAST_TIMEOUT", .duration, isInbound ? "1s" : "3s", "How long a connection waits for discovery.")
    }

    // Names that 2.11 had for the same, read when the later ones are not set.

    var dispatchTimeout: ConfigKey {
        key(
            "DISPATCH_TIMEOUT", .duration, "", "2.11's name for the fail-fast time-outs.")
    }

    var bufferCapacity: ConfigKey {
        ConfigKey(
            "BUFFER_CAPACITY", .integer(1...1_000_000), "", "2.11's name for the queue capacities, both sides.")
    }

    var routerMaxIdle: ConfigKey {
        key(
            "ROUTER_MAX_IDLE_AGE", .duration, "", "2.11's name for the idle times of discovery and pools.")
    }

    var discoveryIdle: ConfigKey {
        key(
            "DISCOVERY_IDLE_TIMEOUT", .duration, isInbound ? "90s" : "5s",
            "How long what was learnt about a destination is kept after its last use.")
    }

    var poolIdle: ConfigKey {
        key(
            "HTTP1_CONNECTION_POOL_IDLE_TIMEOUT", .duration, "3s", "How long an idle HTTP/1 connection is kept.")
    }

    var poolIdleMax: ConfigKey {
        ConfigKey(
            isInbound ? "MAX_IDLE_CONNS_PER_ENDPOINT" : "OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT",
            .integer(0...1_000_000), "10000", "Idle HTTP/1 connections kept per endpoint and event loop.")
    }

    var inFlightMax: ConfigKey {
        key(
            "MAX_IN_FLIGHT", .integer(1...10_000_000), "100000",
            "Requests without an answer yet, per event loop; more get 503.")
    }

    // Our own: bounds against clients that hold connections without using them.

    var connectionsMax: ConfigKey {
        key(
            "CONNECTIONS_MAX", .integer(1...10_000_000), "50000",
            "Accepted connections open at once, per event loop; more are closed as they come. Our own key.")
    }

    var headTimeout: ConfigKey {
        key(
            "HTTP1_HEAD_TIMEOUT", .duration, "60s",
            "How long an HTTP/1 head may take from its first byte to its last; then it is 408. Our own key.")
    }

    var streamWindow: ConfigKey {
        key(
            "SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE", .integer(ConfigKey.windowBytes), "",
            "The stream window on accepted connections.")
    }

    var connectionWindow: ConfigKey {
        key(
            "SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", .integer(ConfigKey.windowBytes), "",
            "The connection window on accepted connections.")
    }

    var adaptiveFlowControl: ConfigKey {
        key(
            "SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL", .flag, "false", "Not together with the two windows.",
            "windows stay as they are set: they are what bounds memory")
    }

    var keepAliveInterval: ConfigKey {
        key(
            "SERVER_HTTP2_KEEP_ALIVE_INTERVAL", .duration, "", "Pings on silent accepted connections.")
    }

    var keepAliveTimeout: ConfigKey {
        key("SERVER_HTTP2_KEEP_ALIVE_TIMEOUT", .duration, "3s", "How long such a ping may go unanswered.")
    }

    var streamsMax: ConfigKey {
        key(
            "SERVER_HTTP2_MAX_CONCURRENT_STREAMS", .integer(1...Int(Int32.max)), "1000", "Streams open at once on one connection.")
    }

    var frameBytes: ConfigKey {
        key(
            "SERVER_HTTP2_MAX_FRAME_SIZE", .integer(16_384...16_777_215), "", "Largest frame that is taken.",
            "the 16384 bytes that every peer may send are the best for a proxy's memory")
    }

    var headerListBytes: ConfigKey {
        key(
            "SERVER_HTTP2_MAX_HEADER_LIST_SIZE", .integer(1_024...Int(Int32.max)), "65536",
            "One request's header list as HPACK counts it; more is 431.")
    }

    var resetStreamsMax: ConfigKey {
        key(
            "SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS", .integer(1...1_000_000), "1000",
            "Resets that one connection may send at once before it is told ENHANCE_YOUR_CALM.")
    }

    var sendBufferBytes: ConfigKey {
        key(
            "SERVER_HTTP2_MAX_SEND_BUF_SIZE", .integer(1...Int(Int32.max)), "", "Bytes queued for one stream.",
            "the windows bound what is queued")
    }
}
