// The nat table's rules that send a pod's TCP traffic through its proxy. Pure: configuration and the current
// table in, input for `iptables-restore --noflush` out.
//
// Chains, order and comments are Linkerd's (`spec/control-plane.md` 6.2), so that its CLI and its network
// validator recognise them. Naming a chain empties it, so running twice changes nothing.

/// Which address family a rule set is for.
public enum AddressFamily: String, Sendable, CaseIterable {
    case ipv4, ipv6
}

/// Builds the rules.
public enum NATRules {
    static let redirectChain = "PROXY_INIT_REDIRECT"
    static let outputChain = "PROXY_INIT_OUTPUT"
    /// Ports a multiport match holds; a range takes two.
    static let multiportSlotsMax = 15

    /// The text to feed to `iptables-restore --noflush`.
    ///
    /// - Parameter current: what `iptables-save -t nat` printed; jumps that are there already are not added
    ///   again.
    public static func restoreInput(_ config: FirewallConfig, family: AddressFamily, current: String)
        -> String
    {
        var lines = ["*nat", ":\(redirectChain) - [0:0]"]
        if config.outgoingProxyPort != nil { lines.append(":\(outputChain) - [0:0]") }
        lines += incoming(config, family)
        if !hasJump(from: "PREROUTING", to: redirectChain, in: current) {
            lines.append(rule("PREROUTING", "", "install-proxy-init-prerouting", "-j \(redirectChain)"))
        }
        if let port = config.outgoingProxyPort {
            lines += outgoing(config, port)
            if !hasJump(from: "OUTPUT", to: outputChain, in: current) {
                lines.append(rule("OUTPUT", "", "install-proxy-init-output", "-j \(outputChain)"))
            }
        }
        return (lines + ["COMMIT", ""]).joined(separator: "\n")
    }

    private static func incoming(_ config: FirewallConfig, _ family: AddressFamily) -> [String] {
        var lines = ignoredPorts(config.inboundPortsToIgnore, chain: redirectChain)
        for subnet in config.subnetsToIgnore where subnet.contains(":") == (family == .ipv6) {
            lines.append(rule(redirectChain, "-s \(subnet) ", "ignore-subnet-\(subnet)", "-j RETURN"))
        }
        let target = "-j REDIRECT --to-ports \(config.incomingProxyPort)"
        if config.portsToRedirect.isEmpty {
            lines.append(rule(redirectChain, "-p tcp ", "redirect-all-incoming-to-proxy-port", target))
        }
        for port in config.portsToRedirect {
            let match = "-p tcp -m tcp --dport \(port) "
            lines.append(rule(redirectChain, match, "redirect-port-\(port)-to-proxy-port", target))
        }
        return lines
    }

    private static func outgoing(_ config: FirewallConfig, _ port: UInt16) -> [String] {
        var lines: [String] = []
        if let user = config.proxyUserID {
            lines.append(
                rule(outputChain, "-m owner --uid-owner \(user) ", "ignore-proxy-user-id", "-j RETURN"))
        }
        if let group = config.proxyGroupID {
            lines.append(
                rule(outputChain, "-m owner --gid-owner \(group) ", "ignore-proxy-group-id", "-j RETURN"))
        }
        lines.append(rule(outputChain, "-o lo ", "ignore-loopback", "-j RETURN"))
        lines += ignoredPorts(config.outboundPortsToIgnore, chain: outputChain)
        lines.append(
            rule(
                outputChain, "-p tcp ", "redirect-all-outgoing-to-proxy-port",
                "-j REDIRECT --to-ports \(port)"))
        return lines
    }

    private static func ignoredPorts(_ ports: [FirewallConfig.PortRange], chain: String) -> [String] {
        var groups: [[FirewallConfig.PortRange]] = []
        var slots = multiportSlotsMax
        for port in ports {
            if slots + port.slots > multiportSlotsMax {
                groups.append([])
                slots = 0
            }
            groups[groups.count - 1].append(port)
            slots += port.slots
        }
        return groups.map { group in
            let list = group.map(\.description).joined(separator: ",")
            return rule(chain, "-p tcp -m multiport --dports \(list) ", "ignore-port-\(list)", "-j RETURN")
        }
    }

    private static func rule(_ chain: String, _ match: String, _ comment: String, _ target: String) -> String
    {
        "-A \(chain) \(match)-m comment --comment \"proxy-init/\(comment)\" \(target)"
    }

    private static func hasJump(from chain: String, to target: String, in current: String) -> Bool {
        current.split(separator: "\n").contains { line in
            line.hasPrefix("-A \(chain) ") && line.split(separator: " ").last.map(String.init) == target
        }
    }
}
