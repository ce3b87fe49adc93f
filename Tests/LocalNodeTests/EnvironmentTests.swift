import LocalNode
import MeshKubernetes
import Testing

@Suite("Container environment", .timeLimit(.minutes(1))) struct EnvironmentTests {
    @Test(
        "References expand as the API says",
        arguments: [
            ("plain", "plain"), ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$(NOPE)", "$(NOPE)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"), ("$A", "$A"), ("$(A", "$(A"), ("100$", "100$"), ("$$", "$"), ("$()", "$()"),
        ])
    func expands(text: String, expected: String) {
        #expect(EnvironmentExpansion.expand(text) { ["A": "1", "B": "2"][$0] } == expected)
    }

    static let pod = Pod {
        $0.metadata.name = "web-1"
        $0.metadata.namespace = "shop"
        $0.metadata.uid = "uid-1"
        $0.metadata.labels = ["app": "web", "tier": "a\"b"]
        $0.spec = PodSpec {
            $0.nodeName = "linkerd-local"; $0.serviceAccountName = "web"
        }
    }

    static func environment(_ container: Container, _ objects: ReferencedObjects = ReferencedObjects()) throws
        -> [String: String]
    {
        let service = Fixtures.service(
            "my-db", address: "10.96.0.9",
            ports: [
                ServicePort {
                    $0.name = "sql"; $0.port = 5432
                }
            ])
        var environment = ContainerEnvironment(services: [service], linksServices: true, namespace: "shop")
        try environment.add(container, of: pod, podIP: "10.244.0.5", hostIP: "10.244.0.1", objects: objects)
        let pairs = environment.assignments.map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        return Dictionary(
            pairs.map { ($0[0], $0.count > 1 ? $0[1] : "") }, uniquingKeysWith: { _, last in last })
    }

    @Test("Services of the namespace appear by name")
    func services() throws {
        let values = try Self.environment(Container())
        #expect(values["MY_DB_SERVICE_HOST"] == "10.96.0.9")
        #expect(values["MY_DB_SERVICE_PORT"] == "5432")
        #expect(values["MY_DB_SERVICE_PORT_SQL"] == "5432")
        #expect(values["MY_DB_PORT"] == "tcp://10.96.0.9:5432")
    }

    @Test("Later variables refer to earlier ones, and a container's own win over a service's")
    func order() throws {
        let values = try Self.environment(
            Container {
                $0.env = [
                    EnvVar(name: "MY_DB_PORT", value: "1234"),
                    EnvVar(name: "URL", value: "http://$(MY_DB_SERVICE_HOST):$(MY_DB_PORT)"),
                    EnvVar(name: "EARLY", value: "$(LATE)"), EnvVar(name: "LATE", value: "x"),
                ]
            })
        #expect(values["URL"] == "http://10.96.0.9:1234")
        #expect(values["EARLY"] == "$(LATE)")
    }

    @Test(
        "Fields of the pod",
        arguments: [
            ("metadata.name", "web-1"), ("metadata.namespace", "shop"), ("metadata.uid", "uid-1"),
            ("spec.nodeName", "linkerd-local"), ("spec.serviceAccountName", "web"),
            ("status.podIP", "10.244.0.5"),
            ("status.hostIP", "10.244.0.1"), ("metadata.labels['app']", "web"),
            ("metadata.annotations['none']", ""),
            ("metadata.labels", "app=\"web\"\ntier=\"a\\\"b\""),
        ])
    func fields(path: String, expected: String) throws {
        #expect(
            try PodFields(pod: Self.pod, podIP: "10.244.0.5", hostIP: "10.244.0.1").value(of: path)
                == expected)
    }

    @Test("A missing reference stops the container unless it is optional")
    func missing() throws {
        func container(optional: Bool) -> Container {
            Container {
                $0.env = [
                    EnvVar(
                        name: "A",
                        valueFrom: EnvVarSource {
                            $0.configMapKeyRef = KeySelector(name: "m", key: "k", optional: optional)
                        })
                ]
            }
        }
        #expect(throws: ConfigurationError("couldn't find key k in ConfigMap shop/m")) {
            try Self.environment(container(optional: false))
        }
        #expect(try Self.environment(container(optional: true))["A"] == nil)
        var objects = ReferencedObjects()
        objects.configMaps["m"] = ConfigMap { $0.data = ["k": "v"] }
        objects.secrets["s"] = Secret { $0.data = ["pw": "czNjcmV0"] }
        #expect(try Self.environment(container(optional: false), objects)["A"] == "v")
        let secret = Container {
            $0.envFrom = [
                EnvFromSource {
                    $0.prefix = "S_"; $0.secretRef = EnvSourceReference(name: "s")
                }
            ]
        }
        #expect(try Self.environment(secret, objects)["S_pw"] == "s3cret")
    }

    @Test(
        "Quantities",
        arguments: [("250m", 0.25), ("2", 2), ("64Mi", 67_108_864), ("1k", 1000), ("1e3", 1000)])
    func quantities(text: String, value: Double) {
        #expect(Quantity.value(text) == value)
    }

    @Test("A container's limit, divided and rounded up")
    func resources() {
        let container = Container {
            $0.resources = ResourceRequirements(limits: ["cpu": "1500m", "memory": "64Mi"])
        }
        let fields = PodFields(pod: Self.pod, podIP: "", hostIP: "")
        #expect(fields.resource(ResourceFieldSelector(resource: "limits.cpu"), of: container) == "2")
        #expect(
            fields.resource(ResourceFieldSelector(resource: "limits.cpu", divisor: "1m"), of: container)
                == "1500")
        #expect(
            fields.resource(ResourceFieldSelector(resource: "limits.memory", divisor: "1Mi"), of: container)
                == "64")
    }
}

@Suite("Image table", .timeLimit(.minutes(1))) struct ImageTableTests {
    static let table = ImageTable(programs: "/opt/bin")

    @Test(
        "Images map to programs, whatever their registry and tag",
        arguments: [
            ("cr.l5d.io/linkerd/proxy:edge-1", [], ["x"], ["/opt/bin/linkerd-proxy", "x"]),
            ("cr.l5d.io/linkerd/web", [], ["-a"], ["/opt/bin/linkerd-viz", "web", "-a"]),
            ("host:5000/linkerd/metrics-api@sha256:00", [], [], ["/opt/bin/linkerd-viz", "metrics-api"]),
            (
                "docker.l5d.io/buoyantio/emojivoto-web:v11", ["emojivoto-vote-bot"], [],
                ["/opt/bin/emojivoto", "vote-bot"]
            ),
            ("linkerd.io/local/host:v1", ["sh", "-c"], ["true"], ["sh", "-c", "true"]),
            ("cr.l5d.io/linkerd/proxy", ["/bin/sh"], ["-c"], ["/bin/sh", "-c"]),
        ] as [(String, [String], [String], [String])])
    func resolves(image: String, command: [String], args: [String], expected: [String]) throws {
        #expect(try Self.table.resolve(image: image, command: command, args: args).arguments == expected)
    }

    @Test("An unknown image cannot be pulled")
    func unknown() throws {
        let error = #expect(throws: ImageError.self) {
            try Self.table.resolve(image: "nginx:1", command: [], args: [])
        }
        #expect(error?.kind == .notFound)
    }

    @Test("The host image needs a command")
    func noCommand() throws {
        let error = #expect(throws: ImageError.self) {
            try Self.table.resolve(image: "linkerd.io/local/host", command: [], args: [])
        }
        #expect(error?.kind == .noCommand)
    }
}
