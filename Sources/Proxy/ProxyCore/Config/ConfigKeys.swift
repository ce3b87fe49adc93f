// The keys that belong to the whole proxy. Names and defaults: `spec/proxy.md` 2.2 to 2.9; where 2.11 and later
// releases differ, the later name and default, and the older name as an alias in `SideKeys`.

extension ConfigKey {
    // MARK: Listeners

    static let adminListenAddress = ConfigKey(
        "ADMIN_LISTEN_ADDR", .listenAddress, "127.0.0.1:4191", "Probes, metrics, log level, shutdown.")
    static let controlListenAddress = ConfigKey(
        "CONTROL_LISTEN_ADDR", .listenAddress, "0.0.0.0:4190", "The tap server.")

    static let listeners = [adminListenAddress, controlListenAddress]

    // MARK: HTTP/2

    /// The least and the most that RFC 9113 section 6.5.2 lets a window be, the least raised to its default.
    static let windowBytes = 65_535...Int(Int32.max)

    static let streamWindow = ConfigKey(
        "HTTP2_INITIAL_STREAM_WINDOW_SIZE", .integer(windowBytes), "65535",
        "Bytes in flight on one HTTP/2 stream, both ends.")
    static let connectionWindow = ConfigKey(
        "HTTP2_INITIAL_CONNECTION_WINDOW_SIZE", .integer(windowBytes), "1048576",
        "Bytes in flight on one HTTP/2 connection, both ends.")

    static let http2 = [streamWindow, connectionWindow]

    // MARK: Discovery

    static let destinationAddress = ConfigKey(
        "DESTINATION_SVC_ADDR", .serviceAddress, "", "The discovery service; unset forwards everything to where it was going.")
    static let destinationName = ConfigKey(
        "DESTINATION_SVC_NAME", .text, "",
        "The identity that the discovery service must prove; needed with identity, unless its host is loopback.")
    static let destinationContext = ConfigKey("DESTINATION_CONTEXT", .text, "", "Opaque token sent with each lookup.")
    static let profileSuffixes = ConfigKey(
        "DESTINATION_PROFILE_SUFFIXES", .suffixes, "svc.cluster.local.", "Names eligible for lookups and labels; `.` is all.")
    static let profileNetworks = ConfigKey(
        "DESTINATION_PROFILE_NETWORKS", .networks, "", "Networks whose addresses are looked up; none means no lookups at all.")
    static let profileInitialTimeout = ConfigKey(
        "DESTINATION_PROFILE_INITIAL_TIMEOUT", .duration, "500ms", "How long an inbound request waits for its profile.")
    static let controlStreamInitialTimeout = ConfigKey(
        "CONTROL_STREAM_INITIAL_TIMEOUT", .duration, "", "How long a discovery stream may take to say something.",
        standing: .withoutEffect(streamReason))
    static let controlStreamIdleTimeout = ConfigKey(
        "CONTROL_STREAM_IDLE_TIMEOUT", .duration, "", "How long a discovery stream may be silent; at least the initial time-out.",
        standing: .withoutEffect(streamReason))
    static let controlStreamLifetime = ConfigKey(
        "CONTROL_STREAM_LIFETIME", .duration, "", "How long a discovery stream may last; at least the idle time-out.",
        standing: .withoutEffect(streamReason))
    private static let streamReason = "a stream lasts as long as its connection, which keep-alive pings watch"
    static let resolverFile = ConfigKey(
        "RESOLV_CONF", .text, "/etc/resolv.conf", "Where the resolver is configured.",
        standing: .withoutEffect("the system's resolver reads its own file"))
    static let dnsMinTTL = ConfigKey(
        "DNS_MIN_TTL", .duration, "", "Least time an answer of DNS is kept.", standing: .withoutEffect(dnsReason))
    static let dnsMaxTTL = ConfigKey(
        "DNS_MAX_TTL", .duration, "", "Most time an answer of DNS is kept.", standing: .withoutEffect(dnsReason))
    private static let dnsReason = "names are resolved anew for each connection"

