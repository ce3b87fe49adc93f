import Foundation
import MeshModel

/// What the server adds to a new pod: its account, the account's projected token, its node, its first status.
struct PodAdmission {
    let admission: Admission

    private static let tokenMountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    private static let volumePrefix = "kube-api-access-"
    /// Life of the projected token. The odd seven seconds are what Kubernetes uses, and what tools expect.
    private static let tokenSeconds: Int64 = 3_607

    func admit(_ pod: JSONValue, kind: KindDescription) throws -> JSONValue {
        var pod = pod
        try assignAccount(&pod, kind: kind)
        var spec = pod["spec"] ?? [:]
        if spec["nodeName"]?.stringValue?.isEmpty ?? true {
            spec["nodeName"] = .string(admission.cluster.config.nodeName)
        }
        let fixed: [(String, JSONValue)] = [
            ("enableServiceLinks", true), ("priority", 0), ("preemptionPolicy", "PreemptLowerPriority"),
        ]
        for (field, value) in fixed where spec[field] == nil { spec[field] = value }
        pod["spec"] = spec
        pod["status"] = [
            "phase": "Pending", "qosClass": .string(Self.qualityOfService(spec)),
            "conditions": [
                [
                    "type": "PodScheduled", "status": "True", "lastProbeTime": .null,
                    "lastTransitionTime": .string(Timestamp.text(admission.cluster.now())),
                ]
            ],
        ]
        return pod
    }

    /// An update that leaves out what the server assigned means "as before".
    static func keepingAssigned(_ pod: JSONValue, current: JSONValue) -> JSONValue {
        var pod = pod
        for field in [
            "nodeName", "enableServiceLinks", "priority", "preemptionPolicy", "serviceAccountName",
            "serviceAccount",
        ]
        where pod.value(at: ["spec", field]) == nil {
            pod.set(current.value(at: ["spec", field]), at: ["spec", field])
        }
        return pod
    }

    /// Gives a pod its account and the account's token. Doing it again changes nothing but for containers that have
    /// come since.
    func assignAccount(_ pod: inout JSONValue, kind: KindDescription) throws {
        let name = pod.value(at: ["spec", "serviceAccountName"])?.stringValue ?? ""
        let accountName = name.isEmpty ? "default" : name
        let account = try admission.writer.object(Resource.serviceAccounts, pod.namespace, accountName)
        guard let account else {
            throw StatusError.forbidden(
                kind, pod.name,
                "error looking up service account \(pod.namespace)/\(accountName): serviceaccount \"\(accountName)\" not found"
            )
        }
        pod.set(.string(accountName), at: ["spec", "serviceAccountName"])
        pod.set(.string(accountName), at: ["spec", "serviceAccount"])
        let mounts =
            pod.value(at: ["spec", "automountServiceAccountToken"])?.boolValue
            ?? account["automountServiceAccountToken"]?.boolValue ?? true
        if mounts { Self.mountToken(&pod) }
    }

    private static func mountToken(_ pod: inout JSONValue) {
        var spec = pod["spec"] ?? [:]
        let volumes = spec["volumes"]?.arrayValue ?? []
        let present = volumes.compactMap { $0["name"]?.stringValue }.first { $0.hasPrefix(volumePrefix) }
        let volume = present ?? volumePrefix + RandomName.suffix()
        var isUsed = false
        for field in ["initContainers", "containers"] {
            guard let containers = spec[field]?.arrayValue else { continue }
            spec[field] = .array(
                containers.map { container in
                    var container = container
                    let mounts = container["volumeMounts"]?.arrayValue ?? []
                    if mounts.contains(where: { $0["mountPath"] == .string(tokenMountPath) }) {
                        return container
                    }
                    isUsed = true
                    container["volumeMounts"] = .array(
                        mounts + [
                            ["name": .string(volume), "readOnly": true, "mountPath": .string(tokenMountPath)]
                        ])
                    return container
                })
        }
        guard isUsed else { return }
        guard present == nil else {
            pod["spec"] = spec
            return
        }
        let sources: JSONValue = [
            ["serviceAccountToken": ["expirationSeconds": .int(tokenSeconds), "path": "token"]],
            ["configMap": ["name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]]]],
            [
                "downwardAPI": [
                    "items": [
                        [
                            "path": "namespace",
                            "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"],
                        ]
                    ]
                ]
            ],
        ]
        spec["volumes"] = .array(
            volumes + [
                ["name": .string(volume), "projected": ["sources": sources, "defaultMode": 420]]
            ])
        pod["spec"] = spec
    }

    /// Guaranteed when every container limits cpu and memory to what it requests, BestEffort when none asks.
    private static func qualityOfService(_ spec: JSONValue) -> String {
        let all = (spec["containers"]?.arrayValue ?? []) + (spec["initContainers"]?.arrayValue ?? [])
        let asks = all.contains { container in
            ["limits", "requests"].contains {
                container.value(at: ["resources", $0])?.objectValue?.isEmpty == false
            }
        }
        guard asks else { return "BestEffort" }
        let isGuaranteed = all.allSatisfy { container in
            ["cpu", "memory"].allSatisfy { resource in
                let limit = container.value(at: ["resources", "limits", resource])
                return limit != nil && limit == container.value(at: ["resources", "requests", resource])
            }
        }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }
}
