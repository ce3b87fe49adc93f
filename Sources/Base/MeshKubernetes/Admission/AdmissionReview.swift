// AdmissionReview as a webhook reads and answers it, versions v1 and v1beta1 of admission.k8s.io.

internal import Foundation
public import MeshModel

/// What the API server asks a webhook about.
public struct AdmissionRequest: Sendable, Equatable {
    /// Echoed by the answer.
    public let uid: String
    /// Kind of the object, e.g. `Pod`.
    public let kind: String
    /// Empty for an object of the cluster.
    public let namespace: String
    /// Empty when the name is yet to be generated.
    public let name: String
    /// `CREATE`, `UPDATE` or `DELETE`.
    public let operation: String
    /// `null` for a deletion.
    public let object: JSONValue
    /// `null` for a creation.
    public let oldObject: JSONValue
    public let isDryRun: Bool
}

/// What a webhook decides.
public enum AdmissionDecision: Sendable, Equatable {
    /// The object may pass, changed by a JSON patch (RFC 6902) unless that is `nil` or empty.
    case allowed(patch: JSONValue? = nil, warnings: [String] = [])
    /// The object may not pass; the text says why.
    case denied(String)
}

/// The document around both.
struct AdmissionReview: Sendable {
    /// Why a document is no review.
    struct Mistake: Error, CustomStringConvertible { let description: String }

    private static let versions: Set = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"]

    /// Echoed by the answer, which must be in the version of the question.
    let apiVersion: String
    let request: AdmissionRequest

    init(_ document: JSONValue) throws(Mistake) {
        let apiVersion = document["apiVersion"]?.stringValue ?? ""
        guard document["kind"]?.stringValue == "AdmissionReview", Self.versions.contains(apiVersion) else {
            throw Mistake(description: "the body is not an AdmissionReview of admission.k8s.io/v1 or v1beta1")
        }
        guard let request = document["request"], let uid = request["uid"]?.stringValue, !uid.isEmpty else {
            throw Mistake(description: "the AdmissionReview has no request.uid")
        }
        func text(_ field: String) -> String { request[field]?.stringValue ?? "" }
        self.apiVersion = apiVersion
        self.request = AdmissionRequest(
            uid: uid, kind: request.value(at: ["kind", "kind"])?.stringValue ?? "", namespace: text("namespace"),
            name: text("name"), operation: text("operation"), object: request["object"] ?? .null,
            oldObject: request["oldObject"] ?? .null, isDryRun: request["dryRun"]?.boolValue ?? false)
    }

    /// The answer to this review.
    func answer(_ decision: AdmissionDecision) -> JSONValue {
        var response: JSONValue = ["uid": .string(request.uid)]
        switch decision {
        case .allowed(let patch, let warnings):
            response["allowed"] = true
            if let patch, patch.arrayValue?.isEmpty == false {
                response["patchType"] = "JSONPatch"
                response["patch"] = .string(Data(patch.serialized()).base64EncodedString())
            }
            if !warnings.isEmpty { response["warnings"] = .array(warnings.map { .string($0) }) }
        case .denied(let why):
            response["allowed"] = false
            response["status"] = ["message": .string(why)]
        }
        return ["kind": "AdmissionReview", "apiVersion": .string(apiVersion), "response": response]
    }
}
