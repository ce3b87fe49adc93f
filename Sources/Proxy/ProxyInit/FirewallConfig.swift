/// What the pod's firewall should do; the flags of `linkerd-proxy-init`, checked.
public struct FirewallConfig: Sendable, Equatable {
    /// A problem with one flag.
    public struct Problem: Error, Equatable, CustomStringConvertible {
        public let description: String
    }

    /// A port, or a range of ports, in rules.
    public struct PortRange: Sendable, Equatable, CustomStringConvertible {
        public let low: UInt16
        public let high: UInt16

        /// A range, or one port when both bounds are equal.
        public init(low: UInt16, high: UInt16) {
            self.low = low
            self.high = high
        }

        /// `80` or `80:90`, as iptables writes them.
        public var description: String { low == high ? "\(low)" : "\(low):\(high)" }
        /// Places it takes among the fifteen of a multiport match.
        var slots: Int { low == high ? 1 : 2 }
    }

    /// Where traffic to the pod is redirected.
    public var incomingProxyPort: UInt16
    /// Where traffic from the pod is redirected; `nil` leaves it alone.
    public var outgoingProxyPort: UInt16?
    /// Only these inbound ports are redirected; empty redirects all.
    public var portsToRedirect: [UInt16]
    public var inboundPortsToIgnore: [PortRange]
    public var outboundPortsToIgnore: [PortRange]
    /// Sources whose traffic to the pod is left alone, IPv4 and IPv6 mixed.
    public var subnetsToIgnore: [String]
    /// User whose own traffic is left alone; `nil` exempts nobody.
    public var proxyUserID: UInt32?
    public var proxyGroupID: UInt32?

    public init(
        incomingProxyPort: UInt16, outgoingProxyPort: UInt16? = nil, portsToRedirect: [UInt16] = [],
        inboundPortsToIgnore: [PortRange] = [], outboundPortsToIgnore: [PortRange] = [],
        subnetsToIgnore: [String] = [], proxyUserID: UInt32? = nil, proxyGroupID: UInt32? = nil
    ) {
        self.incomingProxyPort = incomingProxyPort
        self.outgoingProxyPort = outgoingProxyPort
        self.portsToRedirect = portsToRedirect
        self.inboundPortsToIgnore = inboundPortsToIgnore
        self.outboundPortsToIgnore = outboundPortsToIgnore
        self.subnetsToIgnore = subnetsToIgnore
        self.proxyUserID = proxyUserID
        self.proxyGroupID = proxyGroupID
    }

    /// Reads `25,587,4000-5000`; blanks and empty items are skipped.
    public static func ports(_ text: String) throws(Problem) -> [PortRange] {
        var ranges: [PortRange] = []
        for item in text.split(separator: ",") {
            let trimmed = item.filter { $0 != " " }
            if trimmed.isEmpty { continue }
            let bounds = trimmed.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            guard bounds.count <= 2, let low = bounds[0], low > 0, let high = bounds[bounds.count - 1],
                low <= high
            else { throw Problem(description: "\"\(trimmed)\" is not a port or a range of ports") }
            ranges.append(PortRange(low: low, high: high))
        }
        return ranges
    }

    /// Checks that `text` looks like a CIDR block or an address.
    public static func subnet(_ text: String) throws(Problem) -> String {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let isV6 = text.contains(":")
        let isAddress = parts[0].allSatisfy { $0.isHexDigit || $0 == "." || $0 == ":" } && !parts[0].isEmpty
        let bits = parts.count == 2 ? Int(parts[1]) : 0
        guard isAddress, let bits, (0...(isV6 ? 128 : 32)).contains(bits) else {
            throw Problem(description: "\"\(text)\" is not a subnet")
        }
        return text
    }
}
