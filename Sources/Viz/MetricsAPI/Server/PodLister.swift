import GRPCCore
import MeshAPI
import MeshKubernetes
import MeshModel
import MeshRollup
import SwiftProtobuf

/// Answers `ListPods`.
struct PodLister {
    private let sources: VizSources

    init(_ sources: VizSources) { self.sources = sources }

    /// The pods that a selector picks by namespace, owner or labels.
    func pods(_ request: Linkerd2_Viz_ListPodsRequest) async throws -> [Linkerd2_Viz_Pod] {
        let resource = request.selector.resource
        let labels = try VizAnswers.mapped { () throws(StatError) in
            try LabelQuery(request.selector.labelSelector)
        }
        var kind: ResourceKind?
        if !resource.type.isEmpty {
            kind = try VizAnswers.mapped { () throws(StatError) in try StatQuestion.kind(resource.type) }
        }
        let now = sources.now()
        // Without the backend pods are still there, only not heard of.
        let notes = (try? await sources.backend.scrapes()) ?? [:]
        var pods: [Linkerd2_Viz_Pod] = []
        for facts in sources.index().pods {
            guard !sources.ignoredNamespaces.contains(facts.namespace), labels.matches(facts.labels),
                Self.isSelected(facts, resource, kind)
            else { continue }
            pods.append(Self.message(facts, notes[ObjectName(facts.namespace, facts.name)], now))
        }
        return pods
    }

    private static func isSelected(
        _ facts: PodFacts, _ resource: Linkerd2_Viz_Resource, _ kind: ResourceKind?
    ) -> Bool {
        if kind == .namespace { return resource.name.isEmpty || facts.namespace == resource.name }
        guard resource.namespace.isEmpty || facts.namespace == resource.namespace else { return false }
        guard let kind, kind != .all else { return true }
        if kind == .pod { return resource.name.isEmpty || facts.name == resource.name }
        return facts.owners.contains {
            $0.kind == kind.name && (resource.name.isEmpty || $0.name == resource.name)
        }
    }

    private static func message(
        _ facts: PodFacts, _ note: ScrapeNote?, _ now: UnixTime
    ) -> Linkerd2_Viz_Pod {
        var pod = Linkerd2_Viz_Pod()
        pod.name = "\(facts.namespace)/\(facts.name)"
        pod.podIp = facts.ip
        if let owner = facts.owners.last { pod.owner = Self.owner(owner) }
        pod.status =
            facts.isTerminating
            ? "Terminating" : facts.pod.status?.reason == "Evicted" ? "Evicted" : facts.phase
        if let note {
            pod.added = true
            pod.sinceLastReport = Self.duration(now.since(note.scrapedAt))
            if let start = note.processStart { pod.uptime = Self.duration(now.since(start)) }
        }
        pod.controllerNamespace = facts.controllerNamespace
        pod.controlPlane = facts.labels["linkerd.io/control-plane-component"] != nil
        let proxy = facts.proxy
        pod.proxyReady = proxy.isReady
        pod.proxyVersion = proxy.version
        pod.resourceVersion = facts.pod.metadata.resourceVersion ?? ""
        return pod
    }

    private static func owner(_ key: WorkloadKey) -> Linkerd2_Viz_Pod.OneOf_Owner? {
        let name = "\(key.namespace)/\(key.name)"
        return switch key.kind {
        case "deployment": .deployment(name)
        case "replicaset": .replicaSet(name)
        case "replicationcontroller": .replicationController(name)
        case "statefulset": .statefulSet(name)
        case "daemonset": .daemonSet(name)
        case "job": .job(name)
        default: nil
        }
    }

    private static func duration(_ milliseconds: Int64) -> Google_Protobuf_Duration {
        let clamped = max(0, milliseconds)
        return Google_Protobuf_Duration(seconds: clamped / 1_000, nanos: Int32(clamped % 1_000) * 1_000_000)
    }
}
