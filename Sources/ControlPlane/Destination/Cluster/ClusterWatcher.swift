// Keeps the cluster's state in step with the API server: one cache and one pump for each kind.

internal import Logging
internal import MeshKubernetes
internal import MeshModel

/// The watches behind a `ClusterIndex`.
struct ClusterWatcher: Sendable {
    private let index: ClusterIndex
    private let services: ObjectCache<Service>
    private let slices: ObjectCache<EndpointSlice>
    private let pods: ObjectCache<Pod>
    private let replicaSets: ObjectCache<ReplicaSetMetadata>
    private let jobs: ObjectCache<JobMetadata>
    private let namespaces: ObjectCache<NamespaceMetadata>
    private let profiles: ObjectCache<ServiceProfileObject>
    private let splits: ObjectCache<TrafficSplitObject>
    private let intake: ProfileIntake

    /// The kinds that must be listed before answers are complete. Where the definitions of the last two are
    /// not installed, an empty list counts.
    static let kindCount = 8

    init(client: KubernetesClient, index: ClusterIndex, intake: ProfileIntake, logger: Logger) {
        self.index = index
        self.intake = intake
        services = ObjectCache(client: client, logger: logger)
        slices = ObjectCache(client: client, logger: logger)
        pods = ObjectCache(client: client, logger: logger)
        replicaSets = ObjectCache(client: client, logger: logger)
        jobs = ObjectCache(client: client, logger: logger)
        namespaces = ObjectCache(client: client, logger: logger)
        profiles = ObjectCache(client: client, logger: logger)
        splits = ObjectCache(client: client, logger: logger)
    }

    /// Runs until cancelled.
    ///
    /// - Parameter onApplied: Called once for each kind when its first list is in the index.
    func run(onApplied: @escaping @Sendable () -> Void) async {
        let index = index
        await withTaskGroup(of: Void.self) { group in
            follow(services, in: &group, onApplied) { key, object in
                index.update { $0.setService(key, object) }
            }
            follow(slices, in: &group, onApplied) { key, object in index.update { $0.setSlice(key, object) } }
            follow(pods, in: &group, onApplied) { key, object in index.update { $0.setPod(key, object) } }
            follow(replicaSets, in: &group, onApplied) { key, object in
                index.update { $0.setOwner(kind: "ReplicaSet", key, object?.metadata) }
            }
            follow(jobs, in: &group, onApplied) { key, object in
                index.update { $0.setOwner(kind: "Job", key, object?.metadata) }
            }
            follow(namespaces, in: &group, onApplied) { key, object in
                index.update { $0.setNamespace(key.name, annotations: object?.metadata.annotations) }
            }
            follow(profiles, in: &group, onApplied) { [intake] key, object in
                intake.profile(key, spec: object.map { $0.spec ?? .object([:]) }, into: index)
            }
            follow(splits, in: &group, onApplied) { [intake] key, object in
                intake.split(key, spec: object.map { $0.spec ?? .object([:]) }, into: index)
            }
        }
    }

    private func follow<T: KubernetesObject>(
        _ cache: ObjectCache<T>, in group: inout TaskGroup<Void>, _ onApplied: @escaping @Sendable () -> Void,
        apply: @escaping @Sendable (ObjectKey, T?) -> Void
    ) {
        group.addTask { await cache.run() }
        group.addTask {
            let feed = cache.changeFeed()
            var known: Set<ObjectKey> = []
            var isFirst = true
            for await _ in feed.ticks {
                switch feed.drain() {
                case .keys(let keys):
                    for key in keys {
                        let object = cache[key]
                        if object == nil { known.remove(key) } else { known.insert(key) }
                        apply(key, object)
                    }
                case .everything:
                    let snapshot = cache.snapshot()
                    for key in known where snapshot[key] == nil { apply(key, nil) }
                    for (key, object) in snapshot { apply(key, object) }
                    known = Set(snapshot.keys)
                }
                if isFirst { onApplied() }
                isFirst = false
            }
        }
    }
}
