// Which bytes are a DNS name, for server names in TLS and names in certificates.

/// Validation of DNS names as TLS uses them (RFC 6066 section 3): no trailing dot, no wildcard, no address.
package enum DNSName {
    /// RFC 1035 section 2.3.4, less the dot at the end that is not written here.
    package static let bytesMax = 253
    /// RFC 1035 section 2.3.4.
    package static let labelBytesMax = 63

    /// The name in lower case, or nil when the bytes are none.
    ///
    /// Letters, digits, hyphens inside labels, and underscores, which names in the wild have; the last label
    /// is not all digits, so that no address passes for a name.
    package static func parse(_ bytes: Span<UInt8>) -> String? {
        guard bytes.count > 0, bytes.count <= bytesMax else { return nil }
        var labelStart = 0
        var isNumeric = true
        for index in 0..<bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "."):
                guard isLabel(bytes, labelStart, index) else { return nil }
                labelStart = index + 1
                isNumeric = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): continue
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                isNumeric = false
            default: return nil
            }
        }
        guard isLabel(bytes, labelStart, bytes.count), !isNumeric else { return nil }
        return lowercased(bytes)
    }

    private static func isLabel(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        end > start && end - start <= labelBytesMax
            && bytes[start] != UInt8(ascii: "-") && bytes[end - 1] != UInt8(ascii: "-")
    }

    private static func lowercased(_ bytes: Span<UInt8>) -> String {
        var folded: [UInt8] = []
        folded.reserveCapacity(bytes.count)
        for index in 0..<bytes.count {
            let byte = bytes[index]
            let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
            folded.append(isUpper ? byte | 0x20 : byte)
        }
        return String(decoding: folded, as: UTF8.self)
    }
}
