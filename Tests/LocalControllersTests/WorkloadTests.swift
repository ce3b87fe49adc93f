import LocalControllers
import MeshKubernetes
import MeshModel
import Testing

@Suite("Stateful sets, daemon sets, jobs", .timeLimit(.minutes(1))) struct WorkloadTests {
    @Test("Stateful pods start in order, each with its claim, and stop in reverse")
    func statefulOrder() {
        let claim: JSONValue = ["metadata": ["name": "data"], "spec": ["accessModes": ["ReadWriteOnce"]]]
        let cluster = FakeCluster([
            Sample.workload(
                "StatefulSet", "db", ["replicas": 3, "serviceName": "db", "volumeClaimTemplates": [claim]])
        ])
        cluster.step()
        cluster.step()
        #expect(cluster.all("Pod").map(\.name) == ["db-0"])  // The next waits until this one is ready.
        #expect(cluster.settle { $0.startPods() })
        #expect(cluster.all("Pod").map(\.name) == ["db-0", "db-1", "db-2"])
        #expect(
            cluster.all("PersistentVolumeClaim").map(\.name).sorted() == [
                "data-db-0", "data-db-1", "data-db-2",
            ])
        #expect(cluster.all("PersistentVolumeClaim").allSatisfy { $0["status"]?["phase"] == "Bound" })
        let pod = cluster.all("Pod")[1]
        #expect(
            pod.value(at: ["spec", "hostname"]) == "db-1" && pod.value(at: ["spec", "subdomain"]) == "db")
        #expect(
            pod.value(at: ["spec", "volumes"])?[0]?["persistentVolumeClaim"]?["claimName"] == "data-db-1")
        cluster.edit("StatefulSet", "db") { $0.set(1, at: ["spec", "replicas"]) }
        cluster.step()
        #expect(cluster.all("Pod").map(\.name) == ["db-0", "db-1"])
        #expect(cluster.settle())
        #expect(cluster.all("Pod").map(\.name) == ["db-0"] && cluster.all("PersistentVolumeClaim").count == 3)
    }

    @Test("A stateful update goes from the highest pod down, and ends with one revision")
    func statefulUpdate() {
        let cluster = FakeCluster([
            Sample.workload("StatefulSet", "db", ["replicas": 3, "serviceName": "db"])
        ])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("StatefulSet", "db") {
            $0.set([["name": "app", "image": "b"]], at: ["spec", "template", "spec", "containers"])
        }
        cluster.step()
        #expect(cluster.all("Pod").map(\.name) == ["db-0", "db-1"])
        let status = cluster.all("StatefulSet")[0]["status"]
        #expect(status?["updateRevision"] != status?["currentRevision"])
        #expect(cluster.settle { $0.startPods() })
        #expect(DeploymentTests.images(cluster) == ["b"])
        let after = cluster.all("StatefulSet")[0]["status"]
        #expect(after?["updateRevision"] == after?["currentRevision"] && after?["updatedReplicas"] == 3)
    }

    @Test("A daemon set runs once on each node it selects")
    func daemons() {
        var set = Sample.workload("DaemonSet", "agent", [:])
        set.set(["os": "linux"], at: ["spec", "template", "spec", "nodeSelector"])
        let cluster = FakeCluster([
            set, Sample.node("a", labels: ["os": "linux"]), Sample.node("b", labels: ["os": "linux"]),
            Sample.node("c"),
        ])
        #expect(cluster.settle { $0.startPods() })
        #expect(
            cluster.all("Pod").compactMap { $0.value(at: ["spec", "nodeName"])?.stringValue }.sorted() == [
                "a", "b",
            ])
        #expect(cluster.all("DaemonSet")[0]["status"]?["numberReady"] == 2)
        cluster.edit("DaemonSet", "agent") {
            $0.set([["name": "app", "image": "b"]], at: ["spec", "template", "spec", "containers"])
        }
        let settled = cluster.settle { cluster in
            #expect(cluster.all("Pod").count >= 1)  // One at a time.
            cluster.startPods()
        }
        #expect(settled)
        #expect(DeploymentTests.images(cluster) == ["b"] && cluster.all("Pod").count == 2)
    }

    @Test("A job ends when enough pods have succeeded, and starts none after that")
    func jobCompletes() {
        let cluster = FakeCluster([
            Sample.workload(
                "Job", "once", ["completions": 2, "parallelism": 1, "selector": .null], group: "batch/v1")
        ])
        #expect(
            cluster.settle { cluster in
                for pod in cluster.all("Pod") {
                    cluster.edit("Pod", pod.name) { $0["status"] = ["phase": "Succeeded"] }
                }
            })
        let status = cluster.all("Job")[0]["status"]
        #expect(
            cluster.all("Pod").count == 2 && status?["succeeded"] == 2 && status?["completionTime"] != nil)
        #expect(DeploymentTests.reason(cluster.all("Job")[0], "Complete") != nil)
        #expect(cluster.all("Pod")[0].labels["job-name"] == "once")
    }

    @Test("A failing job pauses between tries and gives up at its limit")
    func jobFails() {
        let cluster = FakeCluster([
            Sample.workload(
                "Job", "broken", ["completions": 1, "backoffLimit": 1, "selector": .null], group: "batch/v1")
        ])
        func fail(_ cluster: FakeCluster) {
            for pod in cluster.all("Pod") {
                cluster.edit("Pod", pod.name) { $0["status"] = ["phase": "Failed"] }
            }
        }
        #expect(cluster.settle(after: fail))
        #expect(cluster.all("Pod").count == 1)  // The second try waits.
        cluster.now += 10
        #expect(cluster.settle(after: fail))
        #expect(cluster.all("Pod").count == 2)
        #expect(DeploymentTests.reason(cluster.all("Job")[0], "Failed") == "BackoffLimitExceeded")
    }

    @Test("A finished job goes when its time is up")
    func jobExpires() {
        let cluster = FakeCluster([
            Sample.workload(
                "Job", "once", ["completions": 1, "ttlSecondsAfterFinished": 5, "selector": .null],
                group: "batch/v1")
        ])
        #expect(
            cluster.settle { cluster in
                for pod in cluster.all("Pod") {
                    cluster.edit("Pod", pod.name) { $0["status"] = ["phase": "Succeeded"] }
                }
            })
        #expect(cluster.all("Job").count == 1)
        cluster.now += 5
        #expect(cluster.settle())
        // The pod is collected with its owner.
        #expect(cluster.all("Job").isEmpty && cluster.all("Pod").isEmpty)
    }
}

