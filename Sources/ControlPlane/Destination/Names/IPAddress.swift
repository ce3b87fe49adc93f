// IP addresses as values: parsed from text (RFC 4291 section 2.2 for IPv6) and written to the wire form.

internal import MeshAPI
internal import SwiftProtobuf

/// An IPv4 or IPv6 address.
package enum IPAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first octet is the most significant byte.
    case v4(UInt32)
    /// The upper and the lower half.
    case v6(UInt64, UInt64)

    /// Parses dotted-quad or colon text, without brackets, zone or prefix length.
    package init?(_ text: some StringProtocol) {
        if let value = Self.parseV4(text) {
            self = .v4(value)
        } else if let (upper, lower) = Self.parseV6(text) {
            self = .v6(upper, lower)
        } else {
            return nil
        }
    }

    private static func parseV4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
                let octet = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(octet)
        }
        return value
    }

    private static func parseV6(_ text: some StringProtocol) -> (UInt64, UInt64)? {
        guard text.contains(":") else { return nil }
        let text = String(text)
        var head = Substring(text)
        var tail: Substring?
        if let gap = text.firstRange(of: "::") {
            head = text[..<gap.lowerBound]
            let rest = text[gap.upperBound...]
            guard rest.firstRange(of: "::") == nil else { return nil }
            tail = rest
        }
        guard let first = groups(head, mayEndInV4: tail == nil),
            let last = groups(tail ?? "", mayEndInV4: true)
        else { return nil }
        let missing = 8 - first.count - last.count
        guard tail == nil ? missing == 0 : missing >= 1 else { return nil }
        let all = first + Array(repeating: UInt16(0), count: missing) + last
        func half(_ groups: ArraySlice<UInt16>) -> UInt64 { groups.reduce(0) { $0 << 16 | UInt64($1) } }
        return (half(all[0..<4]), half(all[4..<8]))
    }

    private static func groups(_ text: Substring, mayEndInV4: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, part.contains("."), let value = parseV4(part) {
                groups += [UInt16(value >> 16), UInt16(truncatingIfNeeded: value)]
            } else {
                guard (1...4).contains(part.utf8.count), !part.hasPrefix("+"),
                    let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups.count <= 8 ? groups : nil
    }

    package var isV6: Bool { if case .v6 = self { true } else { false } }

    /// Canonical text; IPv6 without zero compression, which no reader needs.
    package var description: String {
        switch self {
        case .v4(let value):
            return (0..<4).map { String(value >> (24 - 8 * $0) & 0xFF) }.joined(separator: ".")
        case .v6(let upper, let lower):
            return [upper, lower].flatMap { half in
                (0..<4).map { String(half >> (48 - 16 * UInt64($0)) & 0xFFFF, radix: 16) }
            }.joined(separator: ":")
        }
    }

    package static func < (a: IPAddress, b: IPAddress) -> Bool {
        switch (a, b) {
        case (.v4(let x), .v4(let y)): x < y
        case (.v6(let x, let y), .v6(let z, let w)): (x, y) < (z, w)
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

/// An address and a TCP port.
package struct SocketAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let ip: IPAddress
    package let port: Int

    package init(ip: IPAddress, port: Int) {
        self.ip = ip
        self.port = port
    }

    /// `1.2.3.4:80` or `[…]:80`.
    package var description: String { ip.isV6 ? "[\(ip)]:\(port)" : "\(ip):\(port)" }

    package static func < (a: SocketAddress, b: SocketAddress) -> Bool { (a.ip, a.port) < (b.ip, b.port) }

    /// The wire form.
    var message: Io_Linkerd_Proxy_Net_TcpAddress {
        .with {
            switch ip {
            case .v4(let value): $0.ip.ipv4 = value
            case .v6(let upper, let lower):
                $0.ip.ipv6 = .with {
                    $0.first = upper
                    $0.last = lower
                }
            }
            $0.port = UInt32(clamping: port)
        }
    }
}
