import Destination
import MeshAPI
import MeshKubernetes
import SwiftProtobuf
import Testing

private func endpoints(
    _ state: ClusterState, port: Int = 80, hostname: String? = nil, node: String = "",
    _ change: (inout DestinationSettings) -> Void = { _ in }
) throws -> EndpointSet {
    var settings = DestinationSettings()
    change(&settings)
    return try EndpointTranslator(settings: settings).endpoints(
        of: ServiceAuthority(service: webKey, hostname: hostname, port: port), in: state.view(of: webKey),
        for: ContextToken(nodeName: node))
}

private func addresses(_ set: EndpointSet) -> [String] { set.endpoints.keys.sorted().map(\.description) }

@Suite("Endpoint translation", .timeLimit(.minutes(1))) struct EndpointTranslatorTests {
    @Test("Labels name the pod, its workload and its account")
    func labels() throws {
        let set = try endpoints(
            state(
                service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a", zone: "z1")),
                pod("a", ip: "10.0.0.1", isMeshed: true)))
        let found = try #require(set.endpoints[socket("10.0.0.1", 8_080)])
        #expect(set.labels == ["namespace": "shop", "service": "web"])
        #expect(
            found.metricLabels == [
                "pod": "a", "deployment": "web", "serviceaccount": "web-sa", "control_plane_ns": "linkerd",
                "pod_template_hash": "abc", "zone": "z1",
            ])
        #expect(found.weight == 10_000)
        #expect(found.resourceRef.resource.name == "a")
    }

    @Test(
        "The workload is found through its owners",
        arguments: [
            ("StatefulSet", "db", "statefulset", "db"), ("DaemonSet", "agent", "daemonset", "agent"),
            ("Job", "import", "k8s_job", "import"), ("ReplicaSet", "loose", "replicaset", "loose"),
            ("ReplicaSet", "web-abc", "deployment", "web"),
        ])
    func owners(kind: String, name: String, label: String, value: String) throws {
        let set = try endpoints(
            state(
                service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")),
                pod("a", ip: "10.0.0.1", owner: (kind, name))))
        #expect(set.endpoints.values.first?.metricLabels[label] == value)
    }

    @Test("A pod without a proxy gets no hint, even with the label of the mesh")
    func unmeshed() throws {
        let labelled = pod("a", ip: "10.0.0.1") {
            $0.metadata.labels?["linkerd.io/control-plane-ns"] = "linkerd"
        }
        let set = try endpoints(
            state(service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")), labelled)
        ) { $0.isIdentityEnabled = true }
        let found = try #require(set.endpoints.values.first)
        #expect(!found.hasProtocolHint && !found.hasTlsIdentity && !found.hasHTTP2)
        #expect(found.metricLabels["control_plane_ns"] == nil)
    }

    @Test("A meshed pod gets a hint, and an identity once there are any")
    func meshed() throws {
        let state = state(
            service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")),
            pod("a", ip: "10.0.0.1", isMeshed: true))
        var found = try #require(try endpoints(state).endpoints.values.first)
        #expect(found.protocolHint.protocol == .h2(.init()))
        #expect(!found.protocolHint.hasOpaqueTransport && !found.hasTlsIdentity)
        #expect(found.http2.keepAlive.interval.seconds == 10)

        found = try #require(
            try endpoints(state) {
                $0.isIdentityEnabled = true
                $0.trustDomain = "td"
                $0.transportMode = .transportHeader
            }.endpoints.values.first)
        let name = "web-sa.shop.serviceaccount.identity.linkerd.td"
        #expect(found.tlsIdentity.dnsLikeIdentity.name == name)
        #expect(found.tlsIdentity.serverName.name == name)
        #expect(found.protocolHint.opaqueTransport.inboundPort == 4_143)

        found = try #require(try endpoints(state) { $0.isH2UpgradeEnabled = false }.endpoints.values.first)
        #expect(found.protocolHint.protocol == nil)
    }

    @Test("Another control plane's pods have no identity for us")
    func foreign() throws {
        let set = try endpoints(
            state(
                service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")),
                pod("a", ip: "10.0.0.1", isMeshed: true))
        ) {
            $0.isIdentityEnabled = true
            $0.controllerNamespace = "other"
        }
        #expect(set.endpoints.values.first?.hasTlsIdentity == false)
    }

    @Test("Skipped inbound ports bypass the proxy: no hint, no identity")
    func skipped() throws {
        let set = try endpoints(
            state(
                service(), slice("web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")),
                pod(
                    "a", ip: "10.0.0.1", isMeshed: true,
                    annotations: ["config.linkerd.io/skip-inbound-ports": "8080"]))
        ) { $0.isIdentityEnabled = true }
        #expect(set.endpoints.values.first?.hasProtocolHint == false)
        #expect(set.endpoints.values.first?.hasTlsIdentity == false)
    }

    @Test(
        "Opaque ports come from the pod, else the namespace, else the default list",
        arguments: [
            (nil, nil, 3_306, true), (nil, nil, 8_080, false), ("", nil, 3_306, false),
            ("8080", nil, 8_080, true),
            ("8080", nil, 3_306, false), (nil, "8080", 8_080, true), (nil, "8080", 3_306, false),
            ("1", "8080", 8_080, false), ("db", nil, 9_000, true),
        ] as [(String?, String?, Int, Bool)])
    func opaque(ofPod: String?, ofNamespace: String?, port: Int, isOpaque: Bool) throws {
        let key = "config.linkerd.io/opaque-ports"
        var state = state(
            service(), slice("web-1", ports: [(port, nil)], endpoint("10.0.0.1", pod: "a")),
            pod("a", ip: "10.0.0.1", isMeshed: true, annotations: ofPod.map { [key: $0] }))
        _ = state.setNamespace("shop", annotations: ofNamespace.map { [key: $0] })
        let found = try #require(try endpoints(state).endpoints.values.first)
        #expect(found.protocolHint.protocol == (isOpaque ? .opaque(.init()) : .h2(.init())))
        #expect(found.protocolHint.hasOpaqueTransport == isOpaque)
    }

    @Test("Named ports are matched through the slices; undeclared ones are taken as they are")
    func ports() throws {
        let state = state(
            service(ports: [(80, "http"), (81, "admin")]),
            slice("web-1", ports: [(8_080, "http"), (9_990, "admin")], endpoint("10.0.0.1")))
        #expect(addresses(try endpoints(state, port: 80)) == ["10.0.0.1:8080"])
        #expect(addresses(try endpoints(state, port: 81)) == ["10.0.0.1:9990"])
        #expect(addresses(try endpoints(state, port: 1_234)) == ["10.0.0.1:1234"])
    }

    @Test("Only ready endpoints with a present pod count; slices add up")
    func readiness() throws {
        let state = state(
            service(),
            slice(
                "web-1", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a"),
                endpoint("10.0.0.2", ready: false),
                endpoint("10.0.0.3", ready: nil), endpoint("10.0.0.4", pod: "unknown"),
                endpoint("10.0.0.5", pod: "a", uid: "older")),
            slice("web-2", ports: [(8_081, nil)], endpoint("10.0.0.6")),
            pod("a", ip: "10.0.0.1", uid: "newer"))
        #expect(addresses(try endpoints(state)) == ["10.0.0.1:8080", "10.0.0.3:8080", "10.0.0.6:8081"])
    }

    @Test("A host name keeps one pod, a local traffic policy one node")
    func filters() throws {
        let one = endpoint("10.0.0.1", hostname: "web-0", node: "n1")
        let two = endpoint("10.0.0.2", hostname: "web-1", node: "n2")
        var state = state(service(), slice("web-1", ports: [(8_080, nil)], one, two))
        #expect(addresses(try endpoints(state, hostname: "web-1")) == ["10.0.0.2:8080"])
        #expect(addresses(try endpoints(state, node: "n1")).count == 2)
        state.add(service { $0.internalTrafficPolicy = "Local" })
        #expect(addresses(try endpoints(state, node: "n1")) == ["10.0.0.1:8080"])
        #expect(addresses(try endpoints(state)).count == 2)
    }

    @Test("Of two families the enabled one counts, IPv6 before IPv4")
    func families() throws {
        let dual = pod("a", ip: "10.0.0.1") {
            $0.status?.podIPs = [PodIP(ip: "10.0.0.1"), PodIP(ip: "fd00::1")]
        }
        let state = state(
            service(), slice("web-4", ports: [(8_080, nil)], endpoint("10.0.0.1", pod: "a")),
            slice("web-6", ports: [(8_080, nil)], endpoint("fd00::1", pod: "a")), dual)
        #expect(addresses(try endpoints(state)) == ["10.0.0.1:8080"])
        #expect(addresses(try endpoints(state) { $0.isIPv6Enabled = true }) == ["[fd00:0:0:0:0:0:0:1]:8080"])
    }

    @Test("Missing and external services")
    func special() throws {
        #expect(try endpoints(ClusterState()).exists == false)
        #expect(try endpoints(state(service())).endpoints.isEmpty)
        let error = #expect(throws: DestinationError.self) {
            try endpoints(state(service(type: "ExternalName")))
        }
        #expect(error?.kind == .invalidArgument)
    }
}

