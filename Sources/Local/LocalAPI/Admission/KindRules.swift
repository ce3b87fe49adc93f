import MeshModel

/// Rules of single kinds that a schema cannot say.
enum KindRules {
    /// One cause for each broken rule of an object with its defaults filled in.
    static func broken(_ object: JSONValue, kind: KindDescription) -> [FieldCause] {
        var causes: [FieldCause] = []
        if let path = KindDefaults.podSpecPath(kind), let spec = object.value(at: path) {
            causes += podSpec(spec, path: path.joined(separator: "."))
        }
        switch kind.qualifiedName {
        case "deployments.apps", "replicasets.apps", "statefulsets.apps", "daemonsets.apps":
            causes += workload(object)
        case Resource.services: causes += service(object)
        case Resource.apiServices: causes += RegistrationRules.apiService(object)
        case let name where WebhookTable.resources.contains(name): causes += RegistrationRules.webhooks(object)
        default: break
        }
        return causes
    }

    /// Fields that an update wanted to change although they are fixed.
    static func immutableChanges(from old: JSONValue, to new: JSONValue, kind: KindDescription)
        -> [FieldCause]
    {
        var causes = kind.immutableFields.filter { old.value(dotted: $0) != new.value(dotted: $0) }.map {
            FieldCause.immutable($0)
        }
        switch kind.qualifiedName {
        case Resource.pods:
            if fixedPart(ofPod: old) != fixedPart(ofPod: new) {
                causes.append(
                    FieldCause(
                        field: "spec", reason: .forbidden,
                        message:
                            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                            + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only"
                            + " additions to existing tolerations),`spec.terminationGracePeriodSeconds`"))
            }
        case Resource.configMaps, Resource.secrets:
            for field in ["data", "binaryData", "immutable"]
            where old["immutable"] == true && old[field] != new[field] {
                causes.append(
                    FieldCause(
                        field: field, reason: .forbidden,
                        message: "Forbidden: field is immutable when `immutable` is set"))
            }
        case Resource.services: causes += clusterIPChange(old, new)
        default: break
        }
        return causes
    }

    private static func clusterIPChange(_ old: JSONValue, _ new: JSONValue) -> [FieldCause] {
        let before = old.value(at: ["spec", "clusterIP"])?.stringValue ?? ""
        let after = new.value(at: ["spec", "clusterIP"])?.stringValue ?? ""
        let isExternal = new.value(at: ["spec", "type"]) == "ExternalName"
        return before.isEmpty || before == after || isExternal ? [] : [.immutable("spec.clusterIPs[0]")]
    }

    /// What of a pod's spec no update may change.
    private static func fixedPart(ofPod pod: JSONValue) -> JSONValue? {
        guard var spec = pod["spec"] else { return nil }
        for field in [
            "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers",
            "schedulingGates",
        ] { spec[field] = nil }
        for field in ["containers", "initContainers"] {
            guard let containers = spec[field]?.arrayValue else { continue }
            spec[field] = .array(
                containers.map { container in
                    var container = container
                    container["image"] = nil
                    container["imagePullPolicy"] = nil
                    return container
                })
        }
        return spec
    }

    private static func podSpec(_ spec: JSONValue, path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        let volumes = Set((spec["volumes"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue })
        for field in ["initContainers", "containers"] {
            for (index, container) in (spec[field]?.arrayValue ?? []).enumerated() {
                let place = "\(path).\(field)[\(index)]"
                let name = container["name"]?.stringValue ?? ""
                if !name.isEmpty, !ObjectName.isLabel(name) {
                    causes.append(.invalid("\(place).name", name, "must be a lowercase RFC 1123 label"))
                }
                if container["image"]?.stringValue?.isEmpty ?? true {
                    causes.append(.required("\(place).image"))
                }
                for (mountIndex, mount) in (container["volumeMounts"]?.arrayValue ?? []).enumerated() {
                    guard let volume = mount["name"]?.stringValue, !volumes.contains(volume) else { continue }
                    causes.append(
                        FieldCause(
                            field: "\(place).volumeMounts[\(mountIndex)].name", reason: .invalid,
                            message: "Not found: \"\(volume)\""))
                }
            }
        }
        let policy = spec["restartPolicy"]?.stringValue ?? "Always"
        let allowed = ["Always", "OnFailure", "Never"]
        if !allowed.contains(policy) {
            causes.append(.notSupported("\(path).restartPolicy", policy, allowed: allowed))
        }
        return causes
    }

    private static func workload(_ object: JSONValue) -> [FieldCause] {
        var causes: [FieldCause] = []
        let selector = LabelSelector(object.value(at: ["spec", "selector"]))
        let labels = object.value(at: ["spec", "template", "metadata", "labels"])
        if selector.requirements.isEmpty {
            causes.append(.invalid("spec.selector", "{}", "empty selector is invalid for this kind"))
        } else if !selector.matches(labels) {
            let text = String(decoding: (labels ?? [:]).serialized(), as: UTF8.self)
            causes.append(
                .invalid("spec.template.metadata.labels", text, "`selector` does not match template `labels`")
            )
        }
        let policy = object.value(at: ["spec", "template", "spec", "restartPolicy"])?.stringValue ?? "Always"
        if policy != "Always" {
            causes.append(.notSupported("spec.template.spec.restartPolicy", policy, allowed: ["Always"]))
        }
        if let replicas = object.value(at: ["spec", "replicas"])?.intValue, replicas < 0 {
            causes.append(.invalid("spec.replicas", "\(replicas)", "must be greater than or equal to 0"))
        }
        return causes
    }

    private static func service(_ object: JSONValue) -> [FieldCause] {
        var causes: [FieldCause] = []
        let ports = object.value(at: ["spec", "ports"])?.arrayValue ?? []
        let type = object.value(at: ["spec", "type"])?.stringValue ?? "ClusterIP"
        let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
        if !types.contains(type) { causes.append(.notSupported("spec.type", type, allowed: types)) }
        let isHeadless = object.value(at: ["spec", "clusterIP"]) == "None"
        if ports.isEmpty, type != "ExternalName", !isHeadless { causes.append(.required("spec.ports")) }
        for (index, port) in ports.enumerated() {
            let number = port["port"]?.intValue ?? 0
            if !(1...65_535).contains(number) {
                causes.append(
                    .invalid(
                        "spec.ports[\(index)].port", "\(number)", "must be between 1 and 65535, inclusive"))
            }
            if ports.count > 1, port["name"]?.stringValue?.isEmpty ?? true {
                causes.append(.required("spec.ports[\(index)].name"))
            }
        }
        return causes
    }
}
