// Byte classes as bit sets: one shift and one mask per byte, no table in memory.

/// Classes of bytes in HTTP/1 heads.
package enum ByteClass {
    /// `tchar` of RFC 9110 section 5.6.2: methods and field names.
    @inline(__always)
    package static func isToken(_ byte: UInt8) -> Bool {
        contains(byte, low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE)
    }

    /// Bytes of a host with an optional port: unreserved, sub-delims, percent, colon and brackets (RFC 3986
    /// section 3.2.2). No `@`, so no user information, and no comma.
    @inline(__always)
    package static func isHost(_ byte: UInt8) -> Bool {
        contains(byte, low: 0x2FFF_6FF2_0000_0000, high: 0x47FF_FFFE_AFFF_FFFE)
    }

    /// Visible bytes of a request target; bytes above ASCII pass, as many applications send them raw.
    @inline(__always)
    package static func isTarget(_ byte: UInt8) -> Bool { byte > 0x20 && byte != 0x7F }

    /// Bytes of a field value: visible ones, space, tab, and anything above ASCII.
    @inline(__always)
    package static func isFieldValue(_ byte: UInt8) -> Bool { (byte >= 0x20 && byte != 0x7F) || byte == 0x09 }

    // Whole spans: code of other modules would make a call for every byte.

    /// Whether all bytes may stand in a method or a field name, and there is one.
    package static func isToken(_ bytes: Span<UInt8>) -> Bool {
        for index in bytes.indices where !isToken(bytes[index]) { return false }
        return !bytes.isEmpty
    }

    /// Whether all bytes may stand in a host with an optional port, and there is one.
    package static func isHost(_ bytes: Span<UInt8>) -> Bool {
        for index in bytes.indices where !isHost(bytes[index]) { return false }
        return !bytes.isEmpty
    }

    /// Whether all bytes may stand in a request target, and there is one.
    package static func isTarget(_ bytes: Span<UInt8>) -> Bool {
        var isValid = true
        for index in bytes.indices { isValid = isTarget(bytes[index]) && isValid }
        return isValid && !bytes.isEmpty
    }

    /// Whether all bytes may stand in a field value. None may be there.
    package static func isFieldValue(_ bytes: Span<UInt8>) -> Bool {
        // Without a way out in the middle, so that many bytes are looked at in one instruction.
        var isValid = true
        for index in bytes.indices { isValid = isFieldValue(bytes[index]) && isValid }
        return isValid
    }

    /// Space or tab.
    @inline(__always)
    package static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Decimal digit's value, or `nil`.
    @inline(__always)
    package static func decimal(_ byte: UInt8) -> UInt64? {
        let value = byte &- UInt8(ascii: "0")
        return value < 10 ? UInt64(value) : nil
    }

    /// Hexadecimal digit's value, or `nil`.
    @inline(__always)
    package static func hexadecimal(_ byte: UInt8) -> UInt64? {
        if let digit = decimal(byte) { return digit }
        let value = (byte | 0x20) &- UInt8(ascii: "a")
        return value < 6 ? UInt64(value) + 10 : nil
    }

    @inline(__always)
    private static func contains(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
        switch byte >> 6 {
        case 0: (low >> UInt64(byte)) & 1 == 1
        case 1: (high >> UInt64(byte & 63)) & 1 == 1
        default: false
        }
    }
}

let carriageReturn = UInt8(ascii: "\r")
let lineFeed = UInt8(ascii: "\n")

/// Up to eight bytes, lower-cased and packed, so that a field name is compared in one or two words.
@inline(__always)
func folded(_ bytes: Span<UInt8>, at start: Int, count: Int) -> UInt64 {
    var word: UInt64 = 0
    for offset in 0..<count { word |= UInt64(bytes[start + offset] | 0x20) << UInt64(8 * offset) }
    return word
}

/// Up to eight bytes, packed as they are.
@inline(__always)
func packed(_ bytes: Span<UInt8>, at start: Int, count: Int) -> UInt64 {
    var word: UInt64 = 0
    for offset in 0..<count { word |= UInt64(bytes[start + offset]) << UInt64(8 * offset) }
    return word
}

/// Packs literal characters as `folded` and `packed` do; constant-folds.
@inline(__always)
func word(
    _ a: Unicode.Scalar, _ b: Unicode.Scalar, _ c: Unicode.Scalar = "\0", _ d: Unicode.Scalar = "\0",
    _ e: Unicode.Scalar = "\0", _ f: Unicode.Scalar = "\0", _ g: Unicode.Scalar = "\0",
    _ h: Unicode.Scalar = "\0"
) -> UInt64 {
    let low = UInt64(UInt8(ascii: a)) | UInt64(UInt8(ascii: b)) << 8 | UInt64(UInt8(ascii: c)) << 16
    let middle = UInt64(UInt8(ascii: d)) << 24 | UInt64(UInt8(ascii: e)) << 32 | UInt64(UInt8(ascii: f)) << 40
    return low | middle | UInt64(UInt8(ascii: g)) << 48 | UInt64(UInt8(ascii: h)) << 56
}
