import MeshModel

/// Defaults that depend on other fields, which a schema cannot say.
enum KindDefaults {
    /// Where a kind embeds a pod's spec.
    static func podSpecPath(_ kind: KindDescription) -> [String]? {
        switch kind.qualifiedName {
        case Resource.pods: ["spec"]
        case "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps", Resource.jobs,
            "replicationcontrollers":
            ["spec", "template", "spec"]
        case "cronjobs.batch": ["spec", "jobTemplate", "spec", "template", "spec"]
        default: nil
        }
    }

    static func fill(_ object: JSONValue, kind: KindDescription) -> JSONValue {
        var object = object
        if let path = podSpecPath(kind), let spec = object.value(at: path) {
            object.set(podSpec(spec), at: path)
        }
        switch kind.qualifiedName {
        case "deployments.apps":
            rollingUpdate(&object, field: "strategy", ["maxSurge": "25%", "maxUnavailable": "25%"])
        case "daemonsets.apps":
            rollingUpdate(&object, field: "updateStrategy", ["maxSurge": 0, "maxUnavailable": 1])
        case "statefulsets.apps": rollingUpdate(&object, field: "updateStrategy", ["partition": 0])
        case Resource.jobs: if let spec = object["spec"] { object["spec"] = jobSpec(spec) }
        case Resource.services: if let spec = object["spec"] { object["spec"] = servicePorts(spec) }
        case "replicationcontrollers":
            if object.value(at: ["spec", "selector"]) == nil {
                object.set(
                    object.value(at: ["spec", "template", "metadata", "labels"]), at: ["spec", "selector"])
            }
        case Resource.secrets: object = encodedStrings(object)
        default: break
        }
        return object
    }

    private static func podSpec(_ spec: JSONValue) -> JSONValue {
        var spec = spec
        for field in ["containers", "initContainers"] {
            guard let containers = spec[field]?.arrayValue else { continue }
            spec[field] = .array(containers.map(container))
        }
        if let volumes = spec["volumes"]?.arrayValue {
            spec["volumes"] = .array(volumes.map(volume))
        }
        // The old name of the field is kept in step with the new one.
        if let account = spec["serviceAccountName"] ?? spec["serviceAccount"] {
            spec["serviceAccountName"] = account
            spec["serviceAccount"] = account
        }
        return spec
    }

    private static func container(_ container: JSONValue) -> JSONValue {
        var container = container
        if container["imagePullPolicy"] == nil {
            let image = container["image"]?.stringValue ?? ""
            let tail = image.split(separator: "/").last ?? ""
            let isPinned = image.contains("@") || (tail.contains(":") && !tail.hasSuffix(":latest"))
            container["imagePullPolicy"] = isPinned ? "IfNotPresent" : "Always"
        }
        for (name, limit) in container.value(at: ["resources", "limits"])?.objectValue ?? [:]
        where container.value(at: ["resources", "requests", name]) == nil {
            container.set(limit, at: ["resources", "requests", name])
        }
        return container
    }

    /// A volume that names no source is an empty directory.
    private static func volume(_ volume: JSONValue) -> JSONValue {
        guard volume.objectValue?.count == 1 else { return volume }
        var volume = volume
        volume["emptyDir"] = [:]
        return volume
    }

    private static func rollingUpdate(_ object: inout JSONValue, field: String, _ defaults: JSONValue) {
        guard object.value(at: ["spec", field, "type"]) == "RollingUpdate" else { return }
        let given = object.value(at: ["spec", field, "rollingUpdate"])?.objectValue ?? [:]
        let merged = (defaults.objectValue ?? [:]).merging(given) { _, given in given }
        object.set(.object(merged), at: ["spec", field, "rollingUpdate"])
    }

    private static func jobSpec(_ spec: JSONValue) -> JSONValue {
        var spec = spec
        if spec["completions"] == nil, spec["parallelism"] == nil { spec["completions"] = 1 }
        if spec["parallelism"] == nil { spec["parallelism"] = 1 }
        if spec["backoffLimit"] == nil { spec["backoffLimit"] = 6 }
        return spec
    }

    private static func servicePorts(_ spec: JSONValue) -> JSONValue {
        guard let ports = spec["ports"]?.arrayValue else { return spec }
        var spec = spec
        spec["ports"] = .array(
            ports.map { port in
                var port = port
                if port["targetPort"] == nil { port["targetPort"] = port["port"] }
                return port
            })
        return spec
    }

    /// `stringData` is written to `data` in base64 and never stored.
    private static func encodedStrings(_ secret: JSONValue) -> JSONValue {
        guard let strings = secret["stringData"]?.objectValue else { return secret }
        var secret = secret
        var data = secret["data"]?.objectValue ?? [:]
        for (key, value) in strings {
            data[key] = .string(Base64.text(Array((value.stringValue ?? "").utf8)))
        }
        secret["data"] = .object(data)
        secret["stringData"] = nil
        return secret
    }
}
