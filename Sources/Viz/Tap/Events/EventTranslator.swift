// From a proxy's event to the one that callers get: the same, with workload names where the proxy knew only
// addresses, and without what nobody should see. Pure.

package import MeshAPI
package import MeshModel
import SwiftProtobuf

/// Translates events of `io.linkerd.proxy.tap` into events of `linkerd2.tap`.
package struct EventTranslator: Sendable {
    package typealias ProxyEvent = Io_Linkerd_Proxy_Tap_TapEvent

    private let directory: PodDirectory
    private let privacy: HeaderPrivacy
    private let wantsHeaders: Bool

    /// - Parameter wantsHeaders: the caller asked for headers; a filter may have made the proxies send them all
    ///   the same.
    package init(directory: PodDirectory, privacy: HeaderPrivacy, wantsHeaders: Bool) {
        self.directory = directory
        self.privacy = privacy
        self.wantsHeaders = wantsHeaders
    }

    /// One event.
    package func translated(_ event: ProxyEvent) -> Linkerd2_Tap_TapEvent {
        var result = Linkerd2_Tap_TapEvent()
        if event.hasSource { result.source = Self.address(event.source) }
        if event.hasDestination { result.destination = Self.address(event.destination) }
        result.proxyDirection =
            Linkerd2_Tap_TapEvent.ProxyDirection(rawValue: event.proxyDirection.rawValue) ?? .unknown
        result.sourceMeta.labels = enriched(event.sourceMeta.labels, event.source)
        // Outbound, discovery named the endpoint already.
        result.destinationMeta.labels =
            event.proxyDirection == .inbound
            ? enriched(event.destinationMeta.labels, event.destination) : event.destinationMeta.labels
        result.routeMeta.labels = event.routeMeta.labels
        result.http = http(event.http)
        return result
    }

    /// What the proxy says of itself (`tls`, identities) stands before what the address says.
    private func enriched(
        _ labels: [String: String], _ address: Io_Linkerd_Proxy_Net_TcpAddress
    ) -> [String: String] {
        labels.merging(directory.labels(ip: IPText.text(address.ip))) { own, _ in own }
    }

    private static func address(_ address: Io_Linkerd_Proxy_Net_TcpAddress) -> Linkerd2_Common_Net_TcpAddress {
        .with {
            $0.port = address.port
            switch address.ip.ip {
            case .ipv4(let bits): $0.ip.ipv4 = bits
            case .ipv6(let bits):
                $0.ip.ipv6.first = bits.first
                $0.ip.ipv6.last = bits.last
            case nil: break
            }
        }
    }

    // MARK: The HTTP part

    private func http(_ http: ProxyEvent.Http) -> Linkerd2_Tap_TapEvent.Http {
        var result = Linkerd2_Tap_TapEvent.Http()
        switch http.event {
        case .requestInit(let part): result.requestInit = requestInit(part)
        case .responseInit(let part):
            result.responseInit.id = Self.id(part.id)
            result.responseInit.httpStatus = part.httpStatus
            if part.hasSinceRequestInit { result.responseInit.sinceRequestInit = part.sinceRequestInit }
            if wantsHeaders { result.responseInit.headers = privacy.shown(part.headers) }
        case .responseEnd(let part): result.responseEnd = responseEnd(part)
        case nil: break
        }
        return result
    }

    private func requestInit(_ part: ProxyEvent.Http.RequestInit) -> Linkerd2_Tap_TapEvent.Http.RequestInit {
        var result = Linkerd2_Tap_TapEvent.Http.RequestInit()
        result.id = Self.id(part.id)
        switch part.method.type {
        case .registered(let known):
            result.method.registered = Linkerd2_Viz_HttpMethod.Registered(rawValue: known.rawValue) ?? .get
        case .unregistered(let text): result.method.unregistered = text
        case nil: break
        }
        switch part.scheme.type {
        case .registered(let known):
            result.scheme.registered = Linkerd2_Viz_Scheme.Registered(rawValue: known.rawValue) ?? .http
        case .unregistered(let text): result.scheme.unregistered = text
        case nil: break
        }
        result.authority = part.authority
        result.path = part.path
        if wantsHeaders { result.headers = privacy.shown(part.headers) }
        return result
    }

    private func responseEnd(_ part: ProxyEvent.Http.ResponseEnd) -> Linkerd2_Tap_TapEvent.Http.ResponseEnd {
        var result = Linkerd2_Tap_TapEvent.Http.ResponseEnd()
        result.id = Self.id(part.id)
        if part.hasSinceRequestInit { result.sinceRequestInit = part.sinceRequestInit }
        if part.hasSinceResponseInit { result.sinceResponseInit = part.sinceResponseInit }
        result.responseBytes = part.responseBytes
        if part.hasEos {
            switch part.eos.end {
            case .grpcStatusCode(let code): result.eos.grpcStatusCode = code
            case .resetErrorCode(let code): result.eos.resetErrorCode = code
            case nil: result.eos = Linkerd2_Viz_Eos()
            }
        }
        if wantsHeaders { result.trailers = privacy.shown(part.trailers) }
        return result
    }

    private static func id(_ id: ProxyEvent.Http.StreamId) -> Linkerd2_Tap_TapEvent.Http.StreamId {
        .with {
            $0.base = id.base
            $0.stream = id.stream
        }
    }
}

extension IPText {
    /// The address's text; empty without one.
    package static func text(_ address: Io_Linkerd_Proxy_Net_IPAddress) -> String {
        switch address.ip {
        case .ipv4(let bits): ipv4(bits)
        case .ipv6(let bits): ipv6(bits.first, bits.last)
        case nil: ""
        }
    }
}
