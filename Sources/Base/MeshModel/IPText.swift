/// Addresses as Kubernetes writes them. Pure.
public enum IPText {
    /// Dotted decimal of an address whose first octet is the most significant byte.
    public static func ipv4(_ bits: UInt32) -> String {
        "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }

    /// IPv6 by RFC 5952: the longest run of zero groups is shortened, the first of equals.
    public static func ipv6(_ first: UInt64, _ last: UInt64) -> String {
        let groups = (0..<8).map { index -> UInt64 in
            (index < 4 ? first : last) >> UInt64(48 - 16 * (index % 4)) & 0xFFFF
        }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ part: ArraySlice<UInt64>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        if best.isEmpty { return text(groups[...]) }
        return text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
    }
}
