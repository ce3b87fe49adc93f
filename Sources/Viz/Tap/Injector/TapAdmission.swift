package import MeshKubernetes
import MeshModel

/// Decides about new pods: a meshed one is told which identity may tap it. Whatever fails refuses the pod, and the
/// registration's failure policy says what then becomes of it.
package struct TapAdmission: Sendable {
    private let serviceName: String
    private let namespaceAnnotations: @Sendable (String) async throws -> [String: String]

    /// - Parameter serviceName: the identity that proxies will let tap.
    package init(
        serviceName: String, namespaceAnnotations: @escaping @Sendable (String) async throws -> [String: String]
    ) {
        self.serviceName = serviceName
        self.namespaceAnnotations = namespaceAnnotations
    }

    package func decide(_ request: AdmissionRequest) async throws -> AdmissionDecision {
        guard request.kind == "Pod", request.object != .null else { return .allowed() }
        do {
            let annotations = try await namespaceAnnotations(request.namespace)
            return .allowed(
                patch: .array(
                    TapInjection.patch(request.object, namespaceAnnotations: annotations, serviceName: serviceName)))
        } catch {
            return .denied("tap injection failed: \(error)")
        }
    }
}
