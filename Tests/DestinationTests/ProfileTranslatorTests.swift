import Destination
import MeshAPI
import MeshKubernetes
import SwiftProtobuf
import Testing

private let translator = ProfileTranslator(settings: DestinationSettings())

private func profile(
    _ state: ClusterState, port: Int = 80, hostname: String? = nil
) throws -> Io_Linkerd_Proxy_Destination_DestinationProfile {
    try translator.profile(
        of: ServiceAuthority(service: webKey, hostname: hostname, port: port), in: state.view(of: webKey),
        for: ContextToken())
}

private func profile(
    _ state: ClusterState, address: SocketAddress
) throws -> Io_Linkerd_Proxy_Destination_DestinationProfile {
    try translator.profile(of: address, in: try state.view(of: address), for: ContextToken())
}

@Suite("Profiles", .timeLimit(.minutes(1))) struct ProfileTranslatorTests {
    @Test("A service's profile names it and allows some retries")
    func service_() throws {
        let profile = try profile(state(service()))
        #expect(profile.fullyQualifiedName == "web.shop.svc.cluster.local")
        #expect(profile.retryBudget.retryRatio == 0.2 && profile.retryBudget.minRetriesPerSecond == 10)
        #expect(profile.retryBudget.ttl.seconds == 10)
        #expect(profile.parentRef.resource.kind == "Service" && profile.parentRef.resource.port == 80)
        #expect(!profile.opaqueProtocol && !profile.hasEndpoint)
    }

    @Test("A port that the service does not declare has an empty profile")
    func undeclared() throws { #expect(try profile(state(service()), port: 81) == .init()) }

    @Test(
        "Opaque ports come from the service, else the namespace, else the default list",
        arguments: [
            (nil, nil, 3_306, true), (nil, nil, 80, false), ("", nil, 3_306, false), ("80", nil, 80, true),
            ("sql", nil, 3_306, true), (nil, "80", 80, true), (nil, "80", 3_306, false),
            ("1-100", nil, 80, true),
        ] as [(String?, String?, Int, Bool)])
    func opaque(ofService: String?, ofNamespace: String?, port: Int, isOpaque: Bool) throws {
        let key = "config.linkerd.io/opaque-ports"
        var state = state(
            service(ports: [(80, "http"), (3_306, "sql")], annotations: ofService.map { [key: $0] }))
        _ = state.setNamespace("shop", annotations: ofNamespace.map { [key: $0] })
        #expect(try profile(state, port: port).opaqueProtocol == isOpaque)
    }

    @Test("The cluster address of a service leads to the service")
    func clusterIP() throws {
        let state = state(service(clusterIP: "10.96.0.7") { $0.clusterIPs = ["10.96.0.7", "fd00::7"] })
        #expect(
            try profile(state, address: socket("10.96.0.7", 80)).fullyQualifiedName
                == "web.shop.svc.cluster.local")
        #expect(
            try profile(state, address: socket("fd00::7", 80)).fullyQualifiedName
                == "web.shop.svc.cluster.local")
    }

    @Test("A pod's address leads to the endpoint with its labels")
    func podIP() throws {
        let profile = try profile(
            state(pod("a", ip: "10.0.0.1", isMeshed: true)), address: socket("10.0.0.1", 8_080))
        #expect(profile.fullyQualifiedName.isEmpty)
        #expect(profile.endpoint.metricLabels["namespace"] == "shop")
        #expect(profile.endpoint.metricLabels["deployment"] == "web")
        #expect(profile.endpoint.protocolHint.protocol == .h2(.init()))
        #expect(profile.endpoint.addr.port == 8_080)
    }

    @Test("A pod that no longer runs, or uses its host's network, is not found by address")
    func absentPods() throws {
        let ended = pod("a", ip: "10.0.0.1") { $0.status?.phase = "Succeeded" }
        let host = pod("b", ip: "192.168.0.1") { $0.spec?.hostNetwork = true }
        let state = state(ended, host)
        for ip in ["10.0.0.1", "192.168.0.1"] {
            let profile = try profile(state, address: socket(ip, 8_080))
            #expect(profile.endpoint.metricLabels.isEmpty && profile.endpoint.weight == 10_000)
        }
    }

    @Test("A host port leads to the pod behind it, judged by its container port")
    func hostPort() throws {
        let exposed = pod("a", ip: "10.0.0.1", isMeshed: true) {
            $0.spec?.containers[0].ports = [
                ContainerPort {
                    $0.containerPort = 3_306
                    $0.hostPort = 7_000
                }
            ]
        }
        let profile = try profile(state(exposed), address: socket("192.168.0.1", 7_000))
        #expect(profile.endpoint.metricLabels["pod"] == "a")
        #expect(profile.opaqueProtocol)
        let other = try self.other(state(exposed))
        #expect(other.endpoint.metricLabels.isEmpty)
    }

    private func other(_ state: ClusterState) throws -> Io_Linkerd_Proxy_Destination_DestinationProfile {
        try profile(state, address: socket("192.168.0.1", 7_001))
    }

    @Test("An unknown address is answered with itself")
    func unknown() throws {
        let found = try profile(ClusterState(), address: socket("1.1.1.1", 443))
        #expect(found.endpoint.addr.ip.ipv4 == 0x0101_0101 && found.endpoint.addr.port == 443)
        #expect(!found.opaqueProtocol && !found.endpoint.hasTlsIdentity)
        #expect(try profile(ClusterState(), address: socket("1.1.1.1", 3_306)).opaqueProtocol)
    }

    @Test("A host name of a service leads to that pod's endpoint")
    func hostname() throws {
        let state = state(
            service(clusterIP: "None"),
            slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "web-0", hostname: "web-0")),
            pod("web-0", ip: "10.0.0.1", owner: ("StatefulSet", "web")))
        let found = try profile(state, hostname: "web-0")
        #expect(found.endpoint.metricLabels["statefulset"] == "web")
        #expect(found.endpoint.metricLabels["namespace"] == "shop")
        let error = #expect(throws: DestinationError.self) { try profile(state, hostname: "web-9") }
        #expect(error?.kind == .notFound)
    }

    @Test("Contradictions and impossible questions are refused")
    func refused() {
        let twice = state(service("web"), service("other"))
        var error = #expect(throws: DestinationError.self) {
            try profile(twice, address: socket("10.96.0.7", 80))
        }
        #expect(error?.kind == .failedPrecondition)
        let pods = state(pod("a", ip: "10.0.0.1"), pod("b", ip: "10.0.0.1"))
        error = #expect(throws: DestinationError.self) { try profile(pods, address: socket("10.0.0.1", 80)) }
        #expect(error?.kind == .failedPrecondition)
        error = #expect(throws: DestinationError.self) { try profile(ClusterState()) }
        #expect(error?.kind == .notFound)
        error = #expect(throws: DestinationError.self) { try profile(state(service(type: "ExternalName"))) }
        #expect(error?.kind == .invalidArgument)
    }
}

