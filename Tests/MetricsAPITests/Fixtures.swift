import Foundation
import Logging
import MeshAPI
import MeshKubernetes
import MeshRollup
import MetricsAPI
import RollupStore

/// Objects, scrapes and a store to ask questions about.
enum Fixtures {
    static let start = UnixTime(milliseconds: 1_700_006_400_000)
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func meta(
        _ namespace: String, _ name: String, owner: (kind: String, name: String)? = nil,
        labels: [String: String] = [:]
    ) -> ObjectMeta {
        ObjectMeta {
            $0.namespace = namespace
            $0.name = name
            $0.uid = "\(namespace)-\(name)"
            $0.labels = labels
            $0.resourceVersion = "1"
            if let owner {
                $0.ownerReferences = [
                    OwnerReference(
                        apiVersion: "apps/v1", kind: owner.kind, name: owner.name, uid: owner.name,
                        controller: true)
                ]
            }
        }
    }

    static func pod(
        _ namespace: String, _ name: String, owner: (kind: String, name: String)? = nil,
        phase: String = "Running",
        isMeshed: Bool = true, ip: String = "127.0.0.1", adminPort: Int = 4_191,
        labels: [String: String] = [:]
    ) -> Pod {
        var labels = labels
        if isMeshed { labels["linkerd.io/control-plane-ns"] = "linkerd" }
        let proxy = Container {
            $0.name = "linkerd-proxy"
            $0.image = "cr.l5d.io/linkerd/proxy:v1"
            $0.ports = [ContainerPort(name: "linkerd-admin", containerPort: adminPort)]
        }
        return Pod(
            metadata: meta(namespace, name, owner: owner, labels: labels),
            spec: PodSpec {
                $0.containers = isMeshed ? [proxy] : []
                $0.serviceAccountName = "sa"
            },
            status: PodStatus {
                $0.phase = phase
                $0.podIP = ip
            })
    }

    static func index(pods extra: [Pod] = []) -> ClusterIndex {
        let pods = [
            pod("emojivoto", "web-1", owner: ("ReplicaSet", "web-abc"), labels: ["app": "web-svc"]),
            pod("emojivoto", "voting-1", owner: ("ReplicaSet", "voting-abc"), labels: ["app": "voting-svc"]),
            pod(
                "emojivoto", "voting-2", owner: ("ReplicaSet", "voting-abc"), phase: "Pending",
                isMeshed: false),
            pod("emojivoto", "voting-old", owner: ("ReplicaSet", "voting-abc"), phase: "Succeeded"),
            pod("emojivoto", "voting-bad", owner: ("ReplicaSet", "voting-abc"), phase: "Failed"),
            pod("emojivoto", "vote-bot-1", owner: ("ReplicaSet", "vote-bot-abc")),
            pod("other", "db-0", owner: ("StatefulSet", "db")),
        ]
        func set(_ name: String) -> ReplicaSet {
            ReplicaSet(metadata: meta("emojivoto", name + "-abc", owner: ("Deployment", name)))
        }
        func deployment(_ name: String) -> Deployment {
            Deployment(metadata: meta("emojivoto", name, labels: ["app": name + "-svc"]))
        }
        return ClusterIndex(
            pods: pods + extra,
            namespaces: [Namespace(metadata: meta("", "emojivoto")), Namespace(metadata: meta("", "other"))],
            services: [
                Service(metadata: meta("emojivoto", "web-svc")),
                Service(metadata: meta("emojivoto", "voting-svc")),
            ],
            deployments: ["web", "voting", "vote-bot"].map(deployment),
            replicaSets: ["web", "voting", "vote-bot"].map(set),
            statefulSets: [StatefulSet(metadata: meta("other", "db"))])
    }

    static func deployment(_ name: String) -> WorkloadKey {
        WorkloadKey(namespace: "emojivoto", kind: "deployment", name: name)
    }

    static func rollup(_ successes: UInt64, _ failures: UInt64 = 0, bin: Int = 4, open: UInt64? = nil)
        -> Rollup
    {
        var rollup = Rollup()
        rollup[.successes] = successes
        rollup[.failures] = failures
        rollup[.readBytes] = (successes + failures) * 10
        rollup[.writeBytes] = (successes + failures) * 100
        rollup.latency[bin] = successes + failures
        if let open { rollup.openConnections = ConnectionGauge(open) }
        return rollup
    }

    static func object(_ name: String, pod: String, _ direction: Direction = .inbound) -> RollupKey {
        .object(TrafficKey(direction: direction, workload: deployment(name), pod: pod))
    }

    static func edge(_ src: String, _ srcPod: String, _ dst: String, _ dstPod: String, tls: String = "true")
        -> RollupKey
    {
        .edge(
            EdgeKey(
                src: deployment(src), srcPod: srcPod, dst: deployment(dst), dstPod: dstPod,
                service: "\(dst)-svc",
                tls: tls, tlsDetail: tls == "true" ? "\(dst).id" : "not_provided_by_service_discovery"))
    }
}

/// A store in a folder that goes away with the test.
final class StoreBox: Sendable {
    let store: RollupStore
    private let folder: String

    init(now: UnixTime = Fixtures.start) throws {
        folder = NSTemporaryDirectory() + "viz-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        store = try RollupStore(path: folder + "/rollups.db", now: now, logger: Fixtures.logger)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// The store as a backend over a cluster.
    func backend(_ index: ClusterIndex = Fixtures.index()) -> StoreBackend {
        StoreBackend(store: store, index: { index })
    }

    /// Puts the same counts in each of six buckets: a minute of traffic that ends at `Fixtures.start` + 60 s.
    func fill(_ parts: [(RollupKey, Rollup)]) async {
        for step in 0..<6 as Range<Int64> {
            let bucket = Fixtures.start.advanced(by: step * 10_000)
            let record = ScrapeRecord(
                pod: "pod", at: bucket.advanced(by: 10_000), step: [], base: SeriesCursor().encodedBase(),
                parts: parts.map { .init(key: $0.0, bucket: bucket, rollup: $0.1) })
            await store.ingest(record)
        }
    }
}
