import MeshKubernetes
import MeshModel
import Testing

@Suite("Typed objects", .timeLimit(.minutes(1))) struct ObjectCodingTests {
    @Test("Encoding adds apiVersion and kind and leaves unset fields out")
    func envelopes() throws {
        let set = ReplicaSet {
            $0.metadata.name = "web-1"
            $0.spec = ReplicaSetSpec { $0.replicas = 2 }
        }
        let text = try ObjectCoding.tree(of: set).jsonText
        #expect(
            text
                == #"{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"web-1"},"spec":{"replicas":2}}"#
        )
    }

    @Test("Ports may be numbers or names, quantities numbers or text")
    func intOrString() throws {
        let service = try ObjectCoding.decode(
            Service.self,
            from: JSONValue(
                parsing:
                    #"{"metadata":{},"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":81,"targetPort":8081}]}}"#
            ))
        #expect(service.spec?.ports?.map { $0.targetPort } == [.string("http"), .int(8_081)])
        let resources = try ObjectCoding.decode(
            ResourceRequirements.self,
            from: JSONValue(parsing: #"{"limits":{"cpu":1,"memory":"5Mi","x":0.5}}"#))
        #expect(resources.limits == ["cpu": .int(1), "memory": "5Mi", "x": "0.5"])
    }

    @Test("A pod of every feature survives a round trip")
    func roundTrip() throws {
        let text = """
            {"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"b"},"name":"p","ownerReferences":[{"apiVersion":"apps/v1",\
            "controller":true,"kind":"ReplicaSet","name":"rs","uid":"u"}]},"spec":{"containers":[{"env":[{"name":"IP","valueFrom":\
            {"fieldRef":{"fieldPath":"status.podIP"}}}],"image":"i","name":"c","ports":[{"containerPort":80,"name":"http",\
            "protocol":"TCP"}],"readinessProbe":{"httpGet":{"path":"/ready","port":4191}}}],"volumes":[{"emptyDir":{"medium":\
            "Memory"},"name":"v"},{"name":"t","projected":{"sources":[{"serviceAccountToken":{"audience":"x","path":"token"}}]}}]},\
            "status":{"conditions":[{"status":"True","type":"Ready"}],"podIP":"10.0.0.1"}}
            """
        let tree = try JSONValue(parsing: text)
        let pod = try ObjectCoding.decode(Pod.self, from: tree)
        #expect(try ObjectCoding.tree(of: pod) == tree)
    }

    @Test("A wrong shape is reported by its field")
    func reports() {
        let error = #expect(throws: KubernetesError.self) {
            try ObjectCoding.decode(Pod.self, from: ["metadata": ["name": 5]])
        }
        #expect(error?.message.contains("metadata.name") == true)
    }

    @Test(
        "Paths name group, namespace and sub-resource",
        arguments: [
            (Pod.resource.path(namespace: nil), "/api/v1/pods"),
            (
                Pod.resource.path(namespace: "a b", name: "x", subresource: "log"),
                "/api/v1/namespaces/a%20b/pods/x/log"
            ),
            (Deployment.resource.path(namespace: "n"), "/apis/apps/v1/namespaces/n/deployments"),
            (Namespace.resource.path(namespace: "n", name: "n"), "/api/v1/namespaces/n"),
        ])
    func paths(path: String, expected: String) { #expect(path == expected) }
}
