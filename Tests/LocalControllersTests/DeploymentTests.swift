import LocalControllers
import MeshKubernetes
import MeshModel
import Testing

@Suite("Deployments", .timeLimit(.minutes(1))) struct DeploymentTests {
    @Test("A deployment becomes a set and pods, then comes to rest, complete")
    func starts() {
        let cluster = FakeCluster([Sample.deployment()])
        #expect(cluster.settle { $0.startPods() })
        let set = cluster.all("ReplicaSet").first
        #expect(cluster.all("ReplicaSet").count == 1 && cluster.all("Pod").count == 3)
        let hash = set?.labels["pod-template-hash"] ?? ""
        #expect(set?.name == "web-\(hash)" && !hash.isEmpty)
        for pod in cluster.all("Pod") {
            #expect(pod.name.hasPrefix("web-\(hash)-") && pod.labels["pod-template-hash"] == hash)
            #expect(pod.value(at: ["spec", "containers"])?[0]?["unknownField"] == "kept")
        }
        let deployment = cluster.all("Deployment")[0]
        let status = deployment["status"]
        #expect(
            status?["availableReplicas"] == 3 && status?["updatedReplicas"] == 3 && status?["replicas"] == 3)
        #expect(status?["observedGeneration"] == deployment.value(at: ["metadata", "generation"]))
        #expect(Self.reason(deployment, "Progressing") == "NewReplicaSetAvailable")
        #expect(Self.reason(deployment, "Available") == "MinimumReplicasAvailable")
        #expect(deployment.annotations["deployment.kubernetes.io/revision"] == "1")
        #expect(
            cluster.messages.contains {
                $0.hasPrefix("ScalingReplicaSet: Scaled up replica set web-\(hash) from 0 to 3")
            })
    }

    @Test(
        "A rolling update keeps its bounds at every step",
        arguments: [
            (3, JSONValue.int(1), JSONValue.int(0)), (4, "25%", "25%"), (10, "30%", 1), (1, 0, 0), (2, 0, 1),
            (5, 5, 5),
        ])
    func rolls(replicas: Int, surge: JSONValue, unavailable: JSONValue) {
        let strategy: JSONValue = [
            "type": "RollingUpdate", "rollingUpdate": ["maxSurge": surge, "maxUnavailable": unavailable],
        ]
        let cluster = FakeCluster([Sample.deployment(replicas: replicas, strategy: strategy)])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Deployment", "web") { $0 = Self.with(image: "b", $0) }
        func count(_ value: JSONValue, up: Bool) -> Int {
            guard let text = value.stringValue, let percent = Int(text.dropLast()) else {
                return value.intValue ?? 0
            }
            return (percent * replicas + (up ? 99 : 0)) / 100
        }
        let extra = count(surge, up: true)
        let missing = extra == 0 && count(unavailable, up: false) == 0 ? 1 : count(unavailable, up: false)
        var turn = 0
        let settled = cluster.settle(stepsMax: 200) { cluster in
            #expect(cluster.all("Pod").count <= replicas + extra)
            #expect(cluster.all("Pod").count { $0["status"] != nil } >= replicas - missing)
            turn += 1
            if turn % 3 == 0 { cluster.startPods() }  // New pods take a while.
        }
        #expect(settled)
        #expect(cluster.all("Pod").count == replicas && Self.images(cluster) == ["b"])
        #expect(cluster.all("ReplicaSet").count == 2)
        #expect(cluster.all("Deployment")[0].annotations["deployment.kubernetes.io/revision"] == "2")
    }

    @Test("Recreate stops all old pods before it starts a new one")
    func recreates() {
        let cluster = FakeCluster([Sample.deployment(strategy: ["type": "Recreate"])])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Deployment", "web") { $0 = Self.with(image: "b", $0) }
        let settled = cluster.settle { cluster in
            #expect(Self.images(cluster).count <= 1)
            cluster.startPods()
        }
        #expect(settled)
        #expect(Self.images(cluster) == ["b"] && cluster.all("Pod").count == 3)
    }

    @Test("Undo gives the old set a new revision and keeps its history")
    func undoes() {
        let cluster = FakeCluster([Sample.deployment()])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Deployment", "web") { $0 = Self.with(image: "b", $0) }
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Deployment", "web") { $0 = Self.with(image: "a", $0) }
        #expect(cluster.settle { $0.startPods() })
        let sets = cluster.all("ReplicaSet")
        #expect(sets.count == 2 && Self.images(cluster) == ["a"])
        let current = sets.first { $0.value(at: ["spec", "replicas"]) == 3 }
        #expect(current?.annotations["deployment.kubernetes.io/revision"] == "3")
        #expect(current?.annotations["deployment.kubernetes.io/revision-history"] == "1")
    }

    @Test("Scaling and deleting pods never makes a new set", arguments: [0, 1, 5])
    func scales(to size: Int) {
        let cluster = FakeCluster([Sample.deployment()])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Deployment", "web") { $0.set(.int(Int64(size)), at: ["spec", "replicas"]) }
        #expect(cluster.settle { $0.startPods() })
        #expect(cluster.all("Pod").count == size && cluster.all("ReplicaSet").count == 1)
        if let victim = cluster.all("Pod").first {
            cluster.delete("Pod", victim.name)
            #expect(cluster.settle { $0.startPods() })
            #expect(
                cluster.all("Pod").count == size && !cluster.all("Pod").contains { $0.name == victim.name })
        }
    }

    @Test("A paused deployment scales but does not roll")
    func pauses() {
        let cluster = FakeCluster([Sample.deployment()])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Deployment", "web") {
            $0 = Self.with(image: "b", $0)
            $0.set(true, at: ["spec", "paused"])
            $0.set(5, at: ["spec", "replicas"])
        }
        #expect(cluster.settle { $0.startPods() })
        #expect(cluster.all("Pod").count == 5 && Self.images(cluster) == ["a"])
    }

    @Test("A rollout without progress is reported after its deadline, and only then")
    func timesOut() {
        var deployment = Sample.deployment()
        deployment.set(60, at: ["spec", "progressDeadlineSeconds"])
        let cluster = FakeCluster([deployment])
        #expect(cluster.settle())
        #expect(Self.reason(cluster.all("Deployment")[0], "Progressing") == "ReplicaSetUpdated")
        cluster.now += 61
        #expect(cluster.settle())
        #expect(Self.reason(cluster.all("Deployment")[0], "Progressing") == "ProgressDeadlineExceeded")
        #expect(cluster.settle { $0.startPods() })
        #expect(Self.reason(cluster.all("Deployment")[0], "Progressing") == "NewReplicaSetAvailable")
    }

    @Test("Old revisions beyond the limit are forgotten")
    func forgets() {
        var deployment = Sample.deployment(replicas: 1)
        deployment.set(1, at: ["spec", "revisionHistoryLimit"])
        let cluster = FakeCluster([deployment])
        for image in ["a", "b", "c", "d"] {
            cluster.edit("Deployment", "web") { $0 = Self.with(image: image, $0) }
            #expect(cluster.settle { $0.startPods() })
        }
        #expect(cluster.all("ReplicaSet").count == 2)
    }

    static func reason(_ object: JSONValue, _ condition: String) -> String? {
        object.value(at: ["status", "conditions"])?.arrayValue?
            .first { $0["type"]?.stringValue == condition }?["reason"]?.stringValue
    }

    static func with(image: String, _ deployment: JSONValue) -> JSONValue {
        var deployment = deployment
        var container = deployment.value(at: ["spec", "template", "spec", "containers"])?[0] ?? [:]
        container["image"] = .string(image)
        deployment.set([container], at: ["spec", "template", "spec", "containers"])
        return deployment
    }

    static func images(_ cluster: FakeCluster) -> Set<String> {
        Set(
            cluster.all("Pod").compactMap { $0.value(at: ["spec", "containers"])?[0]?["image"]?.stringValue })
    }
}
