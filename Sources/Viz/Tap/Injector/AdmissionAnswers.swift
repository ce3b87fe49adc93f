// The webhook's answers: AdmissionReview in, AdmissionReview out. A review that cannot be read is refused with a
// status; one that can is never an error, and whatever fails leaves the pod as it is, which the message says.

import Foundation
import MeshModel

/// Answers admission reviews.
package struct AdmissionAnswers: HTTPAnswering {
    private let serviceName: String
    private let namespaceAnnotations: @Sendable (String) async throws -> [String: String]

    /// - Parameter serviceName: the identity that proxies will let tap.
    package init(
        serviceName: String, namespaceAnnotations: @escaping @Sendable (String) async throws -> [String: String]
    ) {
        self.serviceName = serviceName
        self.namespaceAnnotations = namespaceAnnotations
    }

    package func answer(_ request: TapHTTPRequest) async -> HTTPAnswer {
        guard request.method == "POST" else { return .document(.error("method not allowed", status: 405)) }
        guard let body = request.body else { return .document(.error("the review is too long", status: 413)) }
        // Not JSON, or no review: the API server must not take it for a decision.
        guard let review = try? JSONValue(parsing: body), let asked = review["request"],
            let uid = asked["uid"]?.stringValue
        else { return .document(.error("no AdmissionReview", status: 400)) }
        var response: JSONValue = ["uid": .string(uid), "allowed": true]
        do {
            let patch = try await patch(asked)
            if !patch.isEmpty {
                response["patchType"] = "JSONPatch"
                response["patch"] = .string(Data(JSONValue.array(patch).serialized()).base64EncodedString())
            }
        } catch {
            response["allowed"] = false
            response["status"] = ["message": .string("tap injection failed: \(error)"), "code": 500]
        }
        return .document(
            .json([
                "apiVersion": review["apiVersion"] ?? "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": response,
            ]))
    }

    private func patch(_ asked: JSONValue) async throws -> [JSONValue] {
        guard asked["kind"]?["kind"]?.stringValue == "Pod", let pod = asked["object"] else { return [] }
        let namespace = asked["namespace"]?.stringValue ?? ""
        return TapInjection.patch(
            pod, namespaceAnnotations: try await namespaceAnnotations(namespace), serviceName: serviceName)
    }
}
