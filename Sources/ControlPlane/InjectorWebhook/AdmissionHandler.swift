internal import Injector
internal import Logging
internal import MeshKubernetes
internal import MeshModel

/// Decides about objects that are being created, with what the API server knows about their namespaces and owners.
struct AdmissionHandler: Sendable {
    let settings: InjectorSettings
    let cluster: ClusterFacts
    let events: InjectorEvents
    let metrics: InjectorMetrics
    let logger: Logger

    /// - Throws: `KubernetesError` when the namespace cannot be read: nobody knows then what it asks for.
    func decide(_ request: AdmissionRequest) async throws -> AdmissionDecision {
        guard request.operation == "CREATE" else { return .allowed() }
        switch request.kind {
        case "Pod": return try await pod(request)
        case "Service":
            let annotations = try await cluster.namespaceAnnotations(request.namespace)
            let injection = AdmissionInjection(values: settings.currentValues())
            return .allowed(patch: .array(injection.service(request.object, annotations: annotations).patch))
        default: return .allowed()
        }
    }

    private func pod(_ request: AdmissionRequest) async throws -> AdmissionDecision {
        let annotations = try await cluster.namespaceAnnotations(request.namespace)
        let owner = await cluster.owner(of: request.object, namespace: request.namespace)
        let result = AdmissionInjection(values: settings.currentValues()).pod(
            request.object, namespace: request.namespace, annotations: annotations, owner: owner)
        metrics.decided(result, ownerKind: owner?.kind.lowercased() ?? "pod", namespace: request.namespace)
        if !request.isDryRun { record(result, owner, request) }
        logger.debug(
            "Pod judged",
            metadata: [
                "namespace": "\(request.namespace)", "owner": "\(owner?.name ?? "")",
                "injected": "\(result.isInjected)", "reasons": "\(result.reasons.map(\.label))",
            ])
        return .allowed(patch: .array(result.patch))
    }

    /// The owner is told, except about pods of which nobody asked anything: their namespaces would fill with news
    /// that are none.
    private func record(_ result: AdmissionInjectionResult, _ owner: PodOwner?, _ request: AdmissionRequest) {
        guard let owner, result.isInjected || result.reasons != [.annotationAbsent] else { return }
        events.record(
            InjectorEvent(owner: owner, namespace: request.namespace, reasons: result.reasons))
    }
}
