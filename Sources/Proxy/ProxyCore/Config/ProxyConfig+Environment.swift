import MeshBalance
package import MeshModel
import MeshTLS
import MeshTransport
import MeshWire
import NIOCore

extension ProxyConfig {
    /// Reads every key, and throws all mistakes together.
    ///
    /// - Parameter coresAvailable: what the numbers of event loops are clamped to.
    package init(from source: some StringSource, coresAvailable: Int) throws(ConfigError) {
        var reader = KeyReader(source)
        inbound = Side(.inbound, isInbound: true, &reader)
        outbound = Side(.outbound, isInbound: false, &reader)
        adminAddress = reader.listenAddress(.adminListenAddress)
        tapAddress = reader.listenAddress(.controlListenAddress)
        tapServiceName = reader.isSet(.tapName) ? reader.text(.tapName) : nil
        policy = InboundPolicy(
            reader.word(.defaultPolicy).flatMap(DefaultPolicy.init) ?? .allUnauthenticated,
            networks: reader.list(.policyNetworks) { IPNetwork($0) })
        policy.portsRequiringIdentity = reader.ports(.portsRequiringIdentity)
        policy.portsRequiringTLS = reader.ports(.portsRequiringTLS)
        inboundIPs = reader.list(.inboundIPs) { SocketAddress.numeric($0, port: 0) }
        inboundOpaquePorts = reader.ports(.opaquePorts)
        identity = IdentityConfig.read(&reader)
        let destination = reader.control(.destinationAddress, .destinationName, needsName: identity != nil)
        destinationAddress = destination?.address
        destinationName = destination?.name ?? ""
        destinationContext = reader.text(or: .destinationContext)
        profileNetworks = reader.list(.profileNetworks) { IPNetwork($0) }
        profileSuffixes = reader.list(.profileSuffixes, ConfigGrammar.suffix)
        profileInitialTimeout = reader.duration(.profileInitialTimeout)
        let isIngress = reader.flag(.ingressMode)
        self.isIngress = isIngress
        emitsOutboundHeaders = !(reader.optional(.outboundDisablesHeaders, ConfigGrammar.flag) ?? isIngress)
        coreCount = reader.coreCount(available: max(1, coresAvailable))
        replayBytesMax = reader.integer(.replayBytesMax)
        metricsRetainIdle = reader.duration(.metricsRetainIdle)
        metricsSeriesMax = reader.integer(.metricsSeriesMax)
        metricsAuthoritiesMax = reader.integer(.metricsNamesMax)
        shutdownGrace = reader.duration(.shutdownGrace)
        shutdownAcceptGrace = reader.duration(.shutdownAcceptGrace)
        isShutdownEndpointEnabled = reader.flag(.shutdownEndpoint)
        log = reader.value(.log) { LogFilter.isValid($0) ? $0 : nil }
        logFormat = reader.word(.logFormat).flatMap(LogFormat.init) ?? .plain
        accessLog = reader.word(.accessLog).flatMap(AccessLogFormat.init)
        Self.checkTheRest(&reader, inbound: inbound, opaque: inboundOpaquePorts)
        unknownKeys = reader.unknownKeys()
        warnings = reader.warnings
        try reader.finish()
    }

    /// Keys that only have to make sense, alone and together.
    private static func checkTheRest(_ reader: inout KeyReader<some StringSource>, inbound: Side, opaque: PortSet) {
        let streams = [ConfigKey.controlStreamInitialTimeout, .controlStreamIdleTimeout, .controlStreamLifetime]
        for key in ConfigKey.all where !streams.contains(key) {
            if case .withoutEffect = key.standing { reader.check(key) }
        }
        if inbound.listenAddresses.contains(where: { opaque.contains($0.port ?? 0) }) {
            reader.reject(.opaquePorts, accepted: "ports other than the inbound proxy's own")
        }
        // Empty means none here, and only here.
        let limits = streams.map { ($0, reader.durationOrNone($0)) }
        for (shorter, longer) in [(limits[0], limits[1]), (limits[1], limits[2]), (limits[0], limits[2])] {
            if let least = shorter.1, let most = longer.1, least > most {
                reader.reject(longer.0, accepted: "at least \(shorter.0.variable)")
            }
        }
        for side in [SideKeys.inbound, .outbound] where reader.text(side.adaptiveFlowControl) == "true" {
            if reader.isSet(side.streamWindow) || reader.isSet(side.connectionWindow) {
                reader.reject(side.adaptiveFlowControl, accepted: "false where windows are set")
            }
        }
        _ = reader.control(.traceAddress, .traceName, needsName: true)
        if reader.control(.policyAddress, .policyName, needsName: true) != nil, !reader.isSet(.policyWorkload) {
            reader.reject(.policyWorkload, accepted: "text; needed with \(ConfigKey.policyAddress.variable)")
        }
    }
}

