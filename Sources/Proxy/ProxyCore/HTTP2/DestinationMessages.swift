import MeshAPI
import NIOCore
import SwiftProtobuf

// From the wire's messages to the proxy's own words. What cannot be used is left out, as the contract says:
// an address without an IP, a port of zero.

extension ProfileUpdate {
    init(_ message: Io_Linkerd_Proxy_Destination_DestinationProfile) {
        var profile = DestinationProfile(
            fullyQualifiedName: message.fullyQualifiedName.isEmpty ? nil : message.fullyQualifiedName,
            isOpaque: message.opaqueProtocol,
            endpoint: message.hasEndpoint ? DiscoveredEndpoint(message.endpoint, setLabels: [:]) : nil,
            parent: message.hasParentRef ? ResourceReference(message.parentRef) : nil)
        profile.takeRoutes(message)
        self = .profile(profile)
    }
}

extension EndpointsUpdate {
    /// - Parameter isFirst: nothing came on this stream yet, so an `add` is the whole set.
    /// - Returns: nil for an update that says nothing.
    init?(_ message: Io_Linkerd_Proxy_Destination_Update, isFirst: Bool) {
        switch message.update {
        case .add(let set):
            let endpoints = set.addrs.compactMap { DiscoveredEndpoint($0, setLabels: set.metricLabels) }
            guard !endpoints.isEmpty else { return nil }
            self = isFirst ? .replace(endpoints) : .add(endpoints)
        case .remove(let set):
            let addresses = set.addrs.compactMap(SocketAddress.init(_:))
            guard !addresses.isEmpty else { return nil }
            self = .remove(addresses)
        case .noEndpoints(let none):
            self = .noEndpoints(exists: none.exists)
        case nil:
            return nil
        }
    }
}

extension DiscoveredEndpoint {
    init?(_ message: Io_Linkerd_Proxy_Destination_WeightedAddr, setLabels: [String: String]) {
        guard message.hasAddr, let address = SocketAddress(message.addr) else { return nil }
        var identity: String?
        var serverName: String?
        if message.hasTlsIdentity {
            switch message.tlsIdentity.strategy {
            case .dnsLikeIdentity(let dns): identity = dns.name
            case .uriLikeIdentity(let uri): identity = uri.uri
            case nil: break
            }
            if message.tlsIdentity.hasServerName { serverName = message.tlsIdentity.serverName.name }
        }
        self.init(
            address: address, weight: message.weight,
            metricLabels: setLabels.merging(message.metricLabels) { _, own in own },
            protocolHint: message.hasProtocolHint ? ProtocolHint(message.protocolHint) : ProtocolHint(),
            tlsIdentity: identity, serverName: serverName,
            authorityOverride: message.hasAuthorityOverride
                ? message.authorityOverride.authorityOverride : nil,
            keepAlive: message.hasHTTP2 && message.http2.hasKeepAlive ? KeepAlive(message.http2.keepAlive) : nil)
    }
}

extension DiscoveredEndpoint.KeepAlive {
    /// - Returns: nil when the message asks for no pings: an interval or a timeout that is not positive.
    init?(_ message: Io_Linkerd_Proxy_Destination_Http2ClientParams.KeepAlive) {
        guard let interval = TimeAmount(message.interval), let timeout = TimeAmount(message.timeout) else { return nil }
        self.init(interval: interval, timeout: timeout, isWhileIdle: message.whileIdle)
    }
}

extension TimeAmount {
    /// - Returns: nil when the span is not positive, or longer than a year.
    init?(_ message: Google_Protobuf_Duration) {
        guard message.seconds >= 0, message.seconds < 31_536_000, message.nanos >= 0 else { return nil }
        let nanoseconds = message.seconds * 1_000_000_000 + Int64(message.nanos)
        guard nanoseconds > 0 else { return nil }
        self = .nanoseconds(nanoseconds)
    }
}

extension DiscoveredEndpoint.ProtocolHint {
    init(_ message: Io_Linkerd_Proxy_Destination_ProtocolHint) {
        self.init()
        switch message.protocol {
        case .h2: isHTTP2 = true
        case .opaque: isOpaque = true
        case nil: break
        }
        if message.hasOpaqueTransport {
            opaqueTransportPort = UInt16(exactly: message.opaqueTransport.inboundPort).flatMap {
                $0 == 0 ? nil : $0
            }
        }
    }
}

extension ResourceReference {
    init?(_ message: Io_Linkerd_Proxy_Meta_Metadata) {
        guard case .resource(let resource) = message.kind else { return nil }
        self.init(
            group: resource.group, kind: resource.kind, namespace: resource.namespace, name: resource.name,
            port: UInt16(exactly: resource.port) ?? 0)
    }
}

extension SocketAddress {
    init?(_ message: Io_Linkerd_Proxy_Net_TcpAddress) {
        guard message.hasIp, message.port > 0, message.port <= 65_535 else { return nil }
        var packed = ByteBuffer()
        switch message.ip.ip {
        case .ipv4(let bits): packed.writeInteger(bits)
        case .ipv6(let bits):
            packed.writeInteger(bits.first)
            packed.writeInteger(bits.last)
        case nil: return nil
        }
        // The length is 4 or 16 by construction, the only thing that could be wrong with it.
        guard let address = try? SocketAddress(packedIPAddress: packed, port: Int(message.port)) else {
            return nil
        }
        self = address
    }
}
