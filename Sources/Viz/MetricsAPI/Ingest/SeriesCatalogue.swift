import MeshMetrics
import MeshRollup

/// The families of a proxy's scrape that the store is fed from.
enum Family: UInt8, Sendable {
    case requests, responses, latencyBucket, latencySum
    case tcpOpens, tcpCloses, tcpOpenConnections, tcpReadBytes, tcpWriteBytes
    case authzAllow, authzDeny
    case routeResponses, routeLatencyBucket, routeActualResponses
    case processStart

    /// Whether its series are counted by route instead of by endpoint.
    var isRoute: Bool {
        switch self {
        case .routeResponses, .routeLatencyBucket, .routeActualResponses: true
        default: false
        }
    }

    /// Whether its series are buckets of a histogram.
    var isBucket: Bool { self == .latencyBucket || self == .routeLatencyBucket }

    private static let names: [(name: [UInt8], family: Family)] = [
        (Array("request_total".utf8), .requests),
        (Array("response_total".utf8), .responses),
        (Array("response_latency_ms_bucket".utf8), .latencyBucket),
        (Array("response_latency_ms_sum".utf8), .latencySum),
        (Array("tcp_open_total".utf8), .tcpOpens),
        (Array("tcp_close_total".utf8), .tcpCloses),
        (Array("tcp_open_connections".utf8), .tcpOpenConnections),
        (Array("tcp_read_bytes_total".utf8), .tcpReadBytes),
        (Array("tcp_write_bytes_total".utf8), .tcpWriteBytes),
        (Array("inbound_http_authz_allow_total".utf8), .authzAllow),
        (Array("inbound_http_authz_deny_total".utf8), .authzDeny),
        (Array("route_response_total".utf8), .routeResponses),
        (Array("route_response_latency_ms_bucket".utf8), .routeLatencyBucket),
        (Array("route_actual_response_total".utf8), .routeActualResponses),
        (Array("process_start_time_seconds".utf8), .processStart),
    ]

    /// The family of a metric name; `nil` for the many that are not kept.
    ///
    /// - Complexity: no allocation; compares bytes of the few names with the same length.
    init?(_ bytes: [UInt8], _ range: Range<Int>) {
        for entry in Self.names where entry.name.count == range.count {
            if bytes[range].elementsEqual(entry.name) {
                self = entry.family
                return
            }
        }
        return nil
    }

    /// Families whose `# TYPE` line contradicts what they are: their values are not to be trusted.
    ///
    /// - Parameters:
    ///   - name: As the line has it: histograms without `_bucket`, and in OpenMetrics counters without `_total`.
    ///   - type: `untyped` and `unknown` contradict nothing.
    static func contradicted(by name: String, type: String) -> [Family] {
        guard type != "untyped", type != "unknown" else { return [] }
        let families: [Family] = [name, name + "_total", name + "_bucket", name + "_sum"].compactMap { full in
            let bytes = Array(full.utf8)
            return Family(bytes, bytes.indices)
        }
        return families.filter { $0.type != type }
    }

    private var type: String {
        switch self {
        case .latencyBucket, .latencySum, .routeLatencyBucket: "histogram"
        case .tcpOpenConnections, .processStart: "gauge"
        default: "counter"
        }
    }
}

/// What one series adds to.
struct SeriesTarget: Sendable, Equatable {
    enum Action: Sendable, Equatable {
        case add(Counter)
        /// `success`, the counter of its status class, and whether it carried a gRPC status.
        case response(isSuccess: Bool, status: Counter?, isGRPC: Bool)
        /// Cumulative count of a latency bucket.
        case bucket(UInt8)
        case gauge
        /// Known, but adds to nothing.
        case ignore
    }

    let action: Action
    /// Number of the pod's total that it adds to; negative is none. Half a million targets are held at scale,
    /// so numbers are small.
    let object: Int16
    /// Number of the edge (outbound) or arrival (inbound) that it adds to; negative is none.
    let peer: Int16
}

extension SeriesTarget.Action {
    /// Decides what a series means by its family and labels.
    init(_ family: Family, _ labels: [String: String]) {
        switch family {
        case .requests: self = .add(.requests)
        case .responses, .routeResponses, .routeActualResponses: self = Self.response(labels)
        case .latencyBucket, .routeLatencyBucket: self.init(bound: labels["le"] ?? "")
        case .latencySum: self = .add(.latencySumMilliseconds)
        case .tcpOpenConnections: self = .gauge
        case .tcpOpens: self = Self.countsPeer(labels) ? .add(.tcpOpens) : .ignore
        case .tcpCloses: self = Self.countsPeer(labels) ? .add(.tcpCloses) : .ignore
        case .tcpReadBytes: self = Self.countsPeer(labels) ? .add(.readBytes) : .ignore
        case .tcpWriteBytes: self = Self.countsPeer(labels) ? .add(.writeBytes) : .ignore
        case .authzAllow: self = .add(.authzAllowed)
        case .authzDeny: self = .add(.authzDenied)
        case .processStart: self = .ignore
        }
    }

