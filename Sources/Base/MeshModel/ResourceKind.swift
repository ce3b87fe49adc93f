/// A kind of Kubernetes resource that viz reports on, with every name users may type for it.
/// Source: `linkerd viz stat` resource types and their aliases.
public enum ResourceKind: String, CaseIterable, Sendable, Hashable {
    case all, authority, cronjob, daemonset, deployment, job, namespace, pod, replicaset
    case replicationcontroller, server, serverauthorization, authorizationpolicy, httproute, service
    case serviceprofile, statefulset, trafficsplit

    /// The kind that a user's word stands for: canonical name, plural or short form, in any case of letters.
    public init?(alias: String) {
        let word = alias.lowercased()
        guard let kind = Self.allCases.first(where: { $0.aliases.contains(word) }) else { return nil }
        self = kind
    }

    /// Canonical singular name, as in `linkerd2.viz.Resource.type`.
    public var name: String { rawValue }

    /// Plural, as in Kubernetes paths and table headings.
    public var plural: String {
        switch self {
        case .all: "all"
        case .authority: "authorities"
        case .authorizationpolicy: "authorizationpolicies"
        default: rawValue + "s"
        }
    }

    /// The metric label that carries a workload of this kind.
    public var metricLabel: String { self == .job ? "k8s_job" : rawValue }

    /// Whether objects of this kind own pods (a pod counts as its own workload).
    public var isWorkload: Bool {
        switch self {
        case .cronjob, .daemonset, .deployment, .job, .pod, .replicaset, .replicationcontroller, .statefulset: true
        default: false
        }
    }

    /// The kinds that `all` stands for, in the order they are shown.
    public static let membersOfAll: [ResourceKind] = [
        .daemonset, .statefulset, .job, .deployment, .replicationcontroller, .pod, .service, .cronjob, .replicaset,
    ]

    private var aliases: [String] {
        [name, plural] + shortNames
    }

    private var shortNames: [String] {
        switch self {
        case .authority: ["au"]
        case .cronjob: ["cj"]
        case .daemonset: ["ds"]
        case .deployment: ["deploy"]
        case .namespace: ["ns"]
        case .pod: ["po"]
        case .replicaset: ["rs"]
        case .replicationcontroller: ["rc"]
        case .server: ["srv"]
        case .serverauthorization: ["saz", "serverauthz", "srvauthz"]
        case .authorizationpolicy: ["ap", "authzpolicy"]
        case .service: ["svc"]
        case .serviceprofile: ["sp"]
        case .statefulset: ["sts"]
        case .trafficsplit: ["ts"]
        case .all, .job, .httproute: []
        }
    }
}