    static let discovery = [
        destinationAddress, destinationName, destinationContext, profileSuffixes, profileNetworks,
        profileInitialTimeout, controlStreamInitialTimeout, controlStreamIdleTimeout, controlStreamLifetime,
        resolverFile, dnsMinTTL, dnsMaxTTL,
    ]

    // MARK: Policy

    static let defaultPolicy = ConfigKey(
        "INBOUND_DEFAULT_POLICY", .oneOf(DefaultPolicy.allCases.map(\.rawValue)), DefaultPolicy.allUnauthenticated.rawValue,
        "Who may connect to ports that no policy names; also their `srv_name` and `authz_name`.")
    static let policyNetworks = ConfigKey(
        "POLICY_CLUSTER_NETWORKS", .networks, "", "The cluster's networks, for the `cluster-` policies.")
    static let inboundIPs = ConfigKey(
        "INBOUND_IPS", .addresses, "", "The pod's addresses; connections to others are refused. Unset allows any.")
    static let inboundPorts = ConfigKey(
        "INBOUND_PORTS", .ports, "", "The workload's ports.", standing: .withoutEffect(policyReason))
    static let opaquePorts = ConfigKey(
        "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", .ports, "", "Ports whose bytes are not looked at; not the inbound port.")
    static let portsRequiringIdentity = ConfigKey(
        "INBOUND_PORTS_REQUIRE_IDENTITY", .ports, "",
        "Ports only for clients with an identity, whatever the default policy is; one whose bytes are not looked at shows none.")
    static let portsRequiringTLS = ConfigKey(
        "INBOUND_PORTS_REQUIRE_TLS", .ports, "", "Ports only for mesh TLS, with an identity or without.")
    static let gatewaySuffixes = ConfigKey(
        "INBOUND_GATEWAY_SUFFIXES", .suffixes, "", "Names that a multicluster gateway forwards.",
        standing: .withoutEffect("there is no gateway"))
    static let policyAddress = ConfigKey(
        "POLICY_SVC_ADDR", .serviceAddress, "", "The policy service.", standing: .withoutEffect(policyReason))
    static let policyName = ConfigKey(
        "POLICY_SVC_NAME", .text, "", "The policy service's identity.", standing: .withoutEffect(policyReason))
    static let policyWorkload = ConfigKey(
        "POLICY_WORKLOAD", .text, "", "Opaque token for the policy service; needed with it.",
        standing: .withoutEffect(policyReason))
    private static let policyReason = "there is no policy service to watch"

    static let policy = [
        defaultPolicy, policyNetworks, inboundIPs, inboundPorts, opaquePorts, portsRequiringIdentity, portsRequiringTLS,
        gatewaySuffixes, policyAddress, policyName, policyWorkload,
    ]

    // MARK: Identity

