import Destination
import MeshKubernetes
import Testing

@Suite("Destination paths", .timeLimit(.minutes(1))) struct DestinationPathTests {
    @Test(
        "Services, pods of services and addresses are told apart",
        arguments: [
            (
                "web.shop.svc.cluster.local:8080",
                DestinationPath.service(ServiceAuthority(service: webKey, port: 8_080))
            ),
            ("web.shop.svc.cluster.local", .service(ServiceAuthority(service: webKey, port: 80))),
            ("WEB.shop.svc.cluster.local:80", .service(ServiceAuthority(service: webKey, port: 80))),
            (
                "web-0.web.shop.svc.cluster.local:1",
                .service(ServiceAuthority(service: webKey, hostname: "web-0", port: 1))
            ),
            ("10.1.2.3:65535", .address(SocketAddress(ip: .v4(0x0A01_0203), port: 65_535))),
            ("10.1.2.3", .address(SocketAddress(ip: .v4(0x0A01_0203), port: 80))),
            ("[fd00::1]:443", .address(SocketAddress(ip: .v6(0xFD00_0000_0000_0000, 1), port: 443))),
            ("[fd00::1]", .address(SocketAddress(ip: .v6(0xFD00_0000_0000_0000, 1), port: 80))),
        ])
    func parses(path: String, expected: DestinationPath) throws {
        #expect(try DestinationPath(parsing: path, clusterDomain: "cluster.local") == expected)
    }

    @Test(
        "Everything else is refused for good",
        arguments: [
            "", ":80", "web", "web:80", "web.shop", "web.shop.svc:80", "web.shop.svc.cluster.local.:80",
            "web.shop.svc.other.domain:80", "shop.svc.cluster.local", ".shop.svc.cluster.local",
            "a.b.web.shop.svc.cluster.local", "web.shop.svc.cluster.local:0",
            "web.shop.svc.cluster.local:65536",
            "web.shop.svc.cluster.local:http", "web.shop.svc.cluster.local:",
            "web.shop.svc.cluster.local:+80",
            "[10.0.0.1]:80", "[fd00::1", "[fd00::1]80", "example.com:443", "web.shop.pod.cluster.local:80",
        ])
    func refuses(path: String) {
        let error = #expect(throws: DestinationError.self) {
            try DestinationPath(parsing: path, clusterDomain: "cluster.local")
        }
        #expect(error?.kind == .invalidArgument)
    }
}

@Suite("IP addresses", .timeLimit(.minutes(1))) struct IPAddressTests {
    @Test(
        "Valid text",
        arguments: [
            ("0.0.0.0", IPAddress.v4(0)), ("255.255.255.255", .v4(.max)), ("::", .v6(0, 0)),
            ("::1", .v6(0, 1)),
            ("fe80::1:2", .v6(0xFE80_0000_0000_0000, 0x1_0002)),
            ("1:2:3:4:5:6:7:8", .v6(0x1_0002_0003_0004, 0x5_0006_0007_0008)),
            ("::ffff:1.2.3.4", .v6(0, 0xFFFF_0102_0304)), ("1::", .v6(0x1_0000_0000_0000, 0)),
        ])
    func parses(text: String, expected: IPAddress) { #expect(IPAddress(text) == expected) }

    @Test(
        "Invalid text",
        arguments: [
            "", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.-4", "a.b.c.d", "1:2:3", ":::", "1::2::3",
            "12345::",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8:9", "g::", "1.2.3.4::", "+1::",
        ])
    func refuses(text: String) { #expect(IPAddress(text) == nil) }

    @Test("Text round trips", arguments: ["10.0.0.1", "fd00:0:0:0:0:0:0:1"])
    func describes(text: String) { #expect(IPAddress(text)?.description == text) }
}

@Suite("Port lists", .timeLimit(.minutes(1))) struct PortListTests {
    @Test(
        "Numbers, ranges and names; mistakes are left out",
        arguments: [
            ("25, 3000-3002,", [25, 3_000, 3_002], [24, 2_999, 3_003]),
            ("", [], [0, 80]),
            ("x-y,80-70,99999,80", [80], [75, 99_999 % 65_536]),
            (" 1 - 2 ", [1, 2], [3]),
        ] as [(String, [Int], [Int])])
    func contains(text: String, inside: [Int], outside: [Int]) {
        let list = PortList(parsing: text)
        for port in inside { #expect(list.contains(port)) }
        for port in outside { #expect(!list.contains(port)) }
    }

    @Test("A name stands for the ports that carry it")
    func names() {
        #expect(PortList(parsing: "mysql").contains(3_306, names: ["mysql"]))
        #expect(!PortList(parsing: "mysql").contains(3_306, names: ["http"]))
    }
}

@Suite("Context tokens", .timeLimit(.minutes(1))) struct ContextTokenTests {
    @Test(
        "JSON, the older form, and anything else",
        arguments: [
            (#"{"ns":"a","nodeName":"n","pod":"p"}"#, ContextToken(namespace: "a", nodeName: "n", pod: "p")),
            (#"{"ns":"a"}"#, ContextToken(namespace: "a")), ("ns:b", ContextToken(namespace: "b")),
            ("", ContextToken()), ("{", ContextToken()), ("[1]", ContextToken()),
        ])
    func parses(text: String, expected: ContextToken) { #expect(ContextToken(parsing: text) == expected) }
}
