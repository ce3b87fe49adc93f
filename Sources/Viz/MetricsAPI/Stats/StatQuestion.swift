package import MeshAPI
package import MeshModel
package import MeshRollup

/// A `StatSummaryRequest` that was read and found in order.
package struct StatQuestion: Sendable {
    package let kinds: [ResourceKind]
    package let namespace: String
    package let name: String
    package let labels: LabelQuery
    package let filter: TrafficFilter
    package let window: StatWindow
    package let skipsStats: Bool
    package let wantsTCP: Bool

    /// Checks a request.
    ///
    /// - Throws: `StatError` with the texts that Linkerd's clients know.
    package init(_ request: Linkerd2_Viz_StatSummaryRequest, now: UnixTime) throws(StatError) {
        guard request.hasSelector, request.selector.hasResource else {
            throw StatError(.badRequest, "StatSummary request missing Selector Resource")
        }
        let resource = request.selector.resource
        let kind = try Self.kind(resource.type)
        kinds = kind == .all ? ResourceKind.membersOfAll : [kind]
        namespace = kind == .namespace ? "" : resource.namespace
        name = resource.name
        labels = try LabelQuery(request.selector.labelSelector)
        filter = try Self.filter(request, selected: kind)
        window = try StatWindow(request.timeWindow, now: now)
        skipsStats = request.skipStats
        wantsTCP = request.tcpStats
    }

    /// The kind that a request names, in any of its spellings.
    package static func kind(_ text: String) throws(StatError) -> ResourceKind {
        guard let kind = ResourceKind(alias: text), kind != .serviceprofile else {
            throw StatError(
                .badRequest, "cannot find Kubernetes canonical name from friendly name [\(text)]")
        }
        return kind
    }

    private static func filter(
        _ request: Linkerd2_Viz_StatSummaryRequest, selected: ResourceKind
    ) throws(StatError) -> TrafficFilter {
        switch request.outbound {
        case nil, .some(.none): .none
        case .toResource(let resource): .to(try end(resource, selected: selected, word: "to"))
        case .fromResource(let resource): .from(try end(resource, selected: selected, word: "from"))
        }
    }

    /// The other end that a request names by `to` or `from`.
    package static func end(
        _ resource: Linkerd2_Viz_Resource, selected: ResourceKind, word: String
    ) throws(StatError) -> TrafficEnd {
        let kind = try kind(resource.type)
        guard kind != .all else {
            throw StatError(.badRequest, "resource type 'all' is not supported as a filter")
        }
        guard !kind.isPolicy, !selected.isPolicy else {
            throw StatError(.badRequest, "'\(word)' queries are not supported with policy resources")
        }
        guard kind != .trafficsplit else {
            throw StatError(.badRequest, "trafficsplit is not supported as a target on '\(word)' queries")
        }
        guard word == "to" || (kind != .service && kind != .authority) else {
            throw StatError(.badRequest, "\(kind.name) is not supported as a target on 'from' queries")
        }
        return TrafficEnd(kind: kind, namespace: resource.namespace, name: resource.name)
    }
}

extension ResourceKind {
    /// Whether it is an object of the policy API.
    package var isPolicy: Bool {
        switch self {
        case .server, .serverauthorization, .authorizationpolicy, .httproute: true
        default: false
        }
    }
}
