// Adds the proxy to the pods that an object describes, and takes it away again: from a manifest, as
// `linkerd inject --manual` does. Pure: a document in, a document and a report out. Fields that this code
// does not know pass through untouched.

public import MeshModel

/// The outcome for one document.
public struct InjectionResult: Sendable, Equatable {
    /// The document, changed or as it was.
    public var document: JSONValue
    /// One report an object; a List has as many as items.
    public var reports: [InjectionReport]
}

/// Injects with given cluster-wide values.
public struct ProxyInjection: Sendable {
    private let values: InjectionValues

    /// Prepares injection with `values`.
    public init(values: InjectionValues) { self.values = values }

    /// Adds init container, sidecar, volume, labels and annotations to the pods of any workload, or of each
    /// item of a List. Objects that make no pods, already have a proxy, use the host's network or are
    /// annotated `linkerd.io/inject: disabled` stay as they are.
    public func inject(_ document: JSONValue) -> InjectionResult {
        transform(document) { object, kind, path in
            let template = path.isEmpty ? object : object.value(at: path) ?? .object([:])
            let reasons = Self.reasonsToSkip(template)
            let udp = PodTemplate.ports(of: template).contains(where: \.isUDP)
            guard reasons.isEmpty else { return (.skipped(reasons), udp) }
            object.set(injected(template, into: object, kind: kind), at: path)
            return (.injected, udp)
        }
    }

    /// Marks the pods that an object describes, or a whole namespace, for the webhook. What `inject` added before is
    /// taken out first, so that doing it again changes nothing.
    ///
    /// - Parameter mode: `enabled`, or `ingress` for workloads that route by the requests' own names.
    public func annotate(_ document: JSONValue, mode: String = "enabled") -> InjectionResult {
        if document["kind"]?.stringValue == "Namespace" {
            var namespace = document
            namespace.set(.string(mode), at: ["metadata", "annotations", Self.injectAnnotation])
            let name = document.value(at: ["metadata", "name"])?.stringValue ?? ""
            let report = InjectionReport(kind: "namespace", name: name, outcome: .annotated, usesUDP: false)
            return InjectionResult(document: namespace, reports: [report])
        }
        return transform(document) { object, _, path in
            let template = path.isEmpty ? object : object.value(at: path) ?? .object([:])
            let udp = PodTemplate.ports(of: template).contains(where: \.isUDP)
            var cleaned = Self.uninjected(template)
            let reasons = Self.reasonsToSkip(cleaned)
            guard reasons.isEmpty else { return (.skipped(reasons), udp) }
            cleaned.set(.string(mode), at: ["metadata", "annotations", Self.injectAnnotation])
            object.set(cleaned, at: path)
            return (.annotated, udp)
        }
    }

    private static let injectAnnotation = "linkerd.io/inject"

    /// Removes what `inject` added; `config.linkerd.io/` annotations are the user's and stay.
    public func uninject(_ document: JSONValue) -> InjectionResult {
        transform(document) { object, _, path in
            let template = path.isEmpty ? object : object.value(at: path) ?? .object([:])
            let cleaned = Self.uninjected(template)
            guard cleaned != template else { return (.skipped([]), false) }
            object.set(cleaned, at: path)
            return (.uninjected, false)
        }
    }

    // MARK: Documents

    private typealias Change = (
        _ object: inout JSONValue, _ kind: String, _ template: [String]
    ) -> (InjectionReport.Outcome, usesUDP: Bool)

    private func transform(_ document: JSONValue, _ change: Change) -> InjectionResult {
        guard let kind = document["kind"]?.stringValue, !kind.isEmpty else {
            let report = InjectionReport(kind: "", name: "", outcome: .missingKind, usesUDP: false)
            return InjectionResult(document: document, reports: [report])
        }
        if kind == "List" || (kind.hasSuffix("List") && document["items"]?.arrayValue != nil) {
            let results = (document["items"]?.arrayValue ?? []).map { transform($0, change) }
            var list = document
            if list["items"] != nil { list["items"] = .array(results.map(\.document)) }
            return InjectionResult(document: list, reports: results.flatMap(\.reports))
        }
        let metadata = document["metadata"]
        let name = metadata?["name"]?.stringValue ?? metadata?["generateName"]?.stringValue ?? ""
        var changed = document
        let (outcome, udp): (InjectionReport.Outcome, Bool) =
            PodTemplate.path(ofKind: kind).map { change(&changed, kind, $0) } ?? (
                .skipped([.unsupportedKind]), false
            )
        let report = InjectionReport(kind: kind.lowercased(), name: name, outcome: outcome, usesUDP: udp)
        return InjectionResult(document: changed, reports: [report])
    }

    private static func reasonsToSkip(_ template: JSONValue) -> [SkipReason] {
        var reasons: [SkipReason] = []
        if template.value(at: ["spec", "hostNetwork"])?.boolValue == true { reasons.append(.hostNetwork) }
        if PodTemplate.hasSidecar(template) { reasons.append(.sidecarExists) }
        if template.value(at: ["metadata", "annotations", "linkerd.io/inject"])?.stringValue == "disabled" {
            reasons.append(.injectionDisabled)
        }
        return reasons
    }

