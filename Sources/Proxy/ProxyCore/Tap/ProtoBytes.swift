// Writing protobuf by hand: events are encoded where they happen, on the data plane's loops, and a generated
// message would cost a tree of objects for each. Everything goes into one array, whose appends the compiler opens up to a
// check and a store; a nested message begins with room for its length, which is filled in when it ends. Fields that hold their
// default are left out, as proto3 does.

/// The few wire types that events need.
enum ProtoBytes {
    enum WireType: UInt64 {
        case varint = 0
        case fixed64 = 1
        case bytes = 2
        case fixed32 = 5
    }

    /// Bytes of a nested message at most: its length is written with four bytes, which hold 28 bits. A head is at most
    /// 64 KiB, and its fields grow by less than half when they are encoded.
    static let nestedBytesMax = 1 << 28

    @inline(__always)
    static func writeVarint(_ value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    static func writeTag(_ field: UInt64, _ type: WireType, to bytes: inout [UInt8]) {
        writeVarint(field << 3 | type.rawValue, to: &bytes)
    }

    /// Leaves zero out.
    @inline(__always)
    static func write(_ value: UInt64, field: UInt64, to bytes: inout [UInt8]) {
        guard value != 0 else { return }
        writePresent(value, field: field, to: &bytes)
    }

    /// Writes zero too: a member of a oneof is present even then.
    @inline(__always)
    static func writePresent(_ value: UInt64, field: UInt64, to bytes: inout [UInt8]) {
        writeTag(field, .varint, to: &bytes)
        writeVarint(value, to: &bytes)
    }

    /// Leaves an empty text out.
    @inline(__always)
    static func write(text: some Collection<UInt8>, field: UInt64, to bytes: inout [UInt8]) {
        if !text.isEmpty { write(message: text, field: field, to: &bytes) }
    }

    /// A text, or a nested message that was encoded before; present even when it is empty.
    @inline(__always)
    static func write(message: some Collection<UInt8>, field: UInt64, to bytes: inout [UInt8]) {
        writeTag(field, .bytes, to: &bytes)
        writeVarint(UInt64(message.count), to: &bytes)
        bytes.append(contentsOf: message)
    }

    /// A nested message that `body` writes, shorter than `nestedBytesMax`; the field's number is below 16.
    ///
    /// Its length is written with four bytes even where one would do, which every reader of varints takes.
    @inline(__always)
    static func nest(_ field: UInt8, in bytes: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
        bytes.append(field << 3 | 2)
        let start = bytes.count + 4
        for _ in 0..<4 { bytes.append(0) }
        body(&bytes)
        let length = bytes.count - start
        precondition(length < nestedBytesMax, "a nested message has a bound")
        bytes[start - 4] = UInt8(truncatingIfNeeded: length) | 0x80
        bytes[start - 3] = UInt8(truncatingIfNeeded: length >> 7) | 0x80
        bytes[start - 2] = UInt8(truncatingIfNeeded: length >> 14) | 0x80
        bytes[start - 1] = UInt8(truncatingIfNeeded: length >> 21)
    }

    /// A nested message of less than 128 bytes: numbers only.
    @inline(__always)
    static func nestShort(_ field: UInt64, in bytes: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
        writeTag(field, .bytes, to: &bytes)
        bytes.append(0)
        let start = bytes.count
        body(&bytes)
        bytes[start - 1] = UInt8(truncatingIfNeeded: bytes.count - start)
    }

    /// `google.protobuf.Duration`.
    static func write(nanoseconds: UInt64, field: UInt64, to bytes: inout [UInt8]) {
        nestShort(field, in: &bytes) { bytes in
            write(nanoseconds / 1_000_000_000, field: 1, to: &bytes)
            write(nanoseconds % 1_000_000_000, field: 2, to: &bytes)
        }
    }

    /// `map<string, string>`, sorted so that equal maps have equal bytes.
    static func write(map: [String: String], field: UInt64, to bytes: inout [UInt8]) {
        for (key, value) in map.sorted(by: { $0.key < $1.key }) {
            var entry: [UInt8] = []
            write(text: key.utf8, field: 1, to: &entry)
            write(text: value.utf8, field: 2, to: &entry)
            write(message: entry, field: field, to: &bytes)
        }
    }
}
