// Writing protobuf by hand: events are encoded where they happen, on the data plane's loops, and a generated
// message would cost a tree of objects for each. Everything goes into one buffer; a nested message begins with room for
// its length, which is filled in when it ends. Fields that hold their default are left out, as proto3 does.

import NIOCore

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

    /// As few writes as may be: each asks the buffer for room.
    @inline(__always)
    static func writeVarint(_ value: UInt64, to buffer: inout ByteBuffer) {
        switch value {
        case 0..<0x80: buffer.writeInteger(UInt8(truncatingIfNeeded: value))
        case 0x80..<0x4000:
            buffer.writeInteger(UInt16(truncatingIfNeeded: value & 0x7F | 0x80 | (value >> 7) << 8), endianness: .little)
        case 0x4000..<0x20_0000:
            let low = UInt16(truncatingIfNeeded: value & 0x7F | (value >> 7 & 0x7F) << 8 | 0x8080)
            buffer.writeMultipleIntegers(low, UInt8(truncatingIfNeeded: value >> 14), endianness: .little)
        case 0x20_0000..<0x1000_0000: buffer.writeInteger(fourBytes(value) & 0x7FFF_FFFF, endianness: .little)
        default:
            buffer.writeInteger(fourBytes(value), endianness: .little)
            writeLongVarint(value >> 28, to: &buffer)
        }
    }

    private static func writeLongVarint(_ value: UInt64, to buffer: inout ByteBuffer) {
        var rest = value
        while rest >= 0x80 {
            buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    /// The lowest 28 bits as four bytes of a varint, each saying that another follows.
    @inline(__always)
    private static func fourBytes(_ value: UInt64) -> UInt32 {
        let spread = value & 0x7F | (value >> 7 & 0x7F) << 8 | (value >> 14 & 0x7F) << 16 | (value >> 21 & 0x7F) << 24
        return UInt32(truncatingIfNeeded: spread | 0x8080_8080)
    }

    static func writeTag(_ field: UInt64, _ type: WireType, to buffer: inout ByteBuffer) {
        writeVarint(field << 3 | type.rawValue, to: &buffer)
    }

    /// Leaves zero out.
    static func write(_ value: UInt64, field: UInt64, to buffer: inout ByteBuffer) {
        guard value != 0 else { return }
        writePresent(value, field: field, to: &buffer)
    }

    /// Writes zero too: a member of a oneof is present even then.
    static func writePresent(_ value: UInt64, field: UInt64, to buffer: inout ByteBuffer) {
        if value < 0x80, field < 16 {
            buffer.writeInteger(UInt16(truncatingIfNeeded: field << 3 | value << 8), endianness: .little)
            return
        }
        writeTag(field, .varint, to: &buffer)
        writeVarint(value, to: &buffer)
    }

    static func write(bytes: some Collection<UInt8>, field: UInt64, to buffer: inout ByteBuffer) {
        guard !bytes.isEmpty else { return }
        writeTag(field, .bytes, to: &buffer)
        writeVarint(UInt64(bytes.count), to: &buffer)
        buffer.writeBytes(bytes)
    }

    /// Writes an empty text too.
    static func writePresent(text: ByteBuffer, field: UInt64, to buffer: inout ByteBuffer) {
        write(message: text, field: field, to: &buffer)
    }

    /// Leaves an empty text out.
    static func write(text: ByteBuffer, field: UInt64, to buffer: inout ByteBuffer) {
        if text.readableBytes > 0 { write(message: text, field: field, to: &buffer) }
    }

    /// A nested message that was encoded before, present even when it is empty.
    static func write(message: ByteBuffer, field: UInt64, to buffer: inout ByteBuffer) {
        writeTag(field, .bytes, to: &buffer)
        writeVarint(UInt64(message.readableBytes), to: &buffer)
        buffer.writeImmutableBuffer(message)
    }

    /// A nested message that `body` writes, shorter than `nestedBytesMax`; the field's number is below 16.
    ///
    /// Its length is written with four bytes even where one would do, which every reader of varints takes.
    @inline(__always)
    static func nest(_ field: UInt8, in buffer: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void) {
        buffer.writeMultipleIntegers(field << 3 | 2, UInt32(0))
        let start = buffer.writerIndex
        body(&buffer)
        let length = buffer.writerIndex - start
        precondition(length < nestedBytesMax, "a nested message has a bound")
        buffer.setInteger(fourBytes(UInt64(length)) & 0x7FFF_FFFF, at: start - 4, endianness: .little)
    }

    /// A nested message of less than 128 bytes: numbers only.
    @inline(__always)
    static func nestShort(_ field: UInt64, in buffer: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void) {
        writeTag(field, .bytes, to: &buffer)
        buffer.writeInteger(UInt8(0))
        let start = buffer.writerIndex
        body(&buffer)
        buffer.setInteger(UInt8(truncatingIfNeeded: buffer.writerIndex - start), at: start - 1)
    }

    /// `google.protobuf.Duration`.
    static func write(nanoseconds: UInt64, field: UInt64, to buffer: inout ByteBuffer) {
        nestShort(field, in: &buffer) { buffer in
            write(nanoseconds / 1_000_000_000, field: 1, to: &buffer)
            write(nanoseconds % 1_000_000_000, field: 2, to: &buffer)
        }
    }

    /// `map<string, string>`, sorted so that equal maps have equal bytes.
    static func write(map: [String: String], field: UInt64, to buffer: inout ByteBuffer) {
        for (key, value) in map.sorted(by: { $0.key < $1.key }) {
            var entry = ByteBuffer()
            write(bytes: key.utf8, field: 1, to: &entry)
            write(bytes: value.utf8, field: 2, to: &entry)
            write(message: entry, field: field, to: &buffer)
        }
    }
}
