// What a caller asks: `TapByResourceRequest`, checked, with the part that proxies can answer by themselves
// compiled into their own language. Pure. Source: `spec/viz.md` 3.4 to 3.6.

package import MeshAPI
package import MeshModel
package import MetricsAPI
import SwiftProtobuf

/// Why a tap is refused.
package struct TapRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// The closed set of reasons; each has its gRPC code and HTTP status.
    package enum Kind: Sendable, CaseIterable {
        case invalidArgument, unimplemented, notFound, unauthenticated, forbidden, unavailable
    }

    package let kind: Kind
    package let message: String
    package var description: String { message }

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// A checked question.
package struct TapQuestion: Sendable, Equatable {
    /// Requests each second when the caller names no rate.
    package static let ratePerSecondDefault: Double = 100
    /// Requests each second that a caller may ask for at most.
    package static let ratePerSecondMax: Double = 100_000

    package typealias ProxyMatch = Io_Linkerd_Proxy_Tap_ObserveRequest.Match

    /// What is tapped: `namespace` or a kind that owns pods.
    package let kind: ResourceKind
    /// The tapped object's namespace; for a namespace its own name.
    package let namespace: String
    /// Empty taps all of the kind.
    package let name: String
    package let selector: LabelQuery
    package let ratePerSecond: Double
    /// Evaluated by the proxies.
    package let match: ProxyMatch
    package let wantsHeaders: Bool
    /// Evaluated here, once a response is known.
    package let filter: ResponseFilter
    package let wantsLosses: Bool

    /// Reads a request as it came on the wire, our extension of it included.
    ///
    /// - Throws: `invalidArgument` or `unimplemented`, with words for the caller.
    package init(bytes: [UInt8]) throws(TapRefusal) {
        let request: Linkerd2_Tap_TapByResourceRequest
        let more: Linkerd2_Tap_Live_RequestExtension
        do {
            request = try Linkerd2_Tap_TapByResourceRequest(serializedBytes: bytes)
            more = try Linkerd2_Tap_Live_RequestExtension(serializedBytes: bytes)
        } catch {
            throw TapRefusal(.invalidArgument, "malformed tap request")
        }
        try self.init(request, more)
    }

    /// Checks a decoded request.
    package init(
        _ request: Linkerd2_Tap_TapByResourceRequest, _ more: Linkerd2_Tap_Live_RequestExtension = .init()
    ) throws(TapRefusal) {
        guard request.hasTarget, request.target.hasResource, !request.target.resource.type.isEmpty else {
            throw TapRefusal(.invalidArgument, "TapByResource received nil target ResourceSelection")
        }
        let resource = request.target.resource
        kind = try Self.kind(resource.type, allowed: Self.targets)
        guard kind != .namespace || !resource.name.isEmpty || !resource.namespace.isEmpty else {
            throw TapRefusal(.invalidArgument, "a namespace must be named")
        }
        name = kind == .namespace ? (resource.name.isEmpty ? resource.namespace : resource.name) : resource.name
        namespace = kind == .namespace ? name : resource.namespace
        guard !namespace.isEmpty else { throw TapRefusal(.invalidArgument, "the target has no namespace") }
        do {
            selector = try LabelQuery(request.target.labelSelector)
        } catch {
            throw TapRefusal(.invalidArgument, error.message)
        }
        let rate = Double(request.maxRps)
        guard rate.isFinite, rate >= 0, rate <= Self.ratePerSecondMax else {
            throw TapRefusal(.invalidArgument, "max-rps must be between 0 and \(Int(Self.ratePerSecondMax))")
        }
        ratePerSecond = rate == 0 ? Self.ratePerSecondDefault : rate
        match = try Self.proxyMatch(request)
        filter = try ResponseFilter(more.filter)
        var asksHeaders = false
        if case .http(let http)? = request.extract.extract, case .headers? = http.extract { asksHeaders = true }
        wantsHeaders = asksHeaders
        wantsLosses = more.wantsLosses
    }

    /// Kinds that can be tapped.
    package static let targets: Set<ResourceKind> = [
        .cronjob, .daemonset, .deployment, .job, .namespace, .pod, .replicaset, .replicationcontroller, .statefulset,
    ]
    /// Kinds that traffic can be sent to.
    package static let destinations = targets.union([.service])

    private static func kind(_ type: String, allowed: Set<ResourceKind>) throws(TapRefusal) -> ResourceKind {
        guard let kind = ResourceKind(alias: type), allowed.contains(kind) else {
            throw TapRefusal(.unimplemented, "unsupported resource type [\(type)]")
        }
        return kind
    }

    // MARK: The proxies' part

    private static func proxyMatch(
        _ request: Linkerd2_Tap_TapByResourceRequest
    ) throws(TapRefusal) -> ProxyMatch {
        var parts: [ProxyMatch] = []
        if request.hasMatch, let match = request.match.match {
            guard case .all(let sequence) = match else {
                throw TapRefusal(.unimplemented, "unexpected match specified: only a list that must hold as a whole")
            }
            for part in sequence.matches { parts += try proxyParts(part) }
        }
        let all = parts
        return .with { $0.all.matches = all }
    }

    private static func proxyParts(
        _ part: Linkerd2_Tap_TapByResourceRequest.Match
    ) throws(TapRefusal) -> [ProxyMatch] {
        switch part.match {
        case .destinations(let selection): return try destination(selection)
        case .http(let http):
            guard let match = http.match else { return [] }
            return [.with { $0.http = proxyHTTP(match) }]
        case .all, .any, .not, nil:
            throw TapRefusal(.unimplemented, "unexpected match specified: nested matches are not supported")
        }
    }

    private static func proxyHTTP(
        _ match: Linkerd2_Tap_TapByResourceRequest.Match.Http.OneOf_Match
    ) -> ProxyMatch.Http {
        .with {
            switch match {
            case .scheme(let text):
                switch text.lowercased() {
                case "http": $0.scheme.registered = .http
                case "https": $0.scheme.registered = .https
                default: $0.scheme.unregistered = text
                }
            case .method(let text):
                // Methods are case-sensitive on the wire, and people type them in lower case.
                $0.method.unregistered = text.uppercased()
            case .authority(let text): $0.authority.exact = text
            case .path(let text): $0.path.prefix = text
            }
        }
    }

    /// The labels that discovery gives to endpoints of a resource.
    private static func destination(
        _ selection: Linkerd2_Viz_ResourceSelection
    ) throws(TapRefusal) -> [ProxyMatch] {
        let resource = selection.resource
        let kind = try kind(resource.type, allowed: destinations)
        func label(_ key: String, _ value: String) -> ProxyMatch {
            .with {
                $0.destinationLabel.key = key
                $0.destinationLabel.value = value
            }
        }
        var parts: [ProxyMatch] = []
        if kind == .namespace {
            let name = resource.name.isEmpty ? resource.namespace : resource.name
            if !name.isEmpty { parts.append(label("namespace", name)) }
        } else {
            if !resource.name.isEmpty { parts.append(label(kind.metricLabel, resource.name)) }
            if !resource.namespace.isEmpty { parts.append(label("namespace", resource.namespace)) }
        }
        return parts
    }
}
