// Takes ServiceProfiles and TrafficSplits into the cluster's state. An object with mistakes changes nothing:
// what was valid before stays in force, because a typo in one route must not take the others away.

package import MeshKubernetes
package import MeshModel
package import Logging

/// The door for objects that people write by hand.
package struct ProfileIntake: Sendable {
    private let clusterDomain: String
    private let metrics: DestinationMetrics
    private let logger: Logger

    package init(clusterDomain: String, metrics: DestinationMetrics, logger: Logger) {
        self.clusterDomain = clusterDomain
        self.metrics = metrics
        self.logger = logger
    }

    /// - Parameter spec: `nil` when the object is gone.
    package func profile(_ key: ObjectKey, spec: JSONValue?, into index: ClusterIndex) {
        guard let service = ServiceProfile.service(named: key.name, clusterDomain: clusterDomain) else {
            if spec != nil {
                refused("ServiceProfile", key, ["metadata.name: must be <service>.<namespace>.svc.\(clusterDomain)"])
            }
            return
        }
        do throws(ProfileMistakes) {
            let profile = try spec.map { spec throws(ProfileMistakes) in
                try ServiceProfile(name: key.name, spec: spec)
            }
            index.update { $0.setProfile(of: service, in: key.namespace, profile) }
        } catch {
            refused("ServiceProfile", key, error.texts)
        }
    }

    /// - Parameter spec: `nil` when the object is gone.
    package func split(_ key: ObjectKey, spec: JSONValue?, into index: ClusterIndex) {
        do throws(ProfileMistakes) {
            let split = try spec.map { spec throws(ProfileMistakes) in
                try TrafficSplit(spec: spec, clusterDomain: clusterDomain)
            }
            index.update { $0.setSplit(key, split) }
        } catch {
            refused("TrafficSplit", key, error.texts)
        }
    }

    private func refused(_ kind: String, _ key: ObjectKey, _ mistakes: [String]) {
        metrics.invalid(kind: kind)
        logger.warning(
            "Object with mistakes ignored; what was valid before stays in force",
            metadata: ["kind": "\(kind)", "object": "\(key)", "mistakes": "\(mistakes.joined(separator: "; "))"])
    }
}