    static let identityDisabled = ConfigKey("IDENTITY_DISABLED", .text, "", "Anything here turns identity off.")
    static let identityDirectory = ConfigKey(
        "IDENTITY_DIR", .text, "", "A directory with `key.p8` and `csr.der`, used when both are there.")
    static let identityTrustAnchors = ConfigKey(
        "IDENTITY_TRUST_ANCHORS", .certificates, "", "The trust anchors themselves, PEM; needed for identity.")
    static let identityLocalName = ConfigKey(
        "IDENTITY_LOCAL_NAME", .text, "", "The workload's own identity; needed for identity.")
    static let identityServerName = ConfigKey(
        "IDENTITY_SERVER_NAME", .text, "", "The server name to answer to when no local name is set.")
    static let identityServerID = ConfigKey(
        "IDENTITY_SERVER_ID", .text, "", "The workload's identity when no local name is set.")
    static let identityTokenFile = ConfigKey(
        "IDENTITY_TOKEN_FILE", .text, "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "The token that proves who asks; read for each request.")
    static let identityAddress = ConfigKey(
        "IDENTITY_SVC_ADDR", .serviceAddress, "", "The identity service; needed for identity.")
    static let identityName = ConfigKey(
        "IDENTITY_SVC_NAME", .text, "", "The identity that the identity service must prove.")
    static let identityMinRefresh = ConfigKey(
        "IDENTITY_MIN_REFRESH", .duration, "10s", "Least time between two requests for a certificate.")
    static let identityMaxRefresh = ConfigKey(
        "IDENTITY_MAX_REFRESH", .duration, "24h", "Most time between two requests for a certificate.")
    static let spireAddress = ConfigKey(
        "IDENTITY_SPIRE_WORKLOAD_API_ADDRESS", .text, "", "SPIRE's workload API.", standing: .withoutEffect(spireReason))
    static let spireSocket = ConfigKey(
        "IDENTITY_SPIRE_SOCKET", .text, "", "SPIRE's workload API, older name.", standing: .withoutEffect(spireReason))
    static let spireBackoffMin = ConfigKey(
        "IDENTITY_SPIRE_EXP_BACKOFF_MIN", .duration, "100ms", "First back-off towards SPIRE.",
        standing: .withoutEffect(spireReason))
    static let spireBackoffMax = ConfigKey(
        "IDENTITY_SPIRE_EXP_BACKOFF_MAX", .duration, "1s", "Longest back-off towards SPIRE.",
        standing: .withoutEffect(spireReason))
    static let spireBackoffJitter = ConfigKey(
        "IDENTITY_SPIRE_EXP_BACKOFF_JITTER", .ratio, "0.1", "Jitter of that back-off.",
        standing: .withoutEffect(spireReason))
    private static let spireReason = "certificates come from Linkerd's identity service only"

    static let identity = [
        identityDisabled, identityDirectory, identityTrustAnchors, identityLocalName, identityServerName,
        identityServerID, identityTokenFile, identityAddress, identityName, identityMinRefresh, identityMaxRefresh,
        spireAddress, spireSocket, spireBackoffMin, spireBackoffMax, spireBackoffJitter,
    ]

    // MARK: Tap and tracing

    static let tapName = ConfigKey(
        "TAP_SVC_NAME", .text, "", "The identity that may tap; unset turns the tap server off.")
    static let traceAddress = ConfigKey(
        "TRACE_COLLECTOR_SVC_ADDR", .serviceAddress, "", "Where spans go.", standing: .withoutEffect(traceReason))
    static let traceName = ConfigKey(
        "TRACE_COLLECTOR_SVC_NAME", .text, "", "The collector's identity.", standing: .withoutEffect(traceReason))
    static let traceAttributesPath = ConfigKey(
        "TRACE_ATTRIBUTES_PATH", .text, "", "A file of span attributes.", standing: .withoutEffect(traceReason))
    static let traceServiceName = ConfigKey(
        "TRACE_SERVICE_NAME", .text, "", "The service's name in spans.", standing: .withoutEffect(traceReason))
    static let traceExtraAttributes = ConfigKey(
        "TRACE_EXTRA_ATTRIBUTES", .text, "", "More span attributes.", standing: .withoutEffect(traceReason))
    static let traceAnnotationsPath = ConfigKey(
        "TRACE_ANNOTATIONS_PATH", .text, "", "Set by injectors.", standing: .withoutEffect("Linkerd ignores it too"))
    static let traceProtocol = ConfigKey(
        "TRACE_PROTOCOL", .text, "", "Set by injectors.", standing: .withoutEffect("Linkerd ignores it too"))
    private static let traceReason = "trace headers pass through, and no spans are made"

    static let tapAndTracing = [
        tapName, traceAddress, traceName, traceAttributesPath, traceServiceName, traceExtraAttributes,
        traceAnnotationsPath, traceProtocol,
    ]

    // MARK: The process

    static let ingressMode = ConfigKey("INGRESS_MODE", .flag, "false", "The workload is an ingress controller.")
    static let outboundDisablesHeaders = ConfigKey(
        "OUTBOUND_DISABLE_INFORMATIONAL_HEADERS", .flag, "",
        "Keep `l5d-proxy-error` and its kin from applications; unset follows `INGRESS_MODE`.")
    static let replayBytesMax = ConfigKey(
        "REPLAY_BYTES_MAX", .integer(0...Int(Int32.max)), "16777216",
        "Request bytes kept per event loop in case requests are sent again; what finds no room is sent once. Our own key.")
    static let metricsRetainIdle = ConfigKey(
        "METRICS_RETAIN_IDLE", .duration, "10m", "How long a series that nobody holds stays after its last change.")
    static let metricsSeriesMax = ConfigKey(
        "METRICS_SERIES_MAX", .integer(1...10_000_000), "20000",
        "Label sets per kind of series and event loop; later ones are folded: labels without bounds say `other`. Our own key.")
    static let metricsNamesMax = ConfigKey(
        "METRICS_AUTHORITIES_MAX", .integer(0...1_000_000), "100",
        "Authorities counted apart per inbound port and event loop; later ones share the series without one. Our own key.")
    static let hostnameLabels = ConfigKey(
        "OUTBOUND_METRICS_HOSTNAME_LABELS", .flag, "false", "Fill the `hostname` label of policy routes.",
        standing: .withoutEffect("there are no policy routes"))
    static let authorityLabels = ConfigKey(
        "INBOUND_METRICS_AUTHORITY_LABELS", .oneOf(["", "unsafe"]), "",
        "Later Linkerd leaves `authority` off inbound series without `unsafe`.",
        standing: .withoutEffect("ours always have it, bounded by `METRICS_AUTHORITIES_MAX`"))
    static let shutdownGrace = ConfigKey(
        "SHUTDOWN_GRACE_PERIOD", .duration, "2m", "How long open connections may finish after the signal to end.")
    static let shutdownAcceptGrace = ConfigKey(
        "SHUTDOWN_ACCEPT_GRACE", .duration, "3s",
        "How long new connections are still taken after the signal, while clients learn of it. Our own key.")
    static let shutdownEndpoint = ConfigKey(
        "SHUTDOWN_ENDPOINT_ENABLED", .flag, "false", "Whether the admin port answers `/shutdown`.")
    static let log = ConfigKey(
        "LOG", .text, "warn,linkerd=info", "Log directives, `level` or `target=level` separated by commas; `off` ends logging.")
    static let logFormat = ConfigKey("LOG_FORMAT", .oneOf(["PLAIN", "JSON"]), "PLAIN", "Shape of log lines, in any case.")
    static let accessLog = ConfigKey(
        "ACCESS_LOG", .oneOf(["apache", "json"]), "", "One line to standard error for each inbound HTTP request.")
    static let cores = ConfigKey("CORES", .integer(1...1_024), "1", "Event loops, at most the processors there are.")
    static let coresMin = ConfigKey("CORES_MIN", .integer(1...1_024), "", "Least event loops; unset follows `CORES`.")
    static let coresMax = ConfigKey("CORES_MAX", .integer(1...1_024), "", "Most event loops.")
    static let coresMaxRatio = ConfigKey(
        "CORES_MAX_RATIO", .ratio, "", "Event loops as a share of the processors, above 0 and up to 1.")

    static let process = [
        ingressMode, outboundDisablesHeaders, replayBytesMax, metricsRetainIdle, metricsSeriesMax, metricsNamesMax, hostnameLabels,
        authorityLabels, shutdownGrace, shutdownAcceptGrace, shutdownEndpoint, log, logFormat, accessLog, cores, coresMin,
        coresMax, coresMaxRatio,
    ]
}