    // MARK: Pods

    private func injected(_ template: JSONValue, into object: JSONValue, kind: String) -> JSONValue {
        let name = object.value(at: ["metadata", "name"])?.stringValue
        let owner = kind == "Pod" ? nil : name.map { (kind: kind, name: $0) }
        let namespace = object.value(at: ["metadata", "namespace"])?.stringValue
        return injected(template, namespace: namespace, owner: owner)
    }

    /// Adds the proxy to a pod of which namespace and owner are known from elsewhere than a manifest.
    func injectPod(_ pod: JSONValue, namespace: String, owner: PodOwner?) -> JSONValue {
        injected(pod, namespace: namespace, owner: owner.map { (kind: $0.kind, name: $0.name) })
    }

    private func injected(
        _ template: JSONValue, namespace: String?, owner: (kind: String, name: String)?
    ) -> JSONValue {
        let annotations = template.value(at: ["metadata", "annotations"])?.objectValue ?? [:]
        let settings = ProxySettings(values: values, annotations: annotations)
        let containers = ProxyContainers(settings: settings, template: template)
        var pod = template
        pod.set(.string(values.createdBy), at: ["metadata", "annotations", "linkerd.io/created-by"])
        let mode = values.trustAnchorsPEM == nil ? "disabled" : "default"
        pod.set(.string(mode), at: ["metadata", "annotations", "linkerd.io/identity-mode"])
        pod.set(.string(settings.proxyVersion), at: ["metadata", "annotations", "linkerd.io/proxy-version"])
        pod.set(
            .string(values.controlPlaneNamespace), at: ["metadata", "labels", "linkerd.io/control-plane-ns"])
        if let namespace { pod.set(.string(namespace), at: ["metadata", "labels", "linkerd.io/workload-ns"]) }
        if let owner {
            pod.set(.string(owner.name), at: ["metadata", "labels", "linkerd.io/proxy-\(owner.kind.lowercased())"])
        }
        Self.append(containers.initContainer(), to: "initContainers", of: &pod)
        Self.append(containers.proxyContainer(), to: "containers", of: &pod)
        for volume in containers.volumes() { Self.append(volume, to: "volumes", of: &pod) }
        return pod
    }

    private static func append(_ element: JSONValue, to list: String, of pod: inout JSONValue) {
        let elements = pod.value(at: ["spec", list])?.arrayValue ?? []
        pod.set(.array(elements + [element]), at: ["spec", list])
    }

    private static func uninjected(_ template: JSONValue) -> JSONValue {
        let ours: Set = [
            "linkerd-init", "linkerd-proxy", ProxyContainers.lockVolume, "linkerd-identity-end-entity",
            "linkerd-identity-token",
        ]
        var pod = template
        for list in ["containers", "initContainers", "volumes"] {
            guard let elements = pod.value(at: ["spec", list])?.arrayValue else { continue }
            let kept = elements.filter { !ours.contains($0["name"]?.stringValue ?? "") }
            guard kept.count < elements.count else { continue }
            pod.set(kept.isEmpty ? JSONValue?.none : .array(kept), at: ["spec", list])
        }
        for field in ["labels", "annotations"] {
            guard let members = pod.value(at: ["metadata", field])?.objectValue else { continue }
            let kept = members.filter { key, value in
                !key.hasPrefix("linkerd.io/") || (key == "linkerd.io/inject" && value == "disabled")
            }
            guard kept.count < members.count else { continue }
            pod.set(kept.isEmpty ? JSONValue?.none : .object(kept), at: ["metadata", field])
        }
        return pod
    }
}

extension ProxyInjection {
    /// Injects every document of a YAML (or JSON) text. Documents come out as YAML, each ended by `---`.
    ///
    /// - Throws: `YAMLError` when the text is not YAML.
    public func injectYAML(_ text: String) throws -> (yaml: String, report: [InjectionReport]) {
        try transformYAML(text, inject)
    }

    /// Marks every document for the webhook, in the same form.
    ///
    /// - Parameter mode: `enabled` or `ingress`.
    public func annotateYAML(_ text: String, mode: String) throws -> (yaml: String, report: [InjectionReport]) {
        try transformYAML(text) { annotate($0, mode: mode) }
    }

    /// The opposite of `injectYAML`, in the same form.
    public func uninjectYAML(_ text: String) throws -> (yaml: String, report: [InjectionReport]) {
        try transformYAML(text, uninject)
    }

    private func transformYAML(
        _ text: String, _ change: (JSONValue) -> InjectionResult
    ) throws -> (yaml: String, report: [InjectionReport]) {
        let results = try YAMLText.documents(text).map(change)
        let yaml = results.map { YAMLText.render($0.document) + "---\n" }.joined()
        return (yaml, results.flatMap(\.reports))
    }
}
