// What happened to each object of a manifest, and the words in which `linkerd inject` says so.

/// Why an object kept its pods as they were.
public enum SkipReason: Sendable, Equatable, CaseIterable {
    case hostNetwork
    case sidecarExists
    case unsupportedKind
    case injectionDisabled
    /// Neither namespace nor pod asks for the proxy; only a webhook finds this, a manifest is asked by its reader.
    case annotationAbsent
    case invalidNamespaceAnnotation
    case invalidWorkloadAnnotation

    /// The reason as messages and events word it.
    public var text: String {
        switch self {
        case .hostNetwork: "hostNetwork is enabled"
        case .sidecarExists: "pod has a sidecar injected already"
        case .unsupportedKind: "this resource kind is unsupported"
        case .injectionDisabled: "pod has the annotation \"linkerd.io/inject:disabled\""
        case .annotationAbsent:
            "neither the namespace nor the pod have the annotation \"linkerd.io/inject:enabled\""
        case .invalidNamespaceAnnotation: "invalid value for annotation \"linkerd.io/inject\" at namespace"
        case .invalidWorkloadAnnotation: "invalid value for annotation \"linkerd.io/inject\" at workload"
        }
    }

    /// The reason as a metric's label.
    public var label: String {
        switch self {
        case .hostNetwork: "host_network_enabled"
        case .sidecarExists: "sidecar_already_exists"
        case .unsupportedKind: "unsupported_resource"
        case .injectionDisabled: "injection_disable_annotation_present"
        case .annotationAbsent: "injection_enable_annotation_absent"
        case .invalidNamespaceAnnotation: "invalid_inject_annotation_at_ns"
        case .invalidWorkloadAnnotation: "invalid_inject_annotation_at_workload"
        }
    }
}

/// The outcome for one object.
public struct InjectionReport: Sendable, Equatable, CustomStringConvertible {
    /// What was done.
    public enum Outcome: Sendable, Equatable {
        case injected
        /// Marked for the webhook, which adds the proxy to the pods when they are made.
        case annotated
        case uninjected
        case skipped([SkipReason])
        /// A document without a kind: not an object at all.
        case missingKind
    }

    /// Kind in lower case, e.g. `deployment`; empty for a document without one.
    public let kind: String
    /// Name, or generateName when only that is given.
    public let name: String
    public let outcome: Outcome
    /// Whether a container port is UDP, which the proxy does not see.
    public let usesUDP: Bool

    /// `kind/name`, as warnings name objects.
    public var reference: String { "\(kind)/\(name)" }

    /// The object's line of the report.
    public var description: String {
        switch outcome {
        case .injected: "\(kind) \"\(name)\" injected"
        case .annotated: "\(kind) \"\(name)\" annotated"
        case .uninjected: "\(kind) \"\(name)\" uninjected"
        case .skipped: "\(kind) \"\(name)\" skipped"
        case .missingKind: "document missing \"kind\" field, skipped"
        }
    }
}

extension Sequence<InjectionReport> {
    /// The whole report, for standard error: warnings, then one line an object, framed by blank lines.
    ///
    /// - Parameter verbose: Also names the checks that found nothing, with a tick.
    public func rendered(verbose: Bool = false) -> String {
        let reports = Array(self)
        func named(_ reason: SkipReason) -> [String] {
            reports.filter { if case .skipped(let all) = $0.outcome { all.contains(reason) } else { false } }
                .map(\.reference)
        }
        var warnings: [String] = []
        func check(_ objects: [String], bad: (String) -> String, good: String) {
            if !objects.isEmpty {
                warnings.append("‼ " + bad(objects.joined(separator: ", ")))
            } else if verbose {
                warnings.append("√ " + good)
            }
        }
        check(
            named(.hostNetwork), bad: { "\"hostNetwork: true\" detected in \($0)" },
            good: "pods do not use host networking")
        check(
            named(.sidecarExists), bad: { "known 3rd party sidecar detected in \($0)" },
            good: "pods do not have a 3rd party proxy or initContainer already injected")
        check(
            named(.injectionDisabled), bad: { "\"linkerd.io/inject: disabled\" annotation set on \($0)" },
            good: "pods are not annotated to disable injection")
        let canInject = reports.contains { report in
            if case .skipped(let reasons) = report.outcome { return !reasons.contains(.unsupportedKind) }
            return report.outcome != .missingKind
        }
        check(
            canInject ? [] : [""], bad: { _ in "no supported objects found" },
            good: "at least one resource can be injected")
        let udp = reports.filter { $0.usesUDP && [.injected, .annotated].contains($0.outcome) }.map(\.reference)
        check(
            udp, bad: { "\($0) \(udp.count == 1 ? "uses" : "use") \"protocol: UDP\"" },
            good: "pod specs do not include UDP ports")
        var lines = [""]
        if !warnings.isEmpty { lines += warnings + [""] }
        lines += reports.map(\.description) + [""]
        return lines.joined(separator: "\n") + "\n"
    }
}
