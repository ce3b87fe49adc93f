import Foundation
import LocalAPI
import MeshModel
import Testing

/// Life of objects: creation, change, deletion.
@Suite("Objects", .timeLimit(.minutes(2))) struct ObjectTests {
    private static let pods = "/api/v1/namespaces/default/pods"
    private static let deployments = "/apis/apps/v1/namespaces/default/deployments"

    @Test("The kinds described as data hold together")
    func catalogue() {
        #expect(CatalogueCheck.mistakes.isEmpty)
        #expect(CatalogueCheck.unknownColumns.isEmpty)
    }

    @Test("Every kind can be discovered, listed as JSON and as a Table, and is described by OpenAPI")
    func everyKind() async throws {
        try await TestCluster.run { cluster in
            let groups = try await cluster.call(.GET, "/apis").json["groups"]?.arrayValue ?? []
            let versions =
                ["v1"]
                + groups.compactMap { $0.value(at: ["preferredVersion", "groupVersion"])?.stringValue }
            var seen: Set<String> = []
            for version in versions {
                let prefix = version.contains("/") ? "/apis/\(version)" : "/api/\(version)"
                #expect(try await cluster.call(.GET, "/openapi/v3\(prefix)").status == 200)
                for resource in try await cluster.call(.GET, prefix).json["resources"]?.arrayValue ?? [] {
                    let name = resource["name"]?.stringValue ?? ""
                    guard resource["verbs"]?.arrayValue?.contains("list") == true else { continue }
                    let group = version.contains("/") ? ".\(version.prefix { $0 != "/" })" : ""
                    seen.insert(name + group)
                    let list = try await cluster.call(.GET, "\(prefix)/\(name)")
                    #expect(list.json["kind"]?.stringValue == "\(resource["kind"]?.stringValue ?? "")List")
                    let table = try await cluster.call(
                        .GET, "\(prefix)/\(name)",
                        headers: [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")])
                    #expect(table.json["kind"] == "Table")
                }
            }
            #expect(seen == Set(CatalogueCheck.resources))
        }
    }

    @Test("A created object gets its identity, and exists once")
    func creates() async throws {
        try await TestCluster.run { cluster in
            let created = try await cluster.call(.POST, Self.deployments, TestCluster.deployment("web"))
            #expect(created.status == 201)
            let metadata = created.json["metadata"]
            #expect(metadata?["uid"]?.stringValue?.count == 36)
            #expect(metadata?["generation"] == 1)
            #expect(metadata?["creationTimestamp"]?.stringValue?.hasSuffix("Z") == true)
            #expect(created.json.value(at: ["spec", "strategy", "rollingUpdate", "maxSurge"]) == "25%")
            let again = try await cluster.call(.POST, Self.deployments, TestCluster.deployment("web"))
            #expect(again.status == 409)
            #expect(again.json["reason"] == "AlreadyExists")
            #expect(again.json["message"] == "deployments.apps \"web\" already exists")
            #expect(try await cluster.call(.GET, Self.deployments + "/web").json == created.json)
        }
    }

    @Test("generateName draws a name")
    func generatesNames() async throws {
        try await TestCluster.run { cluster in
            var pod = TestCluster.pod("")
            pod["metadata"] = ["generateName": "web-"]
            let first = try await cluster.call(.POST, Self.pods, pod).json.value(at: ["metadata", "name"])?
                .stringValue
            let second = try await cluster.call(.POST, Self.pods, pod).json.value(at: ["metadata", "name"])?
                .stringValue
            #expect(first?.hasPrefix("web-") == true && first?.count == 9)
            #expect(first != second)
        }
    }

    @Test("A pod gets its account, its token volume, its node and a phase")
    func admitsPods() async throws {
        try await TestCluster.run { cluster in
            let pod = try await cluster.call(.POST, Self.pods, TestCluster.pod("web")).json
            #expect(pod.value(at: ["spec", "serviceAccountName"]) == "default")
            #expect(pod.value(at: ["spec", "nodeName"]) == "linkerd-local")
            #expect(pod.value(at: ["spec", "terminationGracePeriodSeconds"]) == 30)
            #expect(pod.value(at: ["status", "phase"]) == "Pending")
            let volume = pod.value(at: ["spec", "volumes"])?[0]
            let mount = pod.value(at: ["spec", "containers"])?[0]?["volumeMounts"]?[0]
            #expect(volume?["name"] == mount?["name"])
            #expect(mount?["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount")
            var stranger = TestCluster.pod("stranger")
            stranger.set("nobody", at: ["spec", "serviceAccountName"])
            #expect(try await cluster.call(.POST, Self.pods, stranger).status == 403)
            var bare = TestCluster.pod("bare")
            bare.set(false, at: ["spec", "automountServiceAccountToken"])
            #expect(
                try await cluster.call(.POST, Self.pods, bare).json.value(at: ["spec", "volumes"]) == nil)
        }
    }

    @Test("A stale update is a conflict, an equal one changes nothing, a change of spec counts a generation")
    func updates() async throws {
        try await TestCluster.run { cluster in
            let path = Self.deployments + "/web"
            let created = try await cluster.call(.POST, Self.deployments, TestCluster.deployment("web")).json
            #expect(try await cluster.call(.PUT, path, created).json == created)
            var changed = created
            changed.set(3, at: ["spec", "replicas"])
            let updated = try await cluster.call(.PUT, path, changed)
            #expect(updated.json.value(at: ["metadata", "generation"]) == 2)
            let stale = try await cluster.call(.PUT, path, changed)
            #expect(stale.status == 409)
            #expect(stale.json["reason"] == "Conflict")
            var status = updated.json
            status["status"] = ["observedGeneration": 2, "replicas": 3]
            status.set(9, at: ["spec", "replicas"])
            let reported = try await cluster.call(.PUT, path + "/status", status).json
            #expect(reported.value(at: ["status", "replicas"]) == 3)
            #expect(reported.value(at: ["spec", "replicas"]) == 3)
            #expect(reported.value(at: ["metadata", "generation"]) == 2)
        }
    }

    @Test("scale reads and writes the replicas")
    func scales() async throws {
        try await TestCluster.run { cluster in
            _ = try await cluster.call(.POST, Self.deployments, TestCluster.deployment("web", replicas: 2))
            let path = Self.deployments + "/web/scale"
            var scale = try await cluster.call(.GET, path).json
            #expect(scale["kind"] == "Scale")
            #expect(scale.value(at: ["spec", "replicas"]) == 2)
            #expect(scale.value(at: ["status", "selector"]) == "app=web")
            scale.set(4, at: ["spec", "replicas"])
            #expect(try await cluster.call(.PUT, path, scale).status == 200)
            #expect(try await cluster.call(.PUT, path, scale).status == 409)
            let patch: JSONValue = ["spec": ["replicas": 5]]
            #expect(try await cluster.call(.PATCH, path, patch, type: PatchTests.merge).status == 200)
            #expect(
                try await cluster.call(.GET, Self.deployments + "/web").json.value(at: ["spec", "replicas"])
                    == 5)
        }
    }

    @Test("A pod that is deleted waits for the node; grace 0 removes it")
    func deletesPods() async throws {
        try await TestCluster.run { cluster in
            _ = try await cluster.call(.POST, Self.pods, TestCluster.pod("web"))
            let deleted = try await cluster.call(.DELETE, Self.pods + "/web", ["gracePeriodSeconds": 10])
            #expect(deleted.json.value(at: ["metadata", "deletionGracePeriodSeconds"]) == 10)
            #expect(deleted.json.value(at: ["metadata", "deletionTimestamp"]) != nil)
            #expect(try await cluster.call(.GET, Self.pods + "/web").status == 200)
            let gone = try await cluster.call(.DELETE, Self.pods + "/web?gracePeriodSeconds=0")
            #expect(gone.json["status"] == "Success")
            #expect(try await cluster.call(.GET, Self.pods + "/web").status == 404)
        }
    }

    @Test("Finalizers hold an object until the last one is taken away")
    func finalizers() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/configmaps"
            _ = try await cluster.call(
                .POST, path, ["metadata": ["name": "held", "finalizers": ["example.com/hold"]]])
            let deleted = try await cluster.call(.DELETE, path + "/held")
            #expect(deleted.json.value(at: ["metadata", "deletionTimestamp"]) != nil)
            let patch: JSONValue = ["metadata": ["finalizers": .null]]
            _ = try await cluster.call(.PATCH, path + "/held", patch, type: PatchTests.merge)
            #expect(try await cluster.call(.GET, path + "/held").status == 404)
        }
    }

    @Test(
        "Orphan leaves dependents without their owner; Foreground waits for them",
        arguments: ["Orphan", "Foreground"])
    func propagation(policy: String) async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/configmaps"
            let owner = try await cluster.call(.POST, path, ["metadata": ["name": "owner"]]).json
            let reference: JSONValue = [
                "apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
                "uid": owner.value(at: ["metadata", "uid"]) ?? "",
            ]
            let child: JSONValue = [
                "metadata": [
                    "name": "child", "finalizers": ["example.com/hold"], "ownerReferences": [reference],
                ]
            ]
            #expect(try await cluster.call(.POST, path, child).status == 201)
            _ = try await cluster.call(.DELETE, path + "/owner", ["propagationPolicy": .string(policy)])
            let left = try await cluster.call(.GET, path + "/child").json
            if policy == "Orphan" {
                #expect(try await cluster.call(.GET, path + "/owner").status == 404)
                #expect(left.value(at: ["metadata", "ownerReferences"]) == nil)
                #expect(left.value(at: ["metadata", "deletionTimestamp"]) == nil)
            } else {
                #expect(try await cluster.call(.GET, path + "/owner").status == 200)
                #expect(left.value(at: ["metadata", "deletionTimestamp"]) != nil)
                let patch: JSONValue = ["metadata": ["finalizers": .null]]
                _ = try await cluster.call(.PATCH, path + "/child", patch, type: PatchTests.merge)
                #expect(try await cluster.call(.GET, path + "/owner").status == 404)
            }
        }
    }

    @Test("A namespace starts with its account, refuses new content while it ends, and goes when finalized")
    func namespaces() async throws {
        try await TestCluster.run { cluster in
            try await cluster.makeNamespace("shop")
            #expect(
                try await cluster.call(.GET, "/api/v1/namespaces/shop/serviceaccounts/default").status == 200)
            #expect(
                try await cluster.call(.GET, "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt").status
                    == 200)
            #expect(
                try await cluster.call(.POST, "/api/v1/namespaces/none/pods", TestCluster.pod("a")).status
                    == 404)
            _ = try await cluster.call(.DELETE, "/api/v1/namespaces/shop")
            var ending = try await cluster.call(.GET, "/api/v1/namespaces/shop").json
            #expect(ending.value(at: ["status", "phase"]) == "Terminating")
            #expect(
                try await cluster.call(.POST, "/api/v1/namespaces/shop/pods", TestCluster.pod("a")).status
                    == 403)
            ending.set([], at: ["spec", "finalizers"])
            _ = try await cluster.call(.PUT, "/api/v1/namespaces/shop/finalize", ending)
            #expect(try await cluster.call(.GET, "/api/v1/namespaces/shop").status == 404)
            #expect(try await cluster.call(.DELETE, "/api/v1/namespaces/default").status == 403)
        }
    }

    @Test("Services get addresses from the range, keep them, and may ask for node ports")
    func services() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/services"
            #expect(
                try await cluster.call(.GET, path + "/kubernetes").json.value(at: ["spec", "clusterIP"])
                    == "10.96.0.1")
            func service(_ name: String, _ more: JSONValue) -> JSONValue {
                let base: JSONValue = ["ports": [["port": 80]]]
                let spec = (base.objectValue ?? [:]).merging(more.objectValue ?? [:]) { $1 }
                return ["metadata": ["name": .string(name)], "spec": .object(spec)]
            }
            let first = try await cluster.call(.POST, path, service("a", [:])).json
            #expect(first.value(at: ["spec", "clusterIP"])?.stringValue?.hasPrefix("10.96.0.") == true)
            #expect(first.value(at: ["spec", "ports"])?[0]?["targetPort"] == 80)
            let headless = try await cluster.call(.POST, path, service("b", ["clusterIP": "None"])).json
            #expect(headless.value(at: ["spec", "clusterIP"]) == "None")
            let wanted = service("c", ["clusterIP": "10.96.0.10", "type": "NodePort"])
            let node = try await cluster.call(.POST, path, wanted).json
            #expect(node.value(at: ["spec", "clusterIP"]) == "10.96.0.10")
            #expect((node.value(at: ["spec", "ports"])?[0]?["nodePort"]?.intValue ?? 0) >= 30_000)
            #expect(
                try await cluster.call(.POST, path, service("d", ["clusterIP": "10.96.0.10"])).status == 422)
            #expect(try await cluster.call(.POST, path, service("e", ["clusterIP": "1.2.3.4"])).status == 422)
            let again = try await cluster.call(.PUT, path + "/a", service("a", [:])).json
            #expect(again.value(at: ["spec", "clusterIP"]) == first.value(at: ["spec", "clusterIP"]))
        }
    }

    @Test("dryRun=All answers as if, and keeps nothing")
    func dryRuns() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/configmaps"
            #expect(
                try await cluster.call(.POST, path + "?dryRun=All", ["metadata": ["name": "dry"]]).status
                    == 201)
            #expect(try await cluster.call(.GET, path + "/dry").status == 404)
            _ = try await cluster.call(.POST, path, ["metadata": ["name": "wet"]])
            #expect(try await cluster.call(.DELETE, path + "/wet?dryRun=All").status == 200)
            #expect(try await cluster.call(.GET, path + "/wet").status == 200)
        }
    }

    @Test("deletecollection takes what its selector picks")
    func deletesCollections() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/configmaps"
            for (name, tier) in [("a", "x"), ("b", "x"), ("c", "y")] {
                let map: JSONValue = ["metadata": ["name": .string(name), "labels": ["tier": .string(tier)]]]
                _ = try await cluster.call(.POST, path, map)
            }
            #expect(try await cluster.call(.DELETE, path + "?labelSelector=tier%3Dx").status == 200)
            let left = try await cluster.call(.GET, path).json["items"]?.arrayValue ?? []
            #expect(left.compactMap { $0.value(at: ["metadata", "name"]) } == ["c", "kube-root-ca.crt"])
        }
    }

    @Test("A custom resource definition is served at once, and takes its objects with it")
    func customResources() async throws {
        try await TestCluster.run { cluster in
            let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            let definition: JSONValue = [
                "metadata": ["name": "profiles.example.com"],
                "spec": [
                    "group": "example.com", "scope": "Namespaced",
                    "names": ["plural": "profiles", "kind": "Profile"],
                    "versions": [
                        [
                            "name": "v1", "served": true, "storage": true, "subresources": ["status": [:]],
                            "additionalPrinterColumns": [
                                ["name": "Host", "type": "string", "jsonPath": ".spec.hosts[0]"]
                            ],
                        ]
                    ],
                ],
            ]
            #expect(try await cluster.call(.POST, definitions, definition).status == 201)
            let path = "/apis/example.com/v1/namespaces/default/profiles"
            let profile: JSONValue = [
                "metadata": ["name": "p"], "spec": ["hosts": ["a.example"], "deep": ["er": [1, 2.5, true]]],
            ]
            let created = try await cluster.call(.POST, path, profile)
            #expect(created.json["spec"] == profile["spec"])
            let table = try await cluster.call(
                .GET, path, headers: [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")])
            #expect(table.json["rows"]?[0]?["cells"]?[1] == "a.example")
            let patch: JSONValue = ["spec": ["hosts": ["b.example"]]]
            #expect(try await cluster.call(.PATCH, path + "/p", patch, type: PatchTests.merge).status == 200)
            #expect(
                try await cluster.call(.PATCH, path + "/p", patch, type: PatchTests.strategic).status == 415)
            #expect(try await cluster.call(.DELETE, definitions + "/profiles.example.com").status == 200)
            #expect(try await cluster.call(.GET, path).status == 404)
        }
    }

    @Test("stringData is stored as data; an immutable map cannot change")
    func secretsAndMaps() async throws {
        try await TestCluster.run { cluster in
            let secrets = "/api/v1/namespaces/default/secrets"
            let secret: JSONValue = [
                "metadata": ["name": "s"], "data": ["a": "MQ=="], "stringData": ["b": "two"],
            ]
            let stored = try await cluster.call(.POST, secrets, secret).json
            #expect(stored["data"] == ["a": "MQ==", "b": "dHdv"])
            #expect(stored["stringData"] == nil)
            #expect(stored["type"] == "Opaque")
            let maps = "/api/v1/namespaces/default/configmaps"
            _ = try await cluster.call(
                .POST, maps, ["metadata": ["name": "m"], "immutable": true, "data": ["a": "1"]])
            let patch: JSONValue = ["data": ["a": "2"]]
            #expect(try await cluster.call(.PATCH, maps + "/m", patch, type: PatchTests.merge).status == 422)
        }
    }

    @Test("What is not served gets a Status")
    func unknownPaths() async throws {
        try await TestCluster.run { cluster in
            for path in [
                "/api/v2/pods", "/apis/autoscaling/v2/horizontalpodautoscalers", "/nothing",
                "/api/v1/namespaces/default/wishes",
            ] {
                let answer = try await cluster.call(.GET, path)
                #expect(answer.status == 404)
                #expect(answer.json["kind"] == "Status")
            }
            _ = try await cluster.call(.POST, Self.pods, TestCluster.pod("web"))
            #expect(try await cluster.call(.POST, Self.pods + "/web/exec?command=ls").status == 501)
            #expect(try await cluster.call(.PUT, Self.pods, TestCluster.pod("web")).status == 405)
        }
    }
}
