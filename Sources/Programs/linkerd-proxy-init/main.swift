// Redirects a pod's TCP traffic to its proxy, once, before the pod's own containers start.

import ArgumentParser
import Foundation
import ProxyInit

struct ProxyInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "linkerd-proxy-init", abstract: "Redirects a pod's TCP traffic to its Linkerd proxy.")

    @Option(name: [.customShort("p"), .long], help: "Port that takes traffic to the pod.")
    var incomingProxyPort: Int = -1
    @Option(name: [.customShort("o"), .long], help: "Port that takes traffic from the pod.")
    var outgoingProxyPort: Int = -1
    @Option(name: [.customShort("u"), .long], help: "User whose traffic is left alone.") var proxyUid: Int =
        -1
    @Option(name: [.customShort("g"), .long], help: "Group whose traffic is left alone.") var proxyGid: Int =
        -1
    @Option(name: [.customShort("r"), .long], help: "Inbound ports to redirect; all by default.")
    var portsToRedirect: String = ""
    @Option(help: "Inbound ports and ranges to leave alone.") var inboundPortsToIgnore: String = ""
    @Option(help: "Outbound ports and ranges to leave alone.") var outboundPortsToIgnore: String = ""
    @Option(help: "Source subnets to leave alone.") var subnetsToIgnore: String = ""
    @Flag(help: "Print the rules instead of installing them.") var simulate = false
    @Option(help: "Network namespace to enter, as a path.") var netns: String = ""
    @Flag(name: [.customShort("w"), .long], help: "Wait for the xtables lock.") var useWaitFlag = false
    @Option(help: "Seconds until conntrack forgets connections in CLOSE_WAIT; 0 leaves the kernel's value.")
    var timeoutCloseWaitSecs: Int = 0
    @Option(help: "plain or json.") var logFormat: String = "plain"
    @Option(help: "Least level to log.") var logLevel: String = "info"
    @Option(help: "nft, legacy or plain.") var iptablesMode: String?
    @Option(help: "Program IPv6 rules too.") var ipv6: Bool = true
    @Option(help: "The iptables binary.") var firewallBinPath: String = "iptables-legacy"
    @Option(help: "The iptables-save binary.") var firewallSaveBinPath: String = "iptables-legacy-save"

    func run() throws {
        let config = try firewallConfig()
        if timeoutCloseWaitSecs > 0 {
            let setting = "net.netfilter.nf_conntrack_tcp_timeout_close_wait=\(timeoutCloseWaitSecs)"
            try simulate ? print("sysctl -w \(setting)") : require(["sysctl", "-w", setting])
        }
        for family in ipv6 ? AddressFamily.allCases : [.ipv4] { try install(config, family) }
    }

    private func install(_ config: FirewallConfig, _ family: AddressFamily) throws {
        guard
            let tools = FirewallTool.candidates(
                mode: iptablesMode, binary: firewallBinPath, save: firewallSaveBinPath, family: family)
        else { throw ValidationError("--iptables-mode must be nft, legacy or plain") }
        if simulate {
            print("# \(family.rawValue): \(tools[0].restore) --noflush")
            return print(NATRules.restoreInput(config, family: family, current: ""), terminator: "")
        }
        var problems: [String] = []
        for tool in tools {
            let saved = execute([tool.save, "-t", "nat"])
            guard saved.status == 0 else {
                problems.append("\(tool.save): \(saved.complaint)")
                continue
            }
            let rules = NATRules.restoreInput(config, family: family, current: saved.output)
            let restored = execute([tool.restore, "--noflush"] + (useWaitFlag ? ["-w"] : []), input: rules)
            guard restored.status != 0 else {
                return print("\(family.rawValue) rules installed with \(tool.restore)")
            }
            problems.append("\(tool.restore): \(restored.complaint)")
        }
        throw FirewallFailure(
            description: "\(family.rawValue) rules not installed: \(problems.joined(separator: "; "))")
    }

    private func firewallConfig() throws -> FirewallConfig {
        guard let incoming = UInt16(exactly: incomingProxyPort), incoming > 0 else {
            throw ValidationError("--incoming-proxy-port must be a port")
        }
        let single = try FirewallConfig.ports(portsToRedirect)
        guard single.allSatisfy({ $0.low == $0.high }) else {
            throw ValidationError("--ports-to-redirect takes no ranges")
        }
        return FirewallConfig(
            incomingProxyPort: incoming,
            outgoingProxyPort: UInt16(exactly: outgoingProxyPort).flatMap { $0 > 0 ? $0 : nil },
            portsToRedirect: single.map(\.low),
            inboundPortsToIgnore: try FirewallConfig.ports(inboundPortsToIgnore),
            outboundPortsToIgnore: try FirewallConfig.ports(outboundPortsToIgnore),
            subnetsToIgnore: try subnetsToIgnore.split(separator: ",").map {
                try FirewallConfig.subnet(String($0))
            },
            proxyUserID: UInt32(exactly: proxyUid).flatMap { $0 > 0 ? $0 : nil },
            proxyGroupID: UInt32(exactly: proxyGid).flatMap { $0 > 0 ? $0 : nil })
    }

    private func require(_ command: [String]) throws {
        let result = execute(command)
        guard result.status == 0 else {
            throw FirewallFailure(description: "\(command.joined(separator: " ")): \(result.complaint)")
        }
    }

    private func execute(_ command: [String], input: String = "") -> (
        status: Int32, output: String, complaint: String
    ) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = (netns.isEmpty ? [] : ["nsenter", "--net=\(netns)", "--"]) + command
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (stdin, stdout, stderr)
        do {
            try process.run()
            // Rules are far smaller than a pipe's buffer, so writing first cannot block.
            try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try stdin.fileHandleForWriting.close()
        } catch {
            return (127, "", "\(error)")
        }
        let output = stdout.fileHandleForReading.readDataToEndOfFile()
        let complaint = stderr.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: complaint, as: UTF8.self).split(separator: "\n").first.map(String.init)
        return (process.terminationStatus, String(decoding: output, as: UTF8.self), text ?? "no message")
    }
}

/// Why the rules are not in place.
struct FirewallFailure: Error, CustomStringConvertible {
    let description: String
}

/// Booleans as Go's flags spell them: `--ipv6`, `--ipv6=false`, `--simulate=true`.
func normalized(_ arguments: [String]) -> [String] {
    arguments.compactMap { argument in
        switch argument {
        case "--ipv6": "--ipv6=true"
        case "--simulate=true", "--use-wait-flag=true": String(argument.prefix { $0 != "=" })
        case "--simulate=false", "--use-wait-flag=false": nil
        default: argument
        }
    }
}

ProxyInitCommand.main(normalized(Array(CommandLine.arguments.dropFirst())))
