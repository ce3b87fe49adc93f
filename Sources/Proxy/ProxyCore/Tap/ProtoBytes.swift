// Writing protobuf by hand: events are encoded where they happen, on the data plane's loops, and a generated
// message would cost a tree of objects for each. Fields that hold their default are left out, as proto3 does.

import NIOCore

/// The few wire types that events need.
enum ProtoBytes {
    enum WireType: UInt64 {
        case varint = 0
        case fixed64 = 1
        case bytes = 2
        case fixed32 = 5
    }

    static func writeVarint(_ value: UInt64, to buffer: inout ByteBuffer) {
        var rest = value
        while rest >= 0x80 {
            buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.writeInteger(UInt8(truncatingIfNeeded: rest))
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

    /// A nested message, present even when it is empty.
    static func write(message: ByteBuffer, field: UInt64, to buffer: inout ByteBuffer) {
        writeTag(field, .bytes, to: &buffer)
        writeVarint(UInt64(message.readableBytes), to: &buffer)
        buffer.writeImmutableBuffer(message)
    }

    /// `google.protobuf.Duration`.
    static func write(nanoseconds: UInt64, field: UInt64, to buffer: inout ByteBuffer) {
        var duration = ByteBuffer()
        write(nanoseconds / 1_000_000_000, field: 1, to: &duration)
        write(nanoseconds % 1_000_000_000, field: 2, to: &duration)
        write(message: duration, field: field, to: &buffer)
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
