// AdmissionReview, versions v1 and v1beta1 of admission.k8s.io: the question that a webhook is sent and the
// answer it gives.

import Foundation
import MeshModel

/// One question to one webhook.
struct AdmissionReviewDocument {
    private static let known = ["v1", "v1beta1"]

    /// Echoed by the answer.
    let uid: String
    let apiVersion: String
    let document: JSONValue

    /// - Throws: `WebhookFailure` when the webhook reads no version that is known here.
    init(_ call: AdmissionCall, webhook: AdmissionWebhook) throws(WebhookFailure) {
        guard let version = webhook.reviewVersions.first(where: Self.known.contains) else {
            throw WebhookFailure("none of its admissionReviewVersions is one of v1, v1beta1")
        }
        uid = UUID().uuidString.lowercased()
        apiVersion = "admission.k8s.io/\(version)"
        document = [
            "kind": "AdmissionReview", "apiVersion": .string(apiVersion), "request": Self.request(call, uid: uid),
        ]
    }

    private static func request(_ call: AdmissionCall, uid: String) -> JSONValue {
        let kind: JSONValue = [
            "group": .string(call.kind.group), "version": .string(call.kind.version), "kind": .string(call.kind.kind),
        ]
        let resource: JSONValue = [
            "group": .string(call.kind.group), "version": .string(call.kind.version),
            "resource": .string(call.kind.plural),
        ]
        let options =
            switch call.operation {
            case .create: "CreateOptions"
            case .update: "UpdateOptions"
            case .delete: "DeleteOptions"
            }
        var request: JSONValue = [
            "uid": .string(uid), "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
            "operation": .string(call.operation.rawValue), "userInfo": call.user.document,
            "object": call.object ?? .null, "oldObject": call.old ?? .null, "dryRun": .bool(call.isDryRun),
            "options": ["kind": .string(options), "apiVersion": "meta.k8s.io/v1"],
        ]
        if !call.name.isEmpty { request["name"] = .string(call.name) }
        if !call.namespace.isEmpty { request["namespace"] = .string(call.namespace) }
        if !call.subresource.isEmpty {
            request["subResource"] = .string(call.subresource)
            request["requestSubResource"] = .string(call.subresource)
        }
        return request
    }
}

/// What a webhook answered.
struct AdmissionAnswer: Sendable {
    let isAllowed: Bool
    /// A JSON patch.
    let patch: JSONValue?
    let warnings: [String]
    /// A `Status` when refused.
    let status: JSONValue

    /// - Throws: `WebhookFailure` when it is no answer to `question`.
    init(_ document: JSONValue, to question: AdmissionReviewDocument) throws(WebhookFailure) {
        guard document["kind"] == "AdmissionReview", document["apiVersion"]?.stringValue == question.apiVersion else {
            let given = "\(document["apiVersion"]?.stringValue ?? "")/\(document["kind"]?.stringValue ?? "")"
            throw WebhookFailure("expected webhook response of \(question.apiVersion)/AdmissionReview, got \(given)")
        }
        guard let response = document["response"], !response.isNull else {
            throw WebhookFailure("webhook response was absent")
        }
        let uid = response["uid"]?.stringValue ?? ""
        guard uid == question.uid else {
            throw WebhookFailure("expected response.uid=\"\(question.uid)\", got \"\(uid)\"")
        }
        isAllowed = response["allowed"]?.boolValue ?? false
        warnings = (response["warnings"]?.arrayValue ?? []).compactMap(\.stringValue)
        status = response["status"] ?? [:]
        patch = try Self.patch(response)
    }

    private static func patch(_ response: JSONValue) throws(WebhookFailure) -> JSONValue? {
        guard let text = response["patch"]?.stringValue, !text.isEmpty else { return nil }
        guard response["patchType"]?.stringValue == "JSONPatch" else {
            throw WebhookFailure("invalid response.patchType, \"JSONPatch\" is the only one")
        }
        guard let bytes = Base64.bytes(text) else { throw WebhookFailure("response.patch is not base64") }
        do { return try JSONValue(parsing: bytes) } catch {
            throw WebhookFailure("response.patch is not JSON: \(error)")
        }
    }
}

/// Why a webhook could not be asked, or gave no usable answer.
struct WebhookFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension UserIdentity {
    /// The user as reviews name it.
    var document: JSONValue {
        var information: JSONValue = ["username": .string(name), "groups": .array(groups.map { .string($0) })]
        if !uid.isEmpty { information["uid"] = .string(uid) }
        if !extra.isEmpty { information["extra"] = .object(extra.mapValues { .array($0.map { .string($0) }) }) }
        return information
    }
}
