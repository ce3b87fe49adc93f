// IP addresses as bytes, and IPv4 ranges: enough for certificate names and for handing out ClusterIPs.

/// Parses addresses in text form (RFC 4291 section 2.2; no zone, no embedded IPv4).
enum AddressBytes {
    /// Four or sixteen bytes of an IPv4 or IPv6 address; `nil` when `text` is not an address.
    static func parse(_ text: String) -> [UInt8]? {
        text.contains(":") ? parseV6(text) : parseV4(text)
    }

    private static func parseV4(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        let bytes = parts.compactMap { $0.allSatisfy(\.isNumber) ? UInt8($0) : nil }
        return bytes.count == 4 ? bytes : nil
    }

    private static func parseV6(_ text: String) -> [UInt8]? {
        guard let gap = text.firstRange(of: "::") else {
            let groups = parseGroups(text[...])
            return groups?.count == 16 ? groups : nil
        }
        guard let head = parseGroups(text[..<gap.lowerBound]),
            let tail = parseGroups(text[gap.upperBound...]),
            head.count + tail.count < 16
        else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    private static func parseGroups(_ text: Substring) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        for group in text.split(separator: ":", omittingEmptySubsequences: false) {
            guard (1...4).contains(group.count), let number = UInt16(group, radix: 16) else { return nil }
            bytes += [UInt8(number >> 8), UInt8(number & 0xFF)]
        }
        return bytes
    }
}

/// An IPv4 range in CIDR notation.
struct IPv4Range: Sendable, Equatable {
    let base: UInt32
    let prefixLength: Int

    /// Reads `10.96.0.0/16`; `nil` when malformed.
    init?(cidr: String) {
        let parts = cidr.split(separator: "/")
        guard parts.count == 2, let length = Int(parts[1]), (0...32).contains(length),
            let number = Self.number(String(parts[0]))
        else { return nil }
        prefixLength = length
        base = length == 0 ? 0 : number & (UInt32.max << (32 - length))
    }

    /// How many addresses the range holds.
    var count: UInt32 {
        prefixLength == 0 ? UInt32.max : UInt32(truncatingIfNeeded: UInt64(1) << (32 - prefixLength))
    }

    /// Whether the address in `text` lies inside.
    func contains(_ text: String) -> Bool {
        guard let number = Self.number(text) else { return false }
        return number >= base && number - base < count
    }

    /// The address at an offset from the start of the range.
    func address(at offset: UInt32) -> String {
        let number = base &+ offset
        return (0..<4).map { String(number >> (24 - 8 * UInt32($0)) & 0xFF) }.joined(separator: ".")
    }

    private static func number(_ text: String) -> UInt32? {
        guard let bytes = AddressBytes.parse(text), bytes.count == 4 else { return nil }
        return bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }
}
