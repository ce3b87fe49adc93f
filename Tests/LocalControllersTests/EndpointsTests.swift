import LocalControllers
import MeshKubernetes
import MeshModel
import Testing

@Suite("Endpoints and slices", .timeLimit(.minutes(1))) struct EndpointsTests {
    static let ready = FakeCluster.running(address: "10.0.0.1")
    static let starting = FakeCluster.running(address: "10.0.0.2", isReady: false)

    static func leaving(_ pod: JSONValue) -> JSONValue {
        var pod = pod
        pod.set("2026-01-01T00:00:00Z", at: ["metadata", "deletionTimestamp"])
        return pod
    }

    @Test("Ready, starting and leaving pods are told apart")
    func classifies() {
        let cluster = FakeCluster([
            Sample.service(), Sample.pod("a", status: Self.ready), Sample.pod("b", status: Self.starting),
            Self.leaving(Sample.pod("c", status: FakeCluster.running(address: "10.0.0.3"))),
            Sample.pod("d", status: ["phase": "Succeeded", "podIP": "10.0.0.4"]),
            Sample.pod("e", status: ["phase": "Pending"]),
            Sample.pod("f", status: Self.ready, labels: ["app": "other"]),
        ])
        #expect(cluster.settle())
        let subset = cluster.all("Endpoints")[0]["subsets"]?[0]
        #expect(Self.addresses(subset?["addresses"]) == ["10.0.0.1"])
        #expect(Self.addresses(subset?["notReadyAddresses"]) == ["10.0.0.2"])
        #expect(subset?["ports"] == [["name": "http", "port": 8080, "protocol": "TCP"]])
        #expect(subset?["addresses"]?[0]?["targetRef"]?["name"] == "a")
        #expect(subset?["addresses"]?[0]?["nodeName"] == "node")

        let slice = cluster.all("EndpointSlice")[0]
        #expect(slice.labels["kubernetes.io/service-name"] == "web" && slice.labels["team"] == "a")
        #expect(slice.value(at: ["metadata", "ownerReferences"])?[0]?["kind"] == "Service")
        #expect(slice["ports"] == [["name": "http", "port": 8080, "protocol": "TCP"]])
        let conditions = (slice["endpoints"]?.arrayValue ?? []).map { endpoint in
            ["ready", "serving", "terminating"].map { endpoint["conditions"]?[$0]?.boolValue ?? false }
        }
        #expect(conditions == [[true, true, false], [false, false, false], [false, true, true]])
    }

    @Test("publishNotReadyAddresses lists every pod as ready")
    func publishesNotReady() {
        let cluster = FakeCluster([
            Sample.service("web", ["publishNotReadyAddresses": true, "clusterIP": "None"]),
            Sample.pod("b", status: Self.starting),
        ])
        #expect(cluster.settle())
        #expect(Self.addresses(cluster.all("Endpoints")[0]["subsets"]?[0]?["addresses"]) == ["10.0.0.2"])
        #expect(cluster.all("EndpointSlice")[0]["endpoints"]?[0]?["conditions"]?["ready"] == true)
        #expect(cluster.all("Endpoints")[0].labels["service.kubernetes.io/headless"] == "")
    }

    @Test(
        "Target ports resolve by name and number",
        arguments: [
            (JSONValue.string("http"), 8080 as Int?), (8081, 8081), ("8082", 8082), (0, 80), (.null, 80),
            ("absent", nil),
        ])
    func resolves(target: JSONValue, number: Int?) {
        var port: JSONValue = ["port": 80]
        if !target.isNull { port["targetPort"] = target }
        let cluster = FakeCluster([
            Sample.service("web", ["ports": [port]]), Sample.pod("a", status: Self.ready),
        ])
        #expect(cluster.settle())
        let subsets = cluster.all("Endpoints")[0]["subsets"]
        #expect(subsets?[0]?["ports"]?[0]?["port"]?.intValue == number)
        #expect(cluster.all("EndpointSlice").count == 1)
        #expect(cluster.all("EndpointSlice")[0]["ports"]?[0]?["port"]?.intValue == number)
    }

    @Test("A headless service without ports lists addresses alone")
    func headlessWithoutPorts() {
        let cluster = FakeCluster([
            Sample.service("web", ["ports": [], "clusterIP": "None"]), Sample.pod("a", status: Self.ready),
        ])
        #expect(cluster.settle())
        let subset = cluster.all("Endpoints")[0]["subsets"]?[0]
        #expect(Self.addresses(subset?["addresses"]) == ["10.0.0.1"] && subset?["ports"] == nil)
    }

    @Test("Services without a selector are left to whoever writes their endpoints")
    func leavesManual() {
        let manual: JSONValue = [
            "apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": "web", "namespace": "shop"],
            "subsets": [["addresses": [["ip": "192.0.2.1"]]]],
        ]
        let cluster = FakeCluster([Sample.service("web", ["selector": .null]), manual])
        #expect(cluster.settle())
        #expect(Self.addresses(cluster.all("Endpoints")[0]["subsets"]?[0]?["addresses"]) == ["192.0.2.1"])
        // Mirrored, not made from pods: see MirrorTests.
        let managers = cluster.all("EndpointSlice").map { $0.labels["endpointslice.kubernetes.io/managed-by"] }
        #expect(managers == ["endpointslicemirroring-controller.k8s.io"])
    }

    @Test("More than a hundred pods take several slices, and one when they are gone")
    func splits() {
        let pods = (0..<150).map {
            Sample.pod("p\($0)", status: FakeCluster.running(address: "10.0.\($0 / 100).\($0 % 100 + 1)"))
        }
        let cluster = FakeCluster([Sample.service()] + pods)
        #expect(cluster.settle())
        #expect(
            cluster.all("EndpointSlice").map { $0["endpoints"]?.arrayValue?.count ?? 0 }.sorted() == [
                50, 100,
            ])
        for pod in pods { cluster.delete("Pod", pod.name) }
        #expect(cluster.settle())
        #expect(cluster.all("EndpointSlice").map { $0["endpoints"]?.arrayValue?.count ?? -1 } == [0])
    }

    @Test("A deleted service takes its endpoints along")
    func cleansUp() {
        let cluster = FakeCluster([Sample.service(), Sample.pod("a", status: Self.ready)])
        #expect(cluster.settle())
        cluster.delete("Service", "web")
        #expect(cluster.settle())
        #expect(cluster.all("Endpoints").isEmpty && cluster.all("EndpointSlice").isEmpty)
    }

    static func addresses(_ list: JSONValue?) -> [String] {
        (list?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
    }
}
