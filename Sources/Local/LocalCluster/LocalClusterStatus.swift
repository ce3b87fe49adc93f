internal import Foundation
internal import LocalNode
package import MeshKubernetes

/// How a cluster stands.
public struct LocalClusterStatus: Sendable, Equatable {
    /// One process of the cluster.
    public struct Component: Sendable, Equatable {
        public let name: String
        public let isRunning: Bool
        public let restarts: Int
    }
    /// Pods of one namespace.
    public struct Pods: Sendable, Equatable {
        public let namespace: String
        public let ready: Int
        public let total: Int
    }
    public let isUp: Bool
    public let components: [Component]
    public let pods: [Pods]
    /// Why the API server did not answer; `nil` when it did.
    public let problem: String?

    /// No supervisor.
    public static let down = LocalClusterStatus(isUp: false, components: [], pods: [], problem: nil)

    /// Ready and total pods by namespace, sorted; a pod that has succeeded counts as ready.
    package static func count(_ pods: [Pod]) -> [Pods] {
        Dictionary(grouping: pods) { $0.metadata.namespace ?? "" }
            .map { namespace, pods in
                let ready = pods.count { pod in
                    pod.status?.phase == "Succeeded"
                        || pod.status?.conditions?.contains { $0.type == "Ready" && $0.status == "True" }
                            == true
                }
                return Pods(namespace: namespace, ready: ready, total: pods.count)
            }
            .sorted { $0.namespace < $1.namespace }
    }
}

extension LocalClusterCommands {
    /// Looks at the supervisor, the components and the pods.
    public func status() async -> LocalClusterStatus {
        guard isUp else { return .down }
        let reports =
            Files.read(config.componentsPath)
            .flatMap { try? JSONDecoder().decode([ComponentReport].self, from: Data($0)) } ?? []  // Being written.
        let components = reports.map {
            LocalClusterStatus.Component(name: $0.name, isRunning: $0.isRunning, restarts: $0.restarts)
        }
        do {
            let client = try adminClient()
            let pods: ObjectList<Pod>
            do {
                pods = try await client.list(Pod.self)
            } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
            return LocalClusterStatus(
                isUp: true, components: components, pods: LocalClusterStatus.count(pods.items), problem: nil)
        } catch {
            return LocalClusterStatus(isUp: true, components: components, pods: [], problem: "\(error)")
        }
    }
}
