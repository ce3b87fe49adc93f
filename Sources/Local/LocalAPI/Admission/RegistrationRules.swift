import Foundation
import MeshModel

/// Rules of objects that point the API server at programs: webhooks and aggregated APIs.
enum RegistrationRules {
    static func webhooks(_ object: JSONValue) -> [FieldCause] {
        (object["webhooks"]?.arrayValue ?? []).enumerated().flatMap { index, webhook in
            self.webhook(webhook, path: "webhooks[\(index)]")
        }
    }

    private static func webhook(_ webhook: JSONValue, path: String) -> [FieldCause] {
        var causes = words(webhook, path, "sideEffects", ["None", "NoneOnDryRun"])
        causes += words(webhook, path, "failurePolicy", ["Ignore", "Fail"])
        causes += words(webhook, path, "matchPolicy", ["Equivalent", "Exact"])
        causes += words(webhook, path, "reinvocationPolicy", ["Never", "IfNeeded"])
        let seconds = webhook["timeoutSeconds"]?.intValue ?? 10
        if !AdmissionWebhook.timeoutSeconds.contains(seconds) {
            causes.append(
                .invalid(path + ".timeoutSeconds", "\(seconds)", "the timeout value must be between 1 and 30 seconds"))
        }
        let versions = (webhook["admissionReviewVersions"]?.arrayValue ?? []).compactMap(\.stringValue)
        if !versions.contains(where: ["v1", "v1beta1"].contains) {
            causes.append(
                .invalid(
                    path + ".admissionReviewVersions", versions.joined(separator: ","),
                    "must include at least one of v1, v1beta1"))
        }
        if webhook["matchConditions"]?.arrayValue?.isEmpty == false {
            causes.append(
                FieldCause(
                    field: path + ".matchConditions", reason: .forbidden,
                    message: "Forbidden: match conditions are not supported by the local cluster"))
        }
        return causes + clientConfig(webhook["clientConfig"] ?? [:], path: path + ".clientConfig")
    }

    private static func clientConfig(_ config: JSONValue, path: String) -> [FieldCause] {
        let url = config["url"]?.stringValue ?? ""
        let hasService = config["service"]?.isNull == false
        guard url.isEmpty == hasService else {
            let why = "Required value: exactly one of url or service is required"
            return [FieldCause(field: path, reason: .required, message: why)]
        }
        if !hasService, URLComponents(string: url)?.scheme != "https" {
            return [.invalid(path + ".url", url, "'https' is the only allowed URL scheme")]
        }
        return []
    }

    private static func words(_ object: JSONValue, _ path: String, _ field: String, _ allowed: [String]) -> [FieldCause] {
        guard let word = object[field]?.stringValue, !word.isEmpty, !allowed.contains(word) else { return [] }
        return [.notSupported("\(path).\(field)", word, allowed: allowed)]
    }

    static func apiService(_ object: JSONValue) -> [FieldCause] {
        let spec = object["spec"] ?? [:]
        let wanted = "\(spec["version"]?.stringValue ?? "").\(spec["group"]?.stringValue ?? "")"
        var causes: [FieldCause] = []
        if object.name != wanted {
            causes.append(.invalid("metadata.name", object.name, "must be `spec.version+\".\"+spec.group`: \(wanted)"))
        }
        let hasBundle = spec["caBundle"]?.stringValue?.isEmpty == false
        if hasBundle, spec["insecureSkipTLSVerify"]?.boolValue == true {
            causes.append(
                .invalid("spec.insecureSkipTLSVerify", "true", "may not be true if caBundle is present"))
        }
        return causes
    }
}
