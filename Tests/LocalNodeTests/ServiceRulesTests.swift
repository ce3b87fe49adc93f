import LocalNode
import MeshKubernetes
import Testing

@Suite("ClusterIP rules", .timeLimit(.minutes(1))) struct ServiceRulesTests {
    static let api = ServiceRules.APIServer(
        serviceAddress: "10.96.0.1", nodeAddress: "10.244.0.1", port: 6443)

    static func text(endpoints: [(String, Bool, String?)], transport: String? = nil) -> String {
        let port = ServicePort {
            $0.name = "http"; $0.port = 80; $0.protocol = transport
        }
        return ServiceRules.text(
            apiServer: api, services: [Fixtures.service("web", address: "10.96.0.20", ports: [port])],
            slices: [Fixtures.slice("web", port: ("http", 8080), endpoints: endpoints)])
    }

    @Test("The API server is reachable before any object exists")
    func bootstrap() {
        let text = ServiceRules.text(apiServer: Self.api, services: [], slices: [])
        #expect(
            text.contains(
                "-d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.244.0.1:6443"))
        #expect(text.hasPrefix("*nat\n") && text.hasSuffix("COMMIT\n"))
    }

    @Test(
        "Backends share evenly: the first of three takes a third, the second half of the rest, the last the remainder"
    )
    func statistic() {
        let text = Self.text(endpoints: [
            ("10.244.0.5", true, nil), ("10.244.0.6", true, nil), ("10.244.0.7", true, nil),
        ])
        let choices = text.split(separator: "\n").filter { $0.hasPrefix("-A SVC-") }
        #expect(choices.count == 3)
        #expect(choices[0].contains("--probability 0.33333"))
        #expect(choices[1].contains("--probability 0.50000"))
        #expect(!choices[2].contains("statistic"))
        #expect(text.contains("-p tcp -m tcp -j DNAT --to-destination 10.244.0.6:8080"))
    }

    @Test("A backend that calls itself is marked for masquerading")
    func hairpin() {
        let text = Self.text(endpoints: [("10.244.0.5", true, nil)])
        #expect(text.contains("-s 10.244.0.5/32 -j MARK --set-xmark 0x4000/0x4000"))
        #expect(text.contains("-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE"))
    }

    @Test("Only ready endpoints get rules; without any the service has none")
    func readiness() {
        let text = Self.text(endpoints: [("10.244.0.5", true, nil), ("10.244.0.6", false, nil)])
        #expect(text.contains("10.244.0.5:8080") && !text.contains("10.244.0.6"))
        #expect(!Self.text(endpoints: [("10.244.0.6", false, nil)]).contains("10.96.0.20"))
    }

    @Test("UDP services are translated as UDP")
    func udp() {
        let text = Self.text(endpoints: [("10.244.0.5", true, nil)], transport: "UDP")
        #expect(text.contains("-d 10.96.0.20/32 -p udp -m udp --dport 80"))
    }

    @Test("Headless services have no rules, and the text does not depend on the order of objects")
    func stable() {
        let headless = Fixtures.service("db", address: "None", ports: [ServicePort { $0.port = 5432 }])
        #expect(!ServiceRules.text(apiServer: Self.api, services: [headless], slices: []).contains("5432"))
        let forward = Self.text(endpoints: [("10.244.0.5", true, nil), ("10.244.0.6", true, nil)])
        let backward = Self.text(endpoints: [("10.244.0.6", true, nil), ("10.244.0.5", true, nil)])
        #expect(forward == backward)
    }
}
