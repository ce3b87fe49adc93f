// Real redirection: rules of iptables in a network of the test's own, and a proxy that asks the kernel.

import NIOCore
import MeshTransport
import ProxyCore
import Testing

@Suite("Original destination", .serialized, .timeLimit(.minutes(2))) struct OriginalDestinationTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    /// Whose connections are redirected; the proxy's own, made by root, are not.
    private static let user = "65534"

    private static func redirect(_ address: String, _ port: Int, to proxy: SocketAddress) async throws {
        try await NetworkNamespace.command(
            address.contains(":") ? "ip6tables" : "iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-m", "owner",
            "--uid-owner", user, "-d", address, "--dport", "\(port)", "-j", "REDIRECT", "--to-ports", "\(proxy.port ?? 0)")
    }

    private static func get(_ url: String) async throws -> String {
        try await PeerProgram.inFolder { folder in
            let command = ["setpriv", "--reuid", user, "--clear-groups", "curl", "-sS", "-g", "-m", "20", url]
            return try await PeerProgram.run(command, folder: folder).text
        }
    }

    @Test("Inbound, on one socket for both families: addresses of IPv4 stay what they are")
    func inbound() async throws {
        try await NetworkNamespace.run {
            try await NetworkNamespace.command("ip", "address", "add", "fd00::7/128", "dev", "lo")
            let environment = [
                "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "[::]:0", "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "[::]:0",
                "LINKERD2_PROXY_INBOUND_IPS": "fd00::7,127.0.0.9", "LINKERD2_PROXY_ACCESS_LOG": "apache",
            ]
            try await ProxyFixture.run(environment, originalDestination: OriginalDestination.ofKernel) {
                (proxy: ProxyFixture) async throws in
                let server = try await ScriptedServer.answering(Self.ok, on: proxy.group, host: "::")
                let port = server.address.port ?? 0
                for (ip, text) in [("fd00::7", "[fd00::7]"), ("127.0.0.9", "127.0.0.9")] {
                    try await Self.redirect(ip, port, to: proxy.runtime.addresses[0])
                    #expect(try await Self.get("http://\(text):\(port)/") == "hi")
                    let labels = ["direction": "inbound", "target_addr": "\(text):\(port)", "target_ip": ip]
                    #expect(try await proxy.metric("request_total", labels) == 1)
                    #expect(try await proxy.metric("tcp_open_total", labels.merging(["peer": "src"]) { $1 }) == 1)
                }
                let admin = try #require(proxy.runtime.adminAddress).port ?? 0
                #expect(try await Self.get("http://127.0.0.1:\(admin)/live") == "live\n")
                #expect(try await proxy.metric("request_total", ["target_port": "\(admin)", "target_addr": "127.0.0.1:\(admin)"]) == 1)
                let scrape = try await proxy.scrape()
                #expect(!scrape.contains("::ffff:"), "an address of IPv4 in the clothes of IPv6")
                let lines = try #require(proxy.accessLog).lines
                #expect(lines.count == 2 && lines[0].hasPrefix("[fd00::7]:") && lines[1].hasPrefix("127.0.0."))
            }
        }
    }

    @Test("Outbound, on a socket for each family: discovery is asked about the address that the application used")
    func outbound() async throws {
        try await NetworkNamespace.run {
            for address in ["fd00::8/128", "10.96.0.7/32"] {
                try await NetworkNamespace.command("ip", "address", "add", address, "dev", "lo")
            }
            let environment = [
                "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS": "127.0.0.1:0,[::1]:0",
                "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8,fd00::/8",
            ]
            try await ProxyFixture.run(environment, originalDestination: OriginalDestination.ofKernel) {
                (proxy: ProxyFixture) async throws in
                let server = try await ScriptedServer.answering(Self.ok, on: proxy.group, host: "::1")
                for (ip, text, listener) in [("10.96.0.7", "10.96.0.7", 1), ("fd00::8", "[fd00::8]", 2)] {
                    proxy.discovery.setProfile(
                        "\(text):8080", .profile(
                            DestinationProfile(
                                endpoint: DiscoveredEndpoint(address: server.address, metricLabels: ["asked": ip]))))
                    try await Self.redirect(ip, 8080, to: proxy.runtime.addresses[listener])
                    #expect(try await Self.get("http://\(text):8080/") == "hi")
                    #expect(try await proxy.metric("request_total", ["direction": "outbound", "dst_asked": ip]) == 1)
                    let source = ["peer": "src", "direction": "outbound", "target_addr": "\(text):8080", "target_ip": ip]
                    #expect(try await proxy.metric("tcp_open_total", source) == 1)
                }
            }
        }
    }
}
