// The loop around the plans. Level-triggered: whatever happened, the next plan starts from what is. A plan
// waits until the watches have caught up with the previous one's writes, because a controller that does not
// see the pod it just made would make another. Nothing is remembered that a fresh process could miss.

import Foundation
public import Logging
public import MeshKubernetes

/// The controllers of the local cluster.
public struct Controllers: Sendable {
    /// A plan is made at least this often, for whatever depends on time alone.
    static let resyncInterval = Duration.seconds(2)

    private let client: KubernetesClient
    private let logger: Logger

    /// Controllers that act through `client`.
    public init(client: KubernetesClient, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    /// Runs until the task is cancelled.
    public func run() async {
        let caches = KindCaches(client: client, logger: logger)
        let (ticks, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withTaskGroup(of: Void.self) { group in
            for cache in caches.all {
                group.addTask { await cache.run() }
                group.addTask { for await _ in cache.changes() { continuation.yield() } }
            }
            group.addTask {
                while !Task.isCancelled {
                    continuation.yield()
                    try? await Task.sleep(for: Self.resyncInterval)  // Cancelled: the loop ends.
                }
                continuation.finish()
            }
            group.addTask { await control(caches, ticks) }
            await group.waitForAll()
        }
    }

    private func control(_ caches: KindCaches, _ ticks: AsyncStream<Void>) async {
        let performer = ActionPerformer(client: client, caches: caches, logger: logger)
        for await _ in ticks {
            guard caches.isSynced, performer.isCaughtUp else { continue }
            let state = caches.state(
                now: Int(Date.now.timeIntervalSince1970), caPEM: client.config.caPEM)
            for action in ControllerPlans.actions(for: state) {
                if Task.isCancelled { return }
                await performer.perform(action, now: state.now)
            }
        }
    }
}

/// Every controller's plan, in the order in which they act.
package enum ControllerPlans {
    /// All that is to be done in `state`.
    package static func actions(for state: ClusterState) -> [Action] {
        let plans = [
            NamespacePlan.plan, ClaimPlan.plan, DeploymentPlan.plan, ReplicaSetPlan.plan,
            StatefulSetPlan.plan,
            DaemonSetPlan.plan, CronJobPlan.plan, JobPlan.plan, EndpointsPlan.plan, EndpointSlicePlan.plan,
            MirrorPlan.plan, GarbagePlan.plan,
        ]
        return plans.flatMap { $0(state) }.filter { action in
            // The server would refuse, and what is there goes soon.
            if case .create(_, let object) = action {
                return !state.isTerminating(namespace: object.namespace)
            }
            return true
        }
    }
}
