import LocalControllers
import MeshKubernetes
import MeshModel
import Testing

@Suite("CronJobs", .timeLimit(.minutes(1))) struct CronJobTests {
    private static func seconds(_ text: String) -> Int { UTCTime.seconds(text) ?? -1 }

    @Test(
        "A schedule's last time",
        arguments: [
            ("* * * * *", "2026-11-24T10:30:00Z"), ("*/20 * * * *", "2026-11-24T10:20:00Z"),
            ("5 * * * *", "2026-11-24T10:05:00Z"), ("@hourly", "2026-11-24T10:00:00Z"),
            ("0 12 * * *", "2026-11-23T12:00:00Z"), ("15,45 8-9 * * *", "2026-11-24T09:45:00Z"),
            ("0 0 1 * *", "2026-11-01T00:00:00Z"), ("0 0 * * mon", "2026-11-23T00:00:00Z"),
            ("0 0 * * 7", "2026-11-22T00:00:00Z"), ("0 0 29 feb *", "2024-02-29T00:00:00Z"),
            // Both days restricted: either is enough.
            ("0 0 13 * fri", "2026-11-20T00:00:00Z"), ("10/20 * * * *", "2026-11-24T10:30:00Z"),
        ])
    func lastTime(text: String, expected: String) throws {
        let schedule = try #require(CronSchedule(text))
        let now = Self.seconds("2026-11-24T10:30:45Z")
        let due = try #require(schedule.lastTime(after: 0, upTo: now))
        #expect(UTCTime.text(due) == expected)
        #expect(schedule.lastTime(after: due, upTo: now) == nil)
    }

    @Test(
        "What is no schedule is refused",
        arguments: ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "a * * * *", "5-1 * * * *", "1-2-3 * * * *", "1//2 * * * *"])
    func refuses(text: String) { #expect(CronSchedule(text) == nil) }

    private static func cron(_ extra: [String: JSONValue] = [:]) -> JSONValue {
        var spec: [String: JSONValue] = [
            "schedule": "*/5 * * * *",
            "jobTemplate": [
                "metadata": ["labels": ["app": "tidy"]],
                "spec": ["completions": 1, "template": ["spec": ["restartPolicy": "Never", "containers": [["name": "a", "image": "a"]]]]],
            ],
        ]
        spec.merge(extra) { _, new in new }
        return [
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": ["name": "tidy", "namespace": "shop"],
            "spec": .object(spec),
        ]
    }

    private static func cluster(_ extra: [String: JSONValue] = [:]) -> FakeCluster {
        let cluster = FakeCluster([])
        cluster.now = seconds("2026-11-24T10:02:00Z")
        cluster.add(cron(extra))
        return cluster
    }

    private static func finish(_ cluster: FakeCluster, _ phase: String = "Succeeded") {
        for pod in cluster.all("Pod") { cluster.edit("Pod", pod.name) { $0.set(.string(phase), at: ["status", "phase"]) } }
        #expect(cluster.settle())
    }

    @Test("A Job is made when it is due, once, and says what for")
    func makesJobs() {
        let cluster = Self.cluster()
        #expect(cluster.settle())
        #expect(cluster.all("Job").isEmpty)
        cluster.now = Self.seconds("2026-11-24T10:05:01Z")
        #expect(cluster.settle())
        let job = cluster.all("Job")[0]
        #expect(cluster.all("Job").count == 1)
        #expect(job.name == "tidy-\(Self.seconds("2026-11-24T10:05:00Z") / 60)")
        #expect(job.labels["app"] == "tidy")
        #expect(job.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] == "2026-11-24T10:05:00Z")
        #expect(job.value(at: ["metadata", "ownerReferences"])?[0]?["kind"] == "CronJob")
        let status = cluster.all("CronJob")[0]["status"]
        #expect(status?["lastScheduleTime"] == "2026-11-24T10:05:00Z")
        #expect(status?["active"]?[0]?["name"] == .string(job.name))
        #expect(cluster.all("Pod").count == 1)
        Self.finish(cluster)
        let after = cluster.all("CronJob")[0]["status"]
        #expect(after?["active"] == [] && after?["lastSuccessfulTime"] == "2026-11-24T10:05:01Z")
        #expect(cluster.all("Job").count == 1)
    }

    @Test("Jobs that overlap run together, wait, or replace one another", arguments: [("Allow", 2, 2), ("Forbid", 1, 1), ("Replace", 1, 2)])
    func overlaps(policy: String, count: Int, made: Int) {
        let cluster = Self.cluster(["concurrencyPolicy": .string(policy)])
        cluster.now = Self.seconds("2026-11-24T10:05:00Z")
        #expect(cluster.settle())
        cluster.now = Self.seconds("2026-11-24T10:10:00Z")
        #expect(cluster.settle())
        #expect(cluster.all("Job").count == count)
        let last = cluster.all("CronJob")[0].value(at: ["status", "lastScheduleTime"])
        #expect(last == .string(made == 2 ? "2026-11-24T10:10:00Z" : "2026-11-24T10:05:00Z"))
    }

    @Test("Suspended, late, and in other zones nothing is made")
    func holdsBack() {
        for extra: [String: JSONValue] in [["suspend": true], ["startingDeadlineSeconds": 10], ["timeZone": "Europe/Berlin"], ["schedule": "nonsense"]] {
            let cluster = Self.cluster(extra)
            cluster.now = Self.seconds("2026-11-24T10:05:30Z")
            #expect(cluster.settle())
            #expect(cluster.all("Job").isEmpty, "\(extra)")
        }
        let utc = Self.cluster(["timeZone": "Etc/UTC"])
        utc.now = Self.seconds("2026-11-24T10:05:30Z")
        #expect(utc.settle())
        #expect(utc.all("Job").count == 1)
    }

    @Test("Old Jobs go, the limits' number stays")
    func keepsHistory() {
        let cluster = Self.cluster(["successfulJobsHistoryLimit": 2])
        for minute in stride(from: 5, through: 30, by: 5) {
            cluster.now = Self.seconds("2026-11-24T10:\(minute < 10 ? "0" : "")\(minute):00Z")
            #expect(cluster.settle())
            Self.finish(cluster)
        }
        let minutes = cluster.all("Job").map { $0.annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] ?? "" }
        #expect(minutes.sorted() == ["2026-11-24T10:25:00Z", "2026-11-24T10:30:00Z"])
    }
}

