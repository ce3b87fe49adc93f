package import MeshKubernetes
package import MeshModel
package import MeshRollup

/// The cluster as viz sees it, at one moment: pods with their owners, and the objects that own them.
///
/// Pure: built from lists of objects, so that tests need no API server.
package struct ClusterIndex: Sendable {
    /// One object that can be reported on.
    package struct Object: Sendable, Equatable {
        package let namespace: String
        package let name: String
        package let labels: [String: String]
    }

    /// Every pod.
    package let pods: [PodFacts]
    /// Namespace of the control plane whose pods count as meshed.
    package let controllerNamespace: String
    /// Traffic splits, by namespace and name.
    package let splits: [SplitFacts]
    /// Profiles of services, by the namespace they are in and their name.
    package let profiles: [ObjectName: ProfileFacts]
    /// What each service selects pods by.
    package let selectors: [ObjectName: [String: String]]
    private let objects: [ResourceKind: [Object]]
    private let podsByOwner: [WorkloadKey: [Int]]
    private let podsByNamespace: [String: [Int]]
    private let podsByName: [MeshKubernetes.ObjectKey: Int]

    /// Builds the index.
    package init(
        pods: [Pod] = [], namespaces: [Namespace] = [], services: [Service] = [],
        deployments: [Deployment] = [],
        replicaSets: [ReplicaSet] = [], statefulSets: [StatefulSet] = [], daemonSets: [DaemonSet] = [],
        jobs: [Job] = [], profiles: [ServiceProfile] = [], trafficSplits: [TrafficSplit] = [],
        controllerNamespace: String = "linkerd"
    ) {
        self.controllerNamespace = controllerNamespace
        splits = trafficSplits.compactMap(SplitFacts.init).sorted { $0.name < $1.name }
        self.profiles = Dictionary(
            profiles.map { (ObjectName($0.key.namespace, $0.key.name), ProfileFacts($0)) },
            uniquingKeysWith: { first, _ in first })
        selectors = Dictionary(
            services.map { (ObjectName($0.key.namespace, $0.key.name), $0.spec?.selector ?? [:]) },
            uniquingKeysWith: { first, _ in first })
        let parents = Self.parents(replicaSets, jobs)
        let facts = pods.map { PodFacts($0, owners: Self.owners(of: $0, parents)) }
            .sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }
        var podsByOwner: [WorkloadKey: [Int]] = [:]
        var podsByNamespace: [String: [Int]] = [:]
        var podsByName: [MeshKubernetes.ObjectKey: Int] = [:]
        for (index, pod) in facts.enumerated() {
            for owner in pod.owners { podsByOwner[owner, default: []].append(index) }
            podsByNamespace[pod.namespace, default: []].append(index)
            podsByName[MeshKubernetes.ObjectKey(namespace: pod.namespace, name: pod.name)] = index
        }
        self.pods = facts
        self.podsByOwner = podsByOwner
        self.podsByNamespace = podsByNamespace
        self.podsByName = podsByName
        var objects: [ResourceKind: [Object]] = [
            .namespace: Self.objects(namespaces), .service: Self.objects(services),
            .deployment: Self.objects(deployments), .replicaset: Self.objects(replicaSets),
            .statefulset: Self.objects(statefulSets), .daemonset: Self.objects(daemonSets),
            .job: Self.objects(jobs),
            .pod: facts.filter(\.isCounted).map {
                Object(namespace: $0.namespace, name: $0.name, labels: $0.labels)
            },
        ]
        // Kinds that are not watched are known by the pods they own.
        for kind in [ResourceKind.cronjob, .replicationcontroller] {
            let owners = Set(podsByOwner.keys.filter { $0.kind == kind.name })
            objects[kind] = owners.sorted().map {
                Object(namespace: $0.namespace, name: $0.name, labels: [:])
            }
        }
        self.objects = objects
    }

    /// Objects of a kind in a namespace (empty: all), by name (empty: all) and labels.
    package func objects(
        _ kind: ResourceKind, namespace: String, name: String, matching query: LabelQuery
    ) -> [Object] {
        (objects[kind] ?? []).filter { object in
            (kind == .namespace || namespace.isEmpty || object.namespace == namespace)
                && (name.isEmpty || object.name == name) && query.matches(object.labels)
        }
    }

    /// The pods that count for an object: finished ones do not.
    package func pods(of kind: ResourceKind, namespace: String, name: String) -> [PodFacts] {
        podNumbers(of: kind, namespace: namespace, name: name).map { pods[$0] }
    }

    /// The same as positions in `pods`: to read a field of thousands is cheap, to copy all of each is not.
    func podNumbers(of kind: ResourceKind, namespace: String, name: String) -> [Int] {
        let numbers: [Int]
        switch kind {
        case .namespace: numbers = podsByNamespace[name] ?? []
        case .pod: numbers = podsByName[MeshKubernetes.ObjectKey(namespace: namespace, name: name)].map { [$0] } ?? []
        default: numbers = podsByOwner[WorkloadKey(namespace: namespace, kind: kind.name, name: name)] ?? []
        }
        return numbers.allSatisfy { pods[$0].isCounted } ? numbers : numbers.filter { pods[$0].isCounted }
    }

    /// One pod by name.
    package func pod(namespace: String, name: String) -> PodFacts? {
        podsByName[MeshKubernetes.ObjectKey(namespace: namespace, name: name)].map { pods[$0] }
    }

    /// The pods whose traffic is counted under `workload`.
    package func pods(of workload: WorkloadKey) -> [PodFacts] { podNumbers(of: workload).map { pods[$0] } }

    /// The same as positions in `pods`.
    func podNumbers(of workload: WorkloadKey) -> [Int] {
        guard let kind = ResourceKind(rawValue: workload.kind) else { return [] }
        return podNumbers(of: kind, namespace: workload.namespace, name: workload.name)
    }

    private static func objects(_ list: [some KubernetesObject]) -> [Object] {
        list.map {
            Object(
                namespace: $0.metadata.namespace ?? "", name: $0.metadata.name ?? "",
                labels: $0.metadata.labels ?? [:])
        }
    }

    private static func parents(_ replicaSets: [ReplicaSet], _ jobs: [Job]) -> [WorkloadKey: WorkloadKey] {
        var parents: [WorkloadKey: WorkloadKey] = [:]
        for set in replicaSets {
            guard let parent = controller(of: set.metadata) else { continue }
            let key = WorkloadKey(
                namespace: set.metadata.namespace ?? "", kind: "replicaset", name: set.metadata.name ?? "")
            parents[key] = parent
        }
        for job in jobs {
            guard let parent = controller(of: job.metadata) else { continue }
            let key = WorkloadKey(
                namespace: job.metadata.namespace ?? "", kind: "job", name: job.metadata.name ?? "")
            parents[key] = parent
        }
        return parents
    }

    private static func owners(of pod: Pod, _ parents: [WorkloadKey: WorkloadKey]) -> [WorkloadKey] {
        var owners: [WorkloadKey] = []
        var next = controller(of: pod.metadata)
        while let owner = next, owners.count < 4 {
            owners.append(owner)
            next = parents[owner]
        }
        return owners
    }

    private static func controller(of meta: ObjectMeta) -> WorkloadKey? {
        let owners = meta.ownerReferences ?? []
        guard let owner = owners.first(where: { $0.controller == true }) ?? owners.first else { return nil }
        return WorkloadKey(namespace: meta.namespace ?? "", kind: owner.kind.lowercased(), name: owner.name)
    }
}
