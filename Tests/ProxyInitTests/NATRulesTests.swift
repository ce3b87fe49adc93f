import ProxyInit
import Testing

@Suite("Firewall rules", .timeLimit(.minutes(1))) struct NATRulesTests {
    private let config = FirewallConfig(
        incomingProxyPort: 4143, outgoingProxyPort: 4140,
        inboundPortsToIgnore: [.init(low: 4190, high: 4190), .init(low: 4567, high: 4568)],
        outboundPortsToIgnore: [.init(low: 443, high: 443)], subnetsToIgnore: ["10.1.0.0/16", "fd00::/8"],
        proxyUserID: 2102)

    @Test("The whole table, in Linkerd's order and with its comments")
    func golden() {
        let expected = """
            *nat
            :PROXY_INIT_REDIRECT - [0:0]
            :PROXY_INIT_OUTPUT - [0:0]
            -A PROXY_INIT_REDIRECT -p tcp -m multiport --dports 4190,4567:4568 -m comment \
            --comment "proxy-init/ignore-port-4190,4567:4568" -j RETURN
            -A PROXY_INIT_REDIRECT -s 10.1.0.0/16 -m comment --comment "proxy-init/ignore-subnet-10.1.0.0/16" -j RETURN
            -A PROXY_INIT_REDIRECT -p tcp -m comment --comment "proxy-init/redirect-all-incoming-to-proxy-port" \
            -j REDIRECT --to-ports 4143
            -A PREROUTING -m comment --comment "proxy-init/install-proxy-init-prerouting" -j PROXY_INIT_REDIRECT
            -A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -m comment --comment "proxy-init/ignore-proxy-user-id" \
            -j RETURN
            -A PROXY_INIT_OUTPUT -o lo -m comment --comment "proxy-init/ignore-loopback" -j RETURN
            -A PROXY_INIT_OUTPUT -p tcp -m multiport --dports 443 -m comment --comment "proxy-init/ignore-port-443" \
            -j RETURN
            -A PROXY_INIT_OUTPUT -p tcp -m comment --comment "proxy-init/redirect-all-outgoing-to-proxy-port" \
            -j REDIRECT --to-ports 4140
            -A OUTPUT -m comment --comment "proxy-init/install-proxy-init-output" -j PROXY_INIT_OUTPUT
            COMMIT

            """
        #expect(NATRules.restoreInput(config, family: .ipv4, current: "") == expected)
    }

    @Test("Each family sees only its own subnets")
    func families() {
        let text = NATRules.restoreInput(config, family: .ipv6, current: "")
        #expect(text.contains("-s fd00::/8 "))
        #expect(!text.contains("10.1.0.0/16"))
    }

    @Test("Jumps that are installed are not installed again")
    func idempotent() {
        let current = """
            -A PREROUTING -m comment --comment "proxy-init/install-proxy-init-prerouting" -j PROXY_INIT_REDIRECT
            -A OUTPUT -m comment --comment "proxy-init/install-proxy-init-output" -j PROXY_INIT_OUTPUT
            """
        let text = NATRules.restoreInput(config, family: .ipv4, current: current)
        #expect(!text.contains("-A PREROUTING"))
        #expect(!text.contains("-A OUTPUT "))
        #expect(text.contains(":PROXY_INIT_OUTPUT - [0:0]"))
    }

    @Test("A multiport match holds fifteen places, a range takes two")
    func multiport() throws {
        var config = config
        config.inboundPortsToIgnore = try FirewallConfig.ports("1,2,3,4,5,6,7,8,9,10,11,12,13,14,20-21,30")
        let lines = NATRules.restoreInput(config, family: .ipv4, current: "").split(separator: "\n")
        let dports = lines.filter { $0.contains("PROXY_INIT_REDIRECT") && $0.contains("--dports") }
        #expect(dports.count == 2)
        #expect(dports[0].contains("--dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14 "))
        #expect(dports[1].contains("--dports 20:21,30 "))
    }

    @Test("Named ports replace the catch-all")
    func portsToRedirect() {
        var config = config
        config.portsToRedirect = [80, 8080]
        let text = NATRules.restoreInput(config, family: .ipv4, current: "")
        #expect(
            text.contains("--dport 80 -m comment --comment \"proxy-init/redirect-port-80-to-proxy-port\""))
        #expect(!text.contains("redirect-all-incoming"))
    }

    @Test("Without an outgoing port nothing leaves through the proxy")
    func inboundOnly() {
        let text = NATRules.restoreInput(FirewallConfig(incomingProxyPort: 4143), family: .ipv4, current: "")
        #expect(!text.contains("OUTPUT"))
    }

    @Test("What is no port is refused", arguments: ["0", "65536", "a", "5-3", "1-2-3", "-"])
    func badPorts(text: String) {
        #expect(throws: FirewallConfig.Problem.self) { try FirewallConfig.ports(text) }
    }

    @Test(
        "What is no subnet is refused", arguments: ["", "10.0.0.0/33", "host/8", "fd00::/129", "10.0.0.0/x"])
    func badSubnets(text: String) {
        #expect(throws: FirewallConfig.Problem.self) { try FirewallConfig.subnet(text) }
    }

    @Test("The IPv6 programs are named after the chosen ones")
    func tools() throws {
        let tool = FirewallTool(binary: "/sbin/iptables-nft", save: "/sbin/iptables-nft-save", family: .ipv6)
        #expect(tool.save == "/sbin/ip6tables-nft-save")
        #expect(tool.restore == "/sbin/ip6tables-nft-restore")
        let order = try #require(
            FirewallTool.candidates(mode: "nft", binary: "x", save: "y", family: .ipv4)
        ).map(\.save)
        #expect(order == ["iptables-nft-save", "iptables-save", "iptables-legacy-save"])
        #expect(FirewallTool.candidates(mode: "bogus", binary: "x", save: "y", family: .ipv4) == nil)
    }
}
