// What the webhook decides about one new object: pods of namespaces or with annotations that ask for it get the
// proxy, with what the namespace configures written onto the pod; other pods and Services are told which of
// their ports are opaque. Pure: objects in, a patch and the reasons out.
//
// Source: Linkerd's annotations `linkerd.io/inject` and `config.linkerd.io/…`, and who wins: the pod.

public import MeshModel

/// The object that a person made, which in turn made a pod.
public struct PodOwner: Sendable, Hashable {
    /// E.g. `Deployment`.
    public let kind: String
    public let apiVersion: String
    public let name: String
    public let uid: String

    public init(kind: String, apiVersion: String, name: String, uid: String) {
        self.kind = kind
        self.apiVersion = apiVersion
        self.name = name
        self.uid = uid
    }
}

/// The outcome for one object.
public struct AdmissionInjectionResult: Sendable, Equatable {
    /// Which annotation was decisive.
    public enum AnnotationPlace: String, Sendable { case namespace, workload }

    /// Operations of a JSON patch; empty when the object stays as it is.
    public let patch: [JSONValue]
    /// Why a pod got no proxy; empty when it got one, and for other objects.
    public let reasons: [SkipReason]
    /// Whether the proxy was added.
    public let isInjected: Bool
    public let annotationPlace: AnnotationPlace
    /// Names of the `config.linkerd.io/` annotations that took part, without the prefix.
    public let settings: Set<String>
}

/// Decides about objects that are being created.
public struct AdmissionInjection: Sendable {
    private static let inject = "linkerd.io/inject"
    private static let prefix = "config.linkerd.io/"
    private static let alphaPrefix = "config.alpha.linkerd.io/"
    private static let opaquePorts = prefix + "opaque-ports"

    private let values: InjectionValues

    /// Prepares decisions with cluster-wide values.
    public init(values: InjectionValues) { self.values = values }

    /// Decides about a pod.
    ///
    /// - Parameters:
    ///   - namespace: Name of the pod's namespace, which the pod itself may not name yet.
    ///   - annotations: The namespace's annotations.
    ///   - owner: `nil` for a pod that somebody made by hand.
    public func pod(
        _ pod: JSONValue, namespace: String, annotations: [String: String], owner: PodOwner?
    ) -> AdmissionInjectionResult {
        let own = pod.value(at: ["metadata", "annotations"])?.objectValue ?? [:]
        let onNamespace = annotations[Self.inject] ?? ""
        let onPod = own[Self.inject]?.stringValue ?? ""
        let place: AdmissionInjectionResult.AnnotationPlace =
            onPod.isEmpty && !onNamespace.isEmpty ? .namespace : .workload
        let reasons = Self.reasons(pod, onNamespace: onNamespace, onPod: onPod)
        guard reasons.isEmpty else {
            let marked = withOpaquePorts(pod, ports: Self.containerPorts(pod), annotations: annotations)
            return result(from: pod, to: marked, reasons: reasons, isInjected: false, place: place)
        }
        var inherited = pod
        for (key, value) in annotations where Self.isInherited(key) && own[key] == nil {
            inherited.set(.string(value), at: ["metadata", "annotations", key])
        }
        // `ingress` on the namespace is a mode, and the pod's own annotation wins over it.
        if onPod.isEmpty, onNamespace == "ingress" {
            inherited.set("ingress", at: ["metadata", "annotations", Self.inject])
        }
        let injected = ProxyInjection(values: values).injectPod(inherited, namespace: namespace, owner: owner)
        return result(from: pod, to: injected, reasons: [], isInjected: true, place: place)
    }

    /// Decides about a Service: it is told its opaque ports.
    ///
    /// - Parameter annotations: The namespace's annotations.
    public func service(_ service: JSONValue, annotations: [String: String]) -> AdmissionInjectionResult {
        // The port that is tested is the pods' when it is given by number; the one that is written is the Service's.
        let ports = (service.value(at: ["spec", "ports"])?.arrayValue ?? []).compactMap { port -> TestedPort? in
            guard let number = port["port"]?.intValue else { return nil }
            let target = port["targetPort"].flatMap { $0.isNull ? nil : $0 }
            guard let target else { return TestedPort(tested: number, written: number) }
            return target.intValue.map { TestedPort(tested: $0, written: number) }
        }
        let marked = withOpaquePorts(service, ports: ports, annotations: annotations)
        return result(from: service, to: marked, reasons: [], isInjected: false, place: .workload)
    }