extension ProxyConfig.Side {
    fileprivate init(_ keys: SideKeys, isInbound: Bool, _ reader: inout KeyReader<some StringSource>) {
        let accept = SocketSettings(
            keepAlive: reader.span(keys.acceptKeepAlive), userTimeout: reader.span(keys.acceptUserTimeout),
            backlog: Int32(reader.integer(keys.backlog)))
        let socket = SocketSettings(
            keepAlive: reader.span(keys.connectKeepAlive), userTimeout: reader.span(keys.connectUserTimeout))
        let connect = ConnectSettings(
            timeout: reader.duration(keys.connectTimeout), backoff: Self.backoff(keys, &reader), socket: socket)
        // The later name wins; the older one is read where only it is set.
        let maxIdle = reader.optionalDuration(keys.routerMaxIdle)
        let dispatch = reader.optionalDuration(keys.dispatchTimeout)
        let capacity = reader.optionalInteger(keys.bufferCapacity)
        func later(_ key: ConfigKey, _ older: TimeAmount?) -> TimeAmount {
            let value = reader.duration(key)
            return reader.text(key) == nil ? older ?? value : value
        }
        func later(_ key: ConfigKey, _ older: Int?) -> Int {
            let value = reader.integer(key)
            return reader.text(key) == nil ? older ?? value : value
        }
        listenAddresses = reader.listenAddresses(keys, isInbound: isInbound)
        self.accept = accept
        detectTimeout = reader.duration(keys.detectTimeout)
        endpoint = EndpointSettings(
            connect: connect, poolIdleTimeout: later(keys.poolIdle, maxIdle), poolIdleMax: reader.integer(keys.poolIdleMax))
        failFastTimeout = later(keys.failFastTimeout, dispatch)
        queueMax = later(keys.queueCapacity, capacity)
        tcpFailFastTimeout = isInbound ? failFastTimeout : later(keys.tcpFailFastTimeout, dispatch)
        tcpQueueMax = isInbound ? queueMax : later(keys.tcpQueueCapacity, capacity)
        inFlightMax = reader.integer(keys.inFlightMax)
        connectionsMax = reader.integer(keys.connectionsMax)
        idleTimeout = later(keys.discoveryIdle, maxIdle)
        http2 = Self.http2(keys, &reader)
    }

    private static func backoff(_ keys: SideKeys, _ reader: inout KeyReader<some StringSource>) -> Backoff {
        if reader.isSet(keys.backoffMin) != reader.isSet(keys.backoffMax) {
            reader.reject(
                reader.isSet(keys.backoffMin) ? keys.backoffMax : keys.backoffMin,
                accepted: "a duration; the least and the most are set together or not at all")
        }
        let least = reader.duration(keys.backoffMin), most = reader.duration(keys.backoffMax)
        if least > most { reader.reject(keys.backoffMax, accepted: "at least \(keys.backoffMin.variable)") }
        let jitter = reader.optional(keys.backoffJitter, ConfigGrammar.ratio)
        return Backoff(
            minNanoseconds: UInt64(clamping: least.nanoseconds), maxNanoseconds: UInt64(clamping: most.nanoseconds),
            jitter: jitter ?? (reader.isSet(keys.backoffMin) ? 0 : ConfigGrammar.ratio(keys.backoffJitter.fallback) ?? 0))
    }

    private static func http2(_ keys: SideKeys, _ reader: inout KeyReader<some StringSource>) -> HTTP2Limits {
        var limits = HTTP2Limits()
        let stream = reader.integer(.streamWindow), connection = reader.integer(.connectionWindow)
        limits.streamWindowBytes = reader.optionalInteger(keys.streamWindow) ?? stream
        limits.connectionWindowBytes = reader.optionalInteger(keys.connectionWindow) ?? connection
        limits.concurrentStreamsMax = reader.integer(keys.streamsMax)
        limits.headerListBytesMax = reader.integer(keys.headerListBytes)
        limits.resetStreamsMax = reader.integer(keys.resetStreamsMax)
        limits.keepAliveInterval = reader.optionalDuration(keys.keepAliveInterval)
        limits.keepAliveTimeout = reader.duration(keys.keepAliveTimeout)
        limits.headTimeout = reader.duration(keys.headTimeout)
        return limits
    }
}

