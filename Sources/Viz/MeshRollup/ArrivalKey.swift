/// Traffic that reached a pod or workload, as its own proxy saw it: by the name it was called by, and by how the
/// caller proved who it is. Callers without a proxy are seen only here.
public struct ArrivalKey: Hashable, Comparable, Sendable {
    public var workload: WorkloadKey
    /// Empty in the tiers that keep whole workloads.
    public var pod: String
    /// The `authority` label; empty for raw connections, and when the proxy prints no inbound names.
    public var authority: String
    /// The proxy's `tls` label: `true`, `no_identity`, `disabled`, `opaque`.
    public var tls: String
    /// The caller's identity when `tls` is `true` (empty for one without), else the reason why there is none.
    public var tlsDetail: String

    /// An arrival; see the fields.
    public init(workload: WorkloadKey, pod: String, authority: String = "", tls: String = "", tlsDetail: String = "") {
        self.workload = workload
        self.pod = pod
        self.authority = authority
        self.tls = tls
        self.tlsDetail = tlsDetail
    }

    /// The caller's identity; empty when it has none.
    public var clientID: String { tls == "true" ? tlsDetail : "" }

    /// The same without its pod.
    public var rolledUp: ArrivalKey {
        var key = self
        key.pod = ""
        return key
    }

    /// Folded into the honest `other` of its workload: what goes past the label budget.
    public var folded: ArrivalKey {
        ArrivalKey(workload: workload, pod: pod, authority: WorkloadKey.other.name, tls: WorkloadKey.other.name)
    }

    /// By workload, pod and the rest.
    public static func < (left: ArrivalKey, right: ArrivalKey) -> Bool {
        if left.workload != right.workload { return left.workload < right.workload }
        return [left.pod, left.authority, left.tls, left.tlsDetail]
            .lexicographicallyPrecedes([right.pod, right.authority, right.tls, right.tlsDetail])
    }
}