    private func result(
        from old: JSONValue, to new: JSONValue, reasons: [SkipReason], isInjected: Bool,
        place: AdmissionInjectionResult.AnnotationPlace
    ) -> AdmissionInjectionResult {
        let annotations = new.value(at: ["metadata", "annotations"])?.objectValue ?? [:]
        let settings = annotations.keys.filter { $0.hasPrefix(Self.prefix) }.map { String($0.dropFirst(Self.prefix.count)) }
        return AdmissionInjectionResult(
            patch: JSONPatchWriter.operations(from: old, to: new), reasons: reasons, isInjected: isInjected,
            annotationPlace: place, settings: Set(settings))
    }

    // MARK: Whether

    private static func reasons(_ pod: JSONValue, onNamespace: String, onPod: String) -> [SkipReason] {
        var reasons: [SkipReason] = []
        if pod.value(at: ["spec", "hostNetwork"])?.boolValue == true { reasons.append(.hostNetwork) }
        if PodTemplate.hasSidecar(pod) { reasons.append(.sidecarExists) }
        if let reason = annotationReason(onNamespace: onNamespace, onPod: onPod) { reasons.append(reason) }
        return reasons
    }

    private static func annotationReason(onNamespace: String, onPod: String) -> SkipReason? {
        let valid: Set = ["", "enabled", "disabled", "ingress"]
        if !valid.contains(onNamespace) { return .invalidNamespaceAnnotation }
        if !valid.contains(onPod) { return .invalidWorkloadAnnotation }
        switch (onNamespace, onPod) {
        case (_, "disabled"): return .injectionDisabled
        case (_, "enabled"), (_, "ingress"): return nil
        case ("enabled", _), ("ingress", _): return nil
        default: return .annotationAbsent
        }
    }

    // MARK: Settings of the namespace

    /// Keys below the prefix that are a pod's own business.
    private static let notInherited: Set = [
        "enable-gateway", "close-wait-timeout", "debug-image", "debug-image-version", "debug-image-pull-policy",
        "proxy-cpu-ratio-limit", "admission-webhooks",
    ]

    private static func isInherited(_ key: String) -> Bool {
        if key.hasPrefix(alphaPrefix) { return true }
        return key.hasPrefix(prefix) && !notInherited.contains(String(key.dropFirst(prefix.count)))
    }

    // MARK: Opaque ports

    private struct TestedPort {
        let tested: Int
        let written: Int
    }

    private static func containerPorts(_ pod: JSONValue) -> [TestedPort] {
        PodTemplate.ports(of: pod).map { TestedPort(tested: $0.number, written: $0.number) }
    }

    /// The object with the namespace's list, or with those of its own ports that the default list covers.
    private func withOpaquePorts(
        _ object: JSONValue, ports: [TestedPort], annotations: [String: String]
    ) -> JSONValue {
        let path = ["metadata", "annotations", Self.opaquePorts]
        guard object.value(at: path) == nil else { return object }
        var object = object
        if let list = annotations[Self.opaquePorts] {
            object.set(.string(list), at: path)
            return object
        }
        let covered = ports.filter { PortList.contains(values.opaquePorts, $0.tested) }.map(\.written)
        var seen: Set<Int> = []
        let list = covered.filter { seen.insert($0).inserted }.map(String.init).joined(separator: ",")
        if !list.isEmpty { object.set(.string(list), at: path) }
        return object
    }
}

extension PortList {
    /// Whether a list of ports and ranges covers a port.
    static func contains(_ list: String, _ port: Int) -> Bool {
        valid(list).contains { item in
            let bounds = item.split(separator: "-").compactMap { Int($0) }
            return (bounds.first ?? 1) <= port && port <= (bounds.last ?? 0)
        }
    }
}