@Suite("Namespaces and garbage", .timeLimit(.minutes(1))) struct NamespaceTests {
    static let namespace: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "shop"]]

    @Test("A namespace gets its account and the cluster's certificate, again if they vanish or change")
    func furnishes() {
        let cluster = FakeCluster([Self.namespace])
        #expect(cluster.settle())
        #expect(cluster.all("ServiceAccount").map(\.name) == ["default"])
        #expect(cluster.all("ConfigMap")[0]["data"] == ["ca.crt": "CA"])
        cluster.delete("ServiceAccount", "default")
        cluster.edit("ConfigMap", "kube-root-ca.crt") { $0["data"] = ["ca.crt": "other"] }
        #expect(cluster.settle())
        #expect(
            cluster.all("ServiceAccount").count == 1
                && cluster.all("ConfigMap")[0]["data"] == ["ca.crt": "CA"])
    }

    @Test("A namespace that goes away is emptied, nothing is made in it, and then it is let go")
    func empties() {
        let cluster = FakeCluster([Self.namespace, Sample.deployment(), Sample.service()])
        #expect(cluster.settle { $0.startPods() })
        cluster.edit("Namespace", "shop") {
            $0.set("2026-01-01T00:00:00Z", at: ["metadata", "deletionTimestamp"])
        }
        #expect(cluster.settle())
        #expect(cluster.objects.isEmpty)
    }

    @Test("Deleting a deployment takes its sets and pods along")
    func collects() {
        let cluster = FakeCluster([Sample.deployment()])
        #expect(cluster.settle { $0.startPods() })
        cluster.delete("Deployment", "web")
        #expect(cluster.settle())
        #expect(cluster.objects.isEmpty)
    }

    @Test("Only pods of a node that is gone are stranded, and none before any node is known")
    func strands() {
        let cluster = FakeCluster([Sample.pod("a", status: EndpointsTests.ready)])
        #expect(cluster.settle() && cluster.all("Pod").count == 1)
        cluster.add(Sample.node("other"))
        #expect(cluster.settle() && cluster.all("Pod").isEmpty)
    }

    @Test("Orphaned pods are adopted by a set that matches")
    func adopts() {
        let cluster = FakeCluster([
            Sample.workload("ReplicaSet", "web", ["replicas": 1]),
            Sample.pod("a", status: EndpointsTests.ready),
        ])
        #expect(cluster.settle())
        #expect(cluster.all("Pod").map(\.name) == ["a"])
        #expect(cluster.all("Pod")[0].value(at: ["metadata", "ownerReferences"])?[0]?["name"] == "web")
    }
}

@Suite("Times", .timeLimit(.minutes(1))) struct UTCTimeTests {
    @Test(
        "Texts and seconds agree",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-24T18:31:05Z", 1_795_545_065),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ])
    func agrees(text: String, seconds: Int) {
        #expect(UTCTime.seconds(text) == seconds && UTCTime.text(seconds) == text)
    }

    @Test(
        "Fractions are dropped, nonsense is refused",
        arguments: ["2026-13-01T00:00:00Z", "x", "", "2026-11-24 18:31:05Z"])
    func refuses(text: String) {
        #expect(UTCTime.seconds("2026-11-24T18:31:05.123456Z") == 1_795_545_065)
        #expect(UTCTime.seconds(text) == nil)
    }
}
