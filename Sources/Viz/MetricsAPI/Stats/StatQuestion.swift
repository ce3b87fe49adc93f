package import MeshAPI
package import MeshModel
package import MeshRollup

/// A `StatSummaryRequest` that was read and found in order.
package struct StatQuestion: Sendable {
    /// Which traffic counts.
    package enum Filter: Sendable, Equatable {
        case none
        case to(TrafficEnd)
        case from(TrafficEnd)

        /// The other end.
        package var end: TrafficEnd? {
            switch self {
            case .none: nil
            case .to(let end), .from(let end): end
            }
        }
    }

    package let kinds: [ResourceKind]
    package let namespace: String
    package let name: String
    package let labels: LabelQuery
    package let filter: Filter
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
        guard let kind = ResourceKind(alias: text), kind != .authority, kind != .serviceprofile else {
            throw StatError(
                .badRequest, "cannot find Kubernetes canonical name from friendly name [\(text)]")
        }
        return kind
    }

    private static func filter(
        _ request: Linkerd2_Viz_StatSummaryRequest, selected: ResourceKind
    ) throws(StatError) -> Filter {
        switch request.outbound {
        case nil, .some(.none): return .none
        case .toResource(let resource):
            return .to(try end(resource, selected: selected, word: "to"))
        case .fromResource(let resource):
            let end = try end(resource, selected: selected, word: "from")
            guard end.kind != .service else {
                throw StatError(.badRequest, "service is not supported as a target on 'from' queries")
            }
            return .from(end)
        }
    }

    private static func end(
        _ resource: Linkerd2_Viz_Resource, selected: ResourceKind, word: String
    ) throws(StatError) -> TrafficEnd {
        let kind = try kind(resource.type)
        guard kind != .all else {
            throw StatError(.badRequest, "resource type 'all' is not supported as a filter")
        }
        guard !kind.isPolicy, !selected.isPolicy else {
            throw StatError(.badRequest, "'\(word)' queries are not supported with policy resources")
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

extension Linkerd2_Viz_BasicStats {
    /// Counts and quantiles; `nil` when nothing was classified.
    package init?(_ rollup: Rollup) {
        guard rollup.responses > 0 else { return nil }
        self.init()
        successCount = rollup[.successes]
        failureCount = rollup[.failures]
        func quantile(_ quantile: Double) -> UInt64 {
            UInt64((rollup.latency.quantile(quantile)?.milliseconds ?? 0).rounded())
        }
        latencyMsP50 = quantile(0.5)
        latencyMsP95 = quantile(0.95)
        latencyMsP99 = quantile(0.99)
    }
}

extension Linkerd2_Viz_TcpStats {
    /// Connections now, bytes over the window.
    package init(_ rollup: Rollup) {
        self.init()
        openConnections = rollup.openConnections?.last ?? 0
        readBytesTotal = rollup[.readBytes]
        writeBytesTotal = rollup[.writeBytes]
    }
}