    private static func response(_ labels: [String: String]) -> Self {
        let isSuccess = labels["classification"] == "success"
        guard isSuccess || labels["classification"] == "failure" else { return .ignore }
        let status: Counter? =
            switch labels["status_code"]?.utf8.first {
            case UInt8(ascii: "2"): .status2xx
            case UInt8(ascii: "3"): .status3xx
            case UInt8(ascii: "4"): .status4xx
            case UInt8(ascii: "5"): .status5xx
            default: nil
            }
        return .response(isSuccess: isSuccess, status: status, isGRPC: !(labels["grpc_status"] ?? "").isEmpty)
    }

    /// What the bucket with this `le` means.
    init(bound: String) {
        if bound == "+Inf" {
            self = .bucket(UInt8(LatencyBuckets.boundsMilliseconds.count))
        } else if let value = Double(bound), let whole = UInt64(exactly: value),
            let index = LatencyBuckets.boundsMilliseconds.firstIndex(of: whole)
        {
            self = .bucket(UInt8(index))
        } else {
            self = .ignore
        }
    }

    /// Each connection has two sides; bytes and opens count on the one that faces the mesh.
    private static func countsPeer(_ labels: [String: String]) -> Bool {
        labels["peer"] == (labels["direction"] == "outbound" ? "dst" : "src")
    }
}

/// Reads who called from the labels of inbound traffic.
enum ArrivalLabels {
    /// The arrival of a series with these labels; `nil` when it does not face the caller.
    static func arrival(_ labels: [String: String], workload: WorkloadKey, pod: String) -> ArrivalKey? {
        guard labels["direction"] == "inbound", labels["peer"] != "dst", let tls = labels["tls"] else { return nil }
        return ArrivalKey(
            workload: workload, pod: pod, authority: labels["authority"] ?? "", tls: tls,
            tlsDetail: labels["client_id"] ?? labels["no_tls_reason"] ?? labels["sni"] ?? "")
    }
}

/// Reads the other end of outbound traffic from its labels.
enum EdgeLabels {
    /// Labels that name a workload, by kind; the more telling first.
    private static let workloadLabels: [(label: String, kind: String)] = [
        ("dst_deployment", "deployment"), ("dst_statefulset", "statefulset"), ("dst_daemonset", "daemonset"),
        ("dst_cronjob", "cronjob"), ("dst_k8s_job", "job"), ("dst_job", "job"),
        ("dst_replicationcontroller", "replicationcontroller"), ("dst_replicaset", "replicaset"),
    ]

    /// The edge of a series with these labels; `nil` when it does not face an endpoint.
    static func edge(
        _ labels: [String: String], src: WorkloadKey, srcPod: String, clusterDomain: String
    ) -> EdgeKey? {
        guard labels["direction"] == "outbound", labels["peer"] != "src" else { return nil }
        let target = service(labels, clusterDomain)
        let namespace = labels["dst_namespace"] ?? target?.namespace ?? ""
        let dstPod = labels["dst_pod"] ?? ""
        let dst = workload(labels, namespace: namespace, pod: dstPod)
        let service = labels["dst_service"] ?? target?.name ?? ""
        let tls = labels["tls"] ?? ""
        let isNamed = !service.isEmpty || dst != .unknown && !dst.name.isEmpty
        let authority = labels["authority"] ?? (isNamed ? "" : labels["target_addr"] ?? "")
        return EdgeKey(
            src: src, srcPod: srcPod, dst: dst, dstPod: dstPod, service: service,
            authority: authority, tls: tls,
            tlsDetail: (tls == "true" ? labels["server_id"] : labels["no_tls_reason"]) ?? "")
    }

    private static func workload(_ labels: [String: String], namespace: String, pod: String) -> WorkloadKey {
        for (label, kind) in workloadLabels {
            if let name = labels[label], !name.isEmpty {
                return WorkloadKey(namespace: namespace, kind: kind, name: name)
            }
        }
        if !pod.isEmpty { return WorkloadKey(namespace: namespace, kind: "pod", name: pod) }
        return WorkloadKey(namespace: namespace, kind: "", name: "")
    }

    /// Service and namespace of an authority `<service>.<namespace>.svc.<domain>[:port]`.
    private static func service(
        _ labels: [String: String], _ clusterDomain: String
    ) -> (name: String, namespace: String)? {
        guard let authority = labels["authority"] else { return nil }
        let host = authority.split(separator: ":").first ?? ""
        let suffix = ".svc.\(clusterDomain)"
        guard host.hasSuffix(suffix) else { return nil }
        let parts = host.dropLast(suffix.count).split(separator: ".")
        guard parts.count == 2 else { return nil }
        return (String(parts[0]), String(parts[1]))
    }
}