@Suite("Cluster state", .timeLimit(.minutes(1))) struct ClusterStateTests {
    @Test("Changes touch the services and addresses they concern")
    func topics() {
        var state = ClusterState()
        let web = Topic.service(webKey)
        #expect(state.add(service()) == [web, .address(.v4(0x0A60_0007))])
        #expect(state.add(slice("web-1", ports: [(80, nil)], endpoint("10.0.0.1", pod: "a"))).contains(web))
        let a = pod("a", ip: "10.0.0.1")
        #expect(state.add(a) == [web, .address(.v4(0x0A00_0001)), .address(.v4(0xC0A8_0001))])
        #expect(state.add(pod("b", ip: "10.0.0.2")).contains(web) == false)
        #expect(
            state.addDeployment().isSuperset(of: [
                web, .address(.v4(0x0A00_0001)), .address(.v4(0x0A00_0002)),
            ]))
        #expect(
            state.setNamespace("shop", annotations: ["config.linkerd.io/opaque-ports": "1"]).contains(web))
        #expect(state.setNamespace("shop", annotations: ["config.linkerd.io/opaque-ports": "1"]).isEmpty)
        #expect(state.setPod(a.key, nil).contains(web))
    }

    @Test("Status noise touches nothing")
    func noise() {
        var state = state(pod("a", ip: "10.0.0.1"))
        let again = pod("a", ip: "10.0.0.1") {
            $0.metadata.resourceVersion = "99"
            $0.status?.conditions = [
                Condition {
                    $0.type = "Ready"
                    $0.status = "False"
                }
            ]
        }
        #expect(state.add(again).isEmpty)
    }

    @Test("A slice that moves to another service touches both")
    func moves() {
        var state = state(service(), slice("s", ports: [(80, nil)], endpoint("10.0.0.1")))
        var moved = slice("s", ports: [(80, nil)], endpoint("10.0.0.1"))
        moved.metadata.labels = ["kubernetes.io/service-name": "other"]
        let other = ObjectKey(namespace: "shop", name: "other")
        #expect(state.add(moved).isSuperset(of: [.service(webKey), .service(other)]))
        #expect(state.view(of: webKey).slices.isEmpty)
        #expect(state.view(of: other).slices.count == 1)
    }
}
