// Addresses, networks and port sets as the environment spells them.

package import NIOCore

/// A CIDR block, IPv4 or IPv6.
package struct IPNetwork: Sendable, Hashable {
    private let bytes: [UInt8]
    private let prefixBits: Int

    /// Reads `10.0.0.0/8`, `fd00::/8`, or a bare address; `nil` for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = SocketAddress.numeric(String(parts[0]), port: 0) else { return nil }
        bytes = address.ipBytes
        if parts.count == 2 {
            guard let bits = Int(parts[1]), (0...bytes.count * 8).contains(bits) else { return nil }
            prefixBits = bits
        } else {
            prefixBits = bytes.count * 8
        }
    }

    /// Whether the block holds the address; families never mix.
    package func contains(_ address: SocketAddress) -> Bool {
        let other = address.ipBytes
        guard other.count == bytes.count, !other.isEmpty else { return false }
        let whole = prefixBits / 8
        guard bytes[..<whole] == other[..<whole] else { return false }
        let rest = prefixBits % 8
        guard rest > 0 else { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> rest)
        return bytes[whole] & mask == other[whole] & mask
    }
}

/// A set of ports, as `25,587,4000-5000`.
package struct PortSet: Sendable, Equatable {
    private var ranges: [ClosedRange<UInt16>] = []

    package init() {}

    /// Reads numbers and ranges separated by commas; blanks and empty items are ignored.
    package init?(_ text: String) {
        for item in text.split(separator: ",") {
            let trimmed = item.filter { $0 != " " }
            if trimmed.isEmpty { continue }
            let bounds = trimmed.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            guard bounds.count <= 2, let low = bounds[0], low > 0, let high = bounds[bounds.count - 1],
                low <= high
            else { return nil }
            ranges.append(low...high)
        }
    }

    /// Whether the port is in the set.
    package func contains(_ port: Int) -> Bool {
        guard let port = UInt16(exactly: port) else { return false }
        return ranges.contains { $0.contains(port) }
    }
}

extension SocketAddress {
    /// An address from its numeric form, without asking any resolver.
    package static func numeric(_ host: String, port: Int) -> SocketAddress? {
        // The initializer only parses; it throws on names.
        try? SocketAddress(ipAddress: host, port: port)
    }

    /// Reads `ip:port` or `[v6]:port`.
    package static func numeric(_ text: String) -> SocketAddress? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return numeric(String(host), port: Int(port))
    }

    /// The address's bytes in network order; IPv4-mapped IPv6 addresses give their four. Empty for other
    /// sockets.
    package var ipBytes: [UInt8] {
        switch self {
        case .v4:
            return (ipAddress ?? "").split(separator: ".").compactMap { UInt8($0) }
        case .v6:
            let bytes = (ipAddress ?? "").ipv6Bytes
            let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
            return bytes.count == 16 && Array(bytes[..<12]) == mapped ? Array(bytes[12...]) : bytes
        case .unixDomainSocket: return []
        }
    }

    /// The IPv4 address inside an IPv4-mapped one, which is how a listener on `[::]` sees IPv4; any other address as
    /// it is.
    package var unmapped: SocketAddress {
        guard case .v6 = self else { return self }
        let bytes = ipBytes
        guard bytes.count == 4 else { return self }
        return .numeric(bytes.map { String($0) }.joined(separator: "."), port: port ?? 0) ?? self
    }

    /// Whether the address is this machine talking to itself.
    package var isLoopback: Bool {
        let bytes = ipBytes
        return bytes.count == 4 ? bytes[0] == 127 : bytes == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    }

    /// `ip:port`, with brackets for IPv6.
    package var endpointText: String {
        let ip = ipAddress ?? ""
        return ip.contains(":") ? "[\(ip)]:\(port ?? 0)" : "\(ip):\(port ?? 0)"
    }
}

extension String {
    /// The sixteen bytes of a numeric IPv6 address; empty when it is none.
    fileprivate var ipv6Bytes: [UInt8] {
        let bare = prefix { $0 != "%" }
        let halves = bare.components(around: "::")
        let head = halves[0].hextets, tail = halves.count == 2 ? halves[1].hextets : []
        let missing = 16 - head.count - tail.count
        guard missing >= 0, halves.count == 2 || missing == 0 else { return [] }
        return head + [UInt8](repeating: 0, count: missing) + tail
    }
}

extension Substring {
    fileprivate func components(around separator: String) -> [Substring] {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(separator) {
                return [self[..<index], self[self.index(index, offsetBy: separator.count)...]]
            }
            index = self.index(after: index)
        }
        return [self]
    }

    fileprivate var hextets: [UInt8] {
        split(separator: ":").flatMap { part -> [UInt8] in
            if part.contains(".") { return part.split(separator: ".").compactMap { UInt8($0) } }
            guard let value = UInt16(part, radix: 16) else { return [] }
            return [UInt8(value >> 8), UInt8(value & 255)]
        }
    }
}