@Suite("Mirrored endpoints", .timeLimit(.minutes(1))) struct MirrorTests {
    private static func endpoints(_ labels: JSONValue = [:]) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": ["name": "web", "namespace": "shop", "labels": labels],
            "subsets": [
                [
                    "addresses": [["ip": "192.0.2.1"]], "notReadyAddresses": [["ip": "192.0.2.2"]],
                    "ports": [["port": 9376, "protocol": "TCP"]],
                ]
            ],
        ]
    }

    @Test("Endpoints written by hand for a Service without a selector become slices, follow it, and go with it")
    func mirrors() {
        let cluster = FakeCluster([Sample.service("web", ["selector": [:]]), Self.endpoints(["team": "a"])])
        #expect(cluster.settle())
        let slice = cluster.all("EndpointSlice")[0]
        #expect(cluster.all("EndpointSlice").count == 1)
        #expect(slice.labels["kubernetes.io/service-name"] == "web" && slice.labels["team"] == "a")
        #expect(slice.labels["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io")
        #expect(slice["ports"] == [["name": "", "port": 9376, "protocol": "TCP"]])
        let found = (slice["endpoints"]?.arrayValue ?? []).map { ($0["addresses"]?[0], $0.value(at: ["conditions", "ready"])) }
        #expect(found.map(\.0) == ["192.0.2.1", "192.0.2.2"] && found.map(\.1) == [true, false])
        cluster.edit("Endpoints", "web") { $0["subsets"] = [["addresses": [["ip": "192.0.2.9"]], "ports": [["port": 9376, "protocol": "TCP"]]]] }
        #expect(cluster.settle())
        #expect(cluster.all("EndpointSlice")[0]["endpoints"]?[0]?["addresses"] == ["192.0.2.9"])
        cluster.delete("Endpoints", "web")
        #expect(cluster.settle())
        #expect(cluster.all("EndpointSlice").isEmpty)
    }

    @Test("Those of a Service with a selector, and those that say so, are not mirrored")
    func skips() {
        let selected = FakeCluster([Sample.service(), Sample.pod("a", status: FakeCluster.running(address: "10.0.0.1"))])
        #expect(selected.settle())
        #expect(selected.all("EndpointSlice").count == 1)
        let marked = FakeCluster([
            Sample.service("web", ["selector": [:]]), Self.endpoints(["endpointslice.kubernetes.io/skip-mirror": "true"]),
        ])
        #expect(marked.settle())
        #expect(marked.all("EndpointSlice").isEmpty)
        let alone = FakeCluster([Self.endpoints()])
        #expect(alone.settle())
        #expect(alone.all("EndpointSlice").isEmpty)
    }
}
