import MeshKubernetes
import MeshModel

/// What controllers ask of a pod.
extension JSONValue {
    var phase: String { value(at: ["status", "phase"])?.stringValue ?? "Pending" }

    /// Neither finished nor being deleted: it counts towards what its owner wants.
    var isActivePod: Bool { !isTerminating && phase != "Succeeded" && phase != "Failed" }

    /// A condition of `status`, by type.
    func condition(_ type: String) -> JSONValue? {
        value(at: ["status", "conditions"])?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    var isReadyPod: Bool { condition("Ready")?["status"]?.stringValue == "True" }

    /// When the pod last became ready, or ceased to be; 0 when unknown.
    var readySince: Int {
        condition("Ready")?["lastTransitionTime"]?.stringValue.flatMap(UTCTime.seconds) ?? 0
    }

    /// Ready for at least `minReadySeconds`.
    func isAvailablePod(minReadySeconds: Int, now: Int) -> Bool {
        isReadyPod && (minReadySeconds == 0 || readySince + minReadySeconds <= now)
    }

    var restartCount: Int {
        (value(at: ["status", "containerStatuses"])?.arrayValue ?? []).reduce(0) {
            $0 + ($1["restartCount"]?.intValue ?? 0)
        }
    }
}

/// Which pods to give up first: those that serve least, then the youngest.
enum PodRanking {
    static func firstToGo(_ pods: [JSONValue]) -> [JSONValue] {
        pods.sorted { rank($0).lexicographicallyPrecedes(rank($1)) }
    }

    private static func rank(_ pod: JSONValue) -> [Int] {
        let isAssigned = !(pod.value(at: ["spec", "nodeName"])?.stringValue ?? "").isEmpty
        let phases = ["Pending": 0, "Unknown": 1, "Running": 2]
        let cost = pod.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap { Int($0) } ?? 0
        return [
            isAssigned ? 1 : 0, phases[pod.phase] ?? 1, pod.isReadyPod ? 1 : 0, cost,
            pod.isReadyPod ? -pod.readySince : 0,
            -pod.restartCount, -pod.createdAt,
        ]
    }
}

/// Makes pods from templates.
enum PodMaker {
    /// A pod of `template` under the control of `owner`.
    ///
    /// - Parameter name: Exact; `nil` lets the server add five characters to the owner's name.
    static func pod(
        from template: JSONValue, owner: JSONValue, kind: ControlledKind, name: String? = nil,
        labels: [String: String] = [:]
    ) -> JSONValue {
        var metadata: JSONValue = [
            "namespace": .string(owner.namespace), "ownerReferences": [reference(to: owner, kind: kind)],
        ]
        if let name {
            metadata["name"] = .string(name)
        } else {
            metadata["generateName"] = .string(owner.name + "-")
        }
        let allLabels = template.labels.merging(labels) { _, extra in extra }
        if !allLabels.isEmpty { metadata["labels"] = JSONValue(allLabels) }
        for field in ["annotations", "finalizers"] {
            if let value = template.value(at: ["metadata", field]), !value.isNull { metadata[field] = value }
        }
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] ?? [:]]
    }

    /// The reference by which `owner` controls what it makes.
    static func reference(to owner: JSONValue, kind: ControlledKind) -> JSONValue {
        [
            "apiVersion": .string(kind.resource.apiVersion), "kind": .string(kind.resource.kind),
            "name": .string(owner.name), "uid": .string(owner.uid), "controller": true,
            "blockOwnerDeletion": true,
        ]
    }
}

/// Short names for pod templates: equal templates have equal names.
enum TemplateHash {
    static let label = "pod-template-hash"
    /// Letters and digits that form no words, as Kubernetes uses in generated names.
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")

    /// A name of at most ten characters, from FNV-1a (32 bits) over the template as JSON with sorted keys.
    static func of(_ template: JSONValue) -> String { text(of: stripped(template).serialized()) }

    static func text(of bytes: some Sequence<UInt8>) -> String {
        var hash: UInt32 = 2_166_136_261
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return String(String(hash).utf8.map { alphabet[Int($0) % alphabet.count] })
    }

    /// The template without the label that only copies of it carry.
    static func stripped(_ template: JSONValue) -> JSONValue {
        var template = template
        template.set(nil, at: ["metadata", "labels", label])
        return template
    }
}