@Suite("Endpoint updates", .timeLimit(.minutes(1))) struct EndpointDiffTests {
    private func set(_ endpoints: [Int: UInt32], exists: Bool = true) -> EndpointSet {
        var set = EndpointSet()
        set.exists = exists
        for (last, weight) in endpoints {
            let address = socket("10.0.\(last / 256).\(last % 256)", 80)
            set.endpoints[address] = .with {
                $0.addr.ip.ipv4 = 0x0A00_0000 + UInt32(last)
                $0.addr.port = 80
                $0.weight = weight
            }
        }
        return set
    }

    @Test("The first update is the whole set, or says that it is empty")
    func first() {
        var diff = EndpointDiff()
        #expect(diff.updates(to: set([:])) == [.with { $0.noEndpoints.exists = true }])
        #expect(diff.updates(to: set([:])) == [])
        #expect(diff.updates(to: set([:], exists: false)) == [.with { $0.noEndpoints.exists = false }])
        #expect(diff.updates(to: set([1: 1])).first?.add.addrs.count == 1)
        #expect(diff.updates(to: set([1: 1])) == [])
        #expect(diff.updates(to: set([:])) == [.with { $0.noEndpoints.exists = true }])
    }

    @Test("Only what changed is sent, additions before removals")
    func deltas() {
        var diff = EndpointDiff()
        _ = diff.updates(to: set([1: 1, 2: 1, 3: 1]))
        let updates = diff.updates(to: set([2: 1, 3: 2, 4: 1]))
        #expect(updates.count == 2)
        #expect(updates.first?.add.addrs.map { $0.addr.ip.ipv4 & 255 } == [3, 4])
        #expect(updates.last?.remove.addrs.map { $0.ip.ipv4 & 255 } == [1])
    }

    @Test("A large set travels in bounded pieces")
    func pieces() {
        var diff = EndpointDiff()
        let updates = diff.updates(to: set(Dictionary(uniqueKeysWithValues: (0..<2_500).map { ($0, 1) })))
        #expect(updates.map { $0.add.addrs.count } == [1_000, 1_000, 500])
    }

    @Test("Applying the updates in order always gives the set", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func property(seed: UInt64) {
        var random = SplitMix(state: seed)
        var diff = EndpointDiff()
        var reader: [UInt32: UInt32] = [:]
        for _ in 0..<300 {
            var wanted: [Int: UInt32] = [:]
            for last in 0..<8 where Bool.random(using: &random) {
                wanted[last] = .random(in: 1...2, using: &random)
            }
            if Int.random(in: 0..<5, using: &random) == 0 { wanted = [:] }
            for update in diff.updates(to: set(wanted)) {
                switch update.update {
                case .add(let added):
                    for item in added.addrs { reader[item.addr.ip.ipv4 & 255] = item.weight }
                case .remove(let removed): for item in removed.addrs { reader[item.ip.ipv4 & 255] = nil }
                default: reader = [:]
                }
            }
            #expect(
                reader == Dictionary(uniqueKeysWithValues: wanted.map { (UInt32($0.key), $0.value) }),
                "seed \(seed)")
        }
    }
}

/// A seeded generator (SplitMix64, Steele, Lea and Flood 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
