// Varints (LEB128, 7 bits a byte, low group first) and zigzag, as protocol buffers use them. The reader
// checks every length against what is left: corrupt bytes are an error, never a crash.

/// Why stored bytes were refused.
public enum CodecError: Error, Equatable, Sendable {
    case truncated
    case varintTooLong
    case unknownVersion(UInt8)
    case valueOutOfRange
    case checksumMismatch
    case totalsMismatch
    case trailingBytes
}

/// Appends packed integers to bytes.
public struct ByteWriter: Sendable {
    /// What was written.
    public var bytes: [UInt8]

    /// An empty writer.
    public init() { bytes = [] }

    /// Continues after `bytes`.
    public init(continuing bytes: [UInt8]) { self.bytes = bytes }

    /// One byte.
    @inlinable
    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// One to ten bytes.
    @inlinable
    public mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// A varint of the zigzag of `value`: small magnitudes are short, whatever their sign.
    @inlinable
    public mutating func zigzag(_ value: Int64) {
        varint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
    }

    /// Eight bytes, low first.
    public mutating func fixed64(_ value: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// A length and that many bytes.
    public mutating func text(_ value: String) {
        varint(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }
}

/// Reads what `ByteWriter` wrote.
public struct ByteReader: Sendable {
    @usableFromInline let bytes: [UInt8]
    /// Offset of the next byte.
    public var offset: Int
    /// Offset after the last byte to read.
    public let end: Int

    /// Reads `bytes` from `offset` up to `end`, or all of them.
    public init(_ bytes: [UInt8], from offset: Int = 0, to end: Int? = nil) {
        self.bytes = bytes
        self.end = min(max(0, end ?? bytes.count), bytes.count)
        self.offset = max(0, offset)
    }

    /// Whether everything was read.
    public var isAtEnd: Bool { offset >= end }

    /// The next byte.
    @inlinable
    public mutating func byte() throws(CodecError) -> UInt8 {
        guard offset < end else { throw .truncated }
        offset += 1
        return bytes[offset - 1]
    }

    /// The next varint.
    @inlinable
    public mutating func varint() throws(CodecError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard offset < end else { throw .truncated }
            let byte = bytes[offset]
            offset += 1
            if shift == 63, byte > 1 { throw .varintTooLong }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    /// The next zigzag varint.
    @inlinable
    public mutating func zigzag() throws(CodecError) -> Int64 {
        let raw = try varint()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// A varint that must not exceed `limit`.
    public mutating func count(max limit: Int) throws(CodecError) -> Int {
        let raw = try varint()
        guard raw <= UInt64(limit) else { throw .valueOutOfRange }
        return Int(raw)
    }

    /// Eight bytes, low first.
    public mutating func fixed64() throws(CodecError) -> UInt64 {
        guard end - offset >= 8 else { throw .truncated }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(index * 8) }
        offset += 8
        return value
    }

    /// A length and that many bytes; bytes that are not UTF-8 are replaced.
    public mutating func text() throws(CodecError) -> String {
        let length = try count(max: end - offset)
        defer { offset += length }
        return String(decoding: bytes[offset..<offset + length], as: UTF8.self)
    }
}
