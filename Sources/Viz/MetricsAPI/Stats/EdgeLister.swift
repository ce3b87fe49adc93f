package import MeshAPI
import MeshModel
package import MeshRollup

/// Answers `Edges`: who talked to whom in the last minute, and how it was secured.
package struct EdgeLister: Sendable {
    /// How far back an edge counts as alive.
    static let windowText = "1m"

    let index: ClusterIndex
    let backend: any MetricsBackend
    let now: UnixTime

    package init(index: ClusterIndex, backend: any MetricsBackend, now: UnixTime) {
        self.index = index
        self.backend = backend
        self.now = now
    }

    /// The edges between objects of the requested kind that touch the requested namespace.
    package func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> [Linkerd2_Viz_Edge] {
        guard request.hasSelector, request.selector.hasResource else {
            throw StatError(.badRequest, "Edges request missing Selector Resource")
        }
        let resource = request.selector.resource
        let query = EdgeQuery(
            kind: try Self.kind(resource.type), namespace: resource.namespace,
            window: try StatWindow(Self.windowText, now: now))
        return try await backend.edges(query).filter { $0.stats.openConnections > 0 || $0.stats.responses > 0 }
            .map { Linkerd2_Viz_Edge($0, index) }
    }

    /// A kind that edges connect.
    static func kind(_ text: String) throws(StatError) -> ResourceKind {
        let kind = try StatQuestion.kind(text)
        guard kind.isWorkload || kind == .namespace else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        return kind
    }
}

extension Linkerd2_Viz_Edge {
    /// An edge with the identities of both ends, or why there are none.
    init(_ traffic: EdgeTraffic, _ index: ClusterIndex) {
        self.init()
        src = Linkerd2_Viz_Resource(traffic.ends.src)
        dst = Linkerd2_Viz_Resource(traffic.ends.dst)
        guard traffic.isSecured else {
            noIdentityMsg = Self.reason(traffic.noTLSReason)
            return
        }
        serverID = traffic.serverID
        clientID = traffic.clientID(index)
    }

    /// Why an edge has no identity, in Linkerd's words; a reason it has no word for is shown as it is.
    static func reason(_ reason: String) -> String {
        switch reason {
        case "", "disabled": "Disabled"
        case "loopback": "Loopback"
        case "no_authority_in_http_request": "No Authority In HTTP Request"
        case "not_http": "Not HTTP"
        case "not_provided_by_remote": "Not Provided By Remote"
        case "not_provided_by_service_discovery": "Not Provided By Service Discovery"
        case "no_identity": "Unknown"
        default: reason
        }
    }
}

extension EdgeTraffic {
    /// The identity of the client's proxy: of a pod that was seen, else of any of the workload's; empty when
    /// none of them exists any more.
    func clientID(_ index: ClusterIndex) -> String {
        if let srcPod, let pod = index.pod(namespace: srcPod.namespace, name: srcPod.name) { return pod.identity }
        return index.pods(of: ends.src).first?.identity ?? ""
    }
}

extension Linkerd2_Viz_Resource {
    /// The resource that a workload key names.
    package init(_ key: WorkloadKey) {
        self.init()
        namespace = key.namespace
        type = key.kind
        name = key.name
    }
}
