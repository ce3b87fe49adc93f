internal import Foundation
internal import Logging
internal import MeshKubernetes
internal import MeshModel

extension PodWorker {
    /// Writes the status when it differs from what was last written.
    func publishStatus() async {
        let status = currentStatus()
        guard status != published else { return }
        do {
            let tree = try JSONValue(parsing: [UInt8](JSONEncoder().encode(status)))
            _ = try await context.client.patch(
                Pod.self, namespace: pod.metadata.namespace, name: pod.metadata.name ?? "",
                subresource: "status",
                body: ["status": tree])
            published = status
        } catch let error as KubernetesError where error.isNotFound {
            published = status
        } catch {
            logger.debug("Status not written", metadata: ["error": "\(error)"])
        }
    }

    private func currentStatus() -> PodStatus {
        let before = published ?? pod.status
        let phase = plan?.phase ?? before?.phase.flatMap { PodPlan.Phase(rawValue: $0) } ?? .pending
        var builder = PodStatusBuilder(podUID: uid, hostIP: context.config.nodeAddress, phase: phase)
        builder.podIP = hasSandbox || isOver ? address ?? before?.podIP : nil
        builder.startTime = before?.startTime ?? SystemClock.now().text
        builder.isInitialized = plan?.isInitialized ?? false
        builder.hasSandbox = hasSandbox
        builder.before = before?.conditions ?? []
        builder.qualityOfService = qualityOfService
        return builder.status(of: progress.map { observed($0) }, now: SystemClock.now())
    }

    private func observed(_ container: ContainerProgress) -> ObservedContainer {
        var observed = ObservedContainer(
            name: container.spec.name, image: container.spec.image ?? "", role: container.role,
            restartCount: max(0, container.nextAttempt - 1))
        observed.record = records[container.spec.name]
        observed.lastState = container.lastState
        observed.isStarted = container.isStarted
        observed.isReady = container.isReady && termination == nil
        observed.waiting = container.waiting
        return observed
    }

    /// Guaranteed, Burstable or BestEffort, from requests and limits.
    private var qualityOfService: String {
        let all = progress.map(\.spec.resources)
        if all.allSatisfy({ ($0?.requests ?? [:]).isEmpty && ($0?.limits ?? [:]).isEmpty }) {
            return "BestEffort"
        }
        let isGuaranteed = all.allSatisfy { resources in
            guard let limits = resources?.limits, limits["cpu"] != nil, limits["memory"] != nil else {
                return false
            }
            return resources?.requests == nil || resources?.requests == limits
        }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }
}
