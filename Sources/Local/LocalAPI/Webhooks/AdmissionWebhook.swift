import MeshModel

/// What a request is about, as admission webhooks are asked about it.
struct AdmissionCall: Sendable {
    enum Operation: String, Sendable { case create = "CREATE", update = "UPDATE", delete = "DELETE" }

    let kind: KindDescription
    /// Empty for the object itself.
    let subresource: String
    let operation: Operation
    let namespace: String
    let name: String
    /// Absent when it is to be deleted.
    var object: JSONValue?
    /// Absent when it is to be created.
    let old: JSONValue?
    let user: UserIdentity
    let isDryRun: Bool
}

/// Which requests a webhook is asked about.
struct WebhookRule: Sendable, Hashable {
    let operations: [String]
    let groups: [String]
    let versions: [String]
    let resources: [String]
    let scope: String

    init(_ document: JSONValue) {
        func texts(_ field: String) -> [String] {
            (document[field]?.arrayValue ?? []).compactMap(\.stringValue)
        }
        operations = texts("operations")
        groups = texts("apiGroups")
        versions = texts("apiVersions")
        resources = texts("resources")
        scope = document["scope"]?.stringValue ?? "*"
    }

    func matches(_ kind: KindDescription, subresource: String, operation: AdmissionCall.Operation) -> Bool {
        func has(_ values: [String], _ value: String) -> Bool { values.contains("*") || values.contains(value) }
        let isInScope = scope == "*" || (scope == "Namespaced") == kind.isNamespaced
        return isInScope && has(operations, operation.rawValue) && has(groups, kind.group)
            && has(versions, kind.version)
            && resources.contains { covers($0, plural: kind.plural, subresource: subresource) }
    }

    /// `pods`, `pods/status`, `pods/*`, `*/status`, `*` (no sub-resources) and `*/*`.
    private func covers(_ pattern: String, plural: String, subresource: String) -> Bool {
        let parts = pattern.split(separator: "/", maxSplits: 1).map(String.init)
        guard let resource = parts.first, resource == "*" || resource == plural else { return false }
        return parts.count > 1 ? parts[1] == "*" || parts[1] == subresource : subresource.isEmpty
    }
}

/// One webhook of a stored configuration.
struct AdmissionWebhook: Sendable {
    enum Destination: Sendable, Hashable {
        case service(namespace: String, name: String, path: String, port: Int)
        case url(String)
    }

    /// Longest and shortest `timeoutSeconds`, as in Kubernetes.
    static let timeoutSeconds = 1...30

    let name: String
    let destination: Destination
    /// The certificates that the webhook's own must be signed by, in PEM; `nil` trusts the system's.
    let authority: [UInt8]?
    let rules: [WebhookRule]
    let namespaceSelector: LabelSelector
    let objectSelector: LabelSelector
    /// Whether a webhook that cannot be asked is as good as one that agrees.
    let ignoresFailure: Bool
    let timeout: Int
    let reviewVersions: [String]
    /// Whether it is asked again when a later one has changed the object.
    let reinvokes: Bool

    init(_ document: JSONValue) {
        name = document["name"]?.stringValue ?? ""
        let config = document["clientConfig"] ?? [:]
        if let service = config["service"], !service.isNull {
            let path = service["path"]?.stringValue ?? "/"
            destination = .service(
                namespace: service["namespace"]?.stringValue ?? "", name: service["name"]?.stringValue ?? "",
                path: path.hasPrefix("/") ? path : "/" + path, port: service["port"]?.intValue ?? 443)
        } else {
            destination = .url(config["url"]?.stringValue ?? "")
        }
        authority = config["caBundle"]?.stringValue.flatMap(Base64.bytes).flatMap { $0.isEmpty ? nil : $0 }
        rules = (document["rules"]?.arrayValue ?? []).map(WebhookRule.init)
        namespaceSelector = LabelSelector(document["namespaceSelector"])
        objectSelector = LabelSelector(document["objectSelector"])
        ignoresFailure = document["failurePolicy"] == "Ignore"
        let seconds = document["timeoutSeconds"]?.intValue ?? 10
        timeout = min(max(seconds, Self.timeoutSeconds.lowerBound), Self.timeoutSeconds.upperBound)
        reviewVersions = (document["admissionReviewVersions"]?.arrayValue ?? []).compactMap(\.stringValue)
        reinvokes = document["reinvocationPolicy"] == "IfNeeded"
    }

    /// Whether it is to be asked, by its rules alone.
    func mayConcern(_ kind: KindDescription, subresource: String, operation: AdmissionCall.Operation) -> Bool {
        rules.contains { $0.matches(kind, subresource: subresource, operation: operation) }
    }

    /// Whether it is to be asked, by its selectors.
    ///
    /// - Parameter namespaceLabels: `nil` for an object of the cluster, which no namespace selector leaves out.
    func selects(_ call: AdmissionCall, namespaceLabels: JSONValue?) -> Bool {
        if let namespaceLabels, !namespaceSelector.matches(namespaceLabels) { return false }
        if objectSelector.requirements.isEmpty { return true }
        return [call.object, call.old].contains { object in
            object.map { objectSelector.matches($0.value(at: ["metadata", "labels"])) } ?? false
        }
    }
}

/// All webhooks, in the order they are asked: by the names of their configurations, then as written there.
struct WebhookTable: Sendable {
    /// Kinds of objects that it is made of, by qualified name.
    static let resources = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"].map {
        "\($0).admissionregistration.k8s.io"
    }

    let mutating: [AdmissionWebhook]
    let validating: [AdmissionWebhook]

    init(objects: [JSONValue] = []) {
        func webhooks(_ kind: String) -> [AdmissionWebhook] {
            objects.filter { $0["kind"]?.stringValue == kind }.sorted { $0.name < $1.name }
                .flatMap { $0["webhooks"]?.arrayValue ?? [] }.map(AdmissionWebhook.init)
        }
        mutating = webhooks("MutatingWebhookConfiguration")
        validating = webhooks("ValidatingWebhookConfiguration")
    }

    /// Whether any webhook may have to be asked. Configurations of webhooks are never subject to webhooks: a bad one
    /// must not be able to prevent its own repair.
    func concern(_ kind: KindDescription, subresource: String, operation: AdmissionCall.Operation) -> Bool {
        if Self.resources.contains(kind.qualifiedName) { return false }
        return (mutating + validating).contains { $0.mayConcern(kind, subresource: subresource, operation: operation) }
    }
}