extension IdentityConfig {
    /// `nil` when identity is turned off, by any text, as in Linkerd 2.11; otherwise what is missing is a mistake.
    fileprivate static func read(_ reader: inout KeyReader<some StringSource>) -> IdentityConfig? {
        let isDisabled = reader.isSet(.identityDisabled)
        let minRefresh = reader.duration(.identityMinRefresh), maxRefresh = reader.duration(.identityMaxRefresh)
        let isAnchored = reader.isSet(.identityTrustAnchors)
        let anchors = isAnchored ? reader.optional(.identityTrustAnchors, anchors(pem:)) : nil
        let service = reader.control(.identityAddress, .identityName, needsName: !isDisabled)
        guard !isDisabled else { return nil }
        let named = [ConfigKey.identityLocalName, .identityServerID].first { reader.isSet($0) }
        let localName = named.flatMap { reader.text($0) }?.lowercased() ?? ""
        if localName.isEmpty {
            reader.reject(
                .identityLocalName,
                accepted: "this proxy's identity, or \(ConfigKey.identityDisabled.variable) to run without")
        }
        if !isAnchored { reader.reject(.identityTrustAnchors) }
        if service == nil, reader.text(.identityAddress) == nil { reader.reject(.identityAddress) }
        if minRefresh > maxRefresh {
            reader.reject(.identityMaxRefresh, accepted: "at least \(ConfigKey.identityMinRefresh.variable)")
        }
        guard let anchors, let service, !localName.isEmpty else { return nil }
        let serverName = reader.isSet(.identityServerName) ? reader.text(or: .identityServerName).lowercased() : localName
        return IdentityConfig(
            localName: localName, serverName: serverName, trustAnchors: anchors,
            directory: reader.text(or: .identityDirectory), tokenFile: reader.text(or: .identityTokenFile),
            address: service.address, controllerName: service.name, minRefresh: minRefresh, maxRefresh: maxRefresh)
    }

    private static func anchors(pem text: String) -> TrustAnchors? {
        do { return try TrustAnchors(pem: text) } catch { return nil }
    }
}

extension KeyReader {
    fileprivate mutating func listenAddress(_ key: ConfigKey) -> SocketAddress { value(key, SocketAddress.numeric) }

    fileprivate mutating func listenAddresses(_ keys: SideKeys, isInbound: Bool) -> [SocketAddress] {
        let single = listenAddress(keys.listenAddress)
        guard !isInbound else { return [single] }
        let several = optional(keys.listenAddresses) { text in
            ConfigGrammar.list(text, SocketAddress.numeric).flatMap { $0.count <= 2 ? $0 : nil }
        }
        return several.flatMap { $0.isEmpty ? nil : $0 } ?? [single]
    }

    /// Address and name of a control-plane service: both, or neither; a loopback host needs no name.
    /// - Returns: the name is empty where none is set.
    mutating func control(_ address: ConfigKey, _ name: ConfigKey, needsName: Bool) -> (address: Authority, name: String)? {
        let identity = text(name) ?? ""
        guard text(address) != nil else {
            if !identity.isEmpty { reject(address, accepted: "host:port; \(name.variable) is set without it") }
            return nil
        }
        let authority = optional(address) { text in Authority(text).flatMap { $0.port == nil ? nil : $0 } }
        guard let authority else { return nil }
        if needsName, identity.isEmpty, !authority.isLoopback {
            reject(name, accepted: "the identity that \(address.variable) must prove")
        }
        return (authority, identity)
    }

    /// Linkerd never refuses to start over these: a bad value is named and ignored.
    fileprivate mutating func coreCount(available: Int) -> Int {
        func lenient<Value>(_ key: ConfigKey, _ parse: (String) -> Value?) -> Value? {
            guard let text = text(key) else { return nil }
            if let value = parse(text) { return value }
            warn("\(key.variable)=\"\(text)\" is ignored: expected \(key.form.accepted)")
            return nil
        }
        func count(_ text: String) -> Int? { ConfigGrammar.integer(text, in: 1...1_024) }
        let plain = lenient(.cores, count)
        let least = lenient(.coresMin, count) ?? plain ?? 1
        let ratio = lenient(.coresMaxRatio) { text in
            ConfigGrammar.ratio(text).flatMap { $0 > 0 && $0 <= 1 ? $0 : nil }
        }
        let share = ratio.map { Int((Double(available) * $0).rounded()) }
        let most = lenient(.coresMax, count) ?? share ?? 1
        if least > available {
            warn("\(least) event loops were asked for, and there are \(available) processors")
        }
        return min(max(most, least), available)
    }
}
