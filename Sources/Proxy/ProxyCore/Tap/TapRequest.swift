package import NIOCore

/// The head of one request as taps see it: bytes in one buffer that is used again for the next.
///
/// Filled by the protocol handlers and only when somebody taps. `begin` first, then the parts in any order.
package struct TapRequest: ~Copyable {
    private var bytes = ByteBuffer()
    /// The buffer that is used again, while `bytes` is somebody else's.
    private var own: ByteBuffer?
    package private(set) var method: Range<Int> = 0..<0
    /// Empty when the request names none.
    package private(set) var scheme: Range<Int> = 0..<0
    package private(set) var authority: Range<Int> = 0..<0
    /// Without the query.
    package private(set) var path: Range<Int> = 0..<0

    package init() {}

    /// Forgets the request before.
    package mutating func begin() {
        bytes.clear()
        method = 0..<0
        scheme = 0..<0
        authority = 0..<0
        path = 0..<0
    }

    /// Takes every part out of a buffer that holds the head as it came: nothing is copied.
    ///
    /// - Parameter head: kept until `end`; ranges count from its first readable byte.
    package mutating func borrow(
        _ head: ByteBuffer, method: Range<Int>, scheme: Range<Int>, authority: Range<Int>, target: Range<Int>
    ) {
        if own == nil { own = bytes }
        bytes = head
        (self.method, self.scheme, self.authority) = (method, scheme, authority)
        path = target.lowerBound..<Self.end(of: target, in: bytes)
    }

    /// Gives back what was borrowed.
    package mutating func end() {
        guard let own else { return }
        bytes = own
        self.own = nil
    }

    /// Takes one part; `write` appends its bytes to the buffer.
    package mutating func setMethod(_ write: (inout ByteBuffer) -> Void) { method = append(write) }
    package mutating func setScheme(_ write: (inout ByteBuffer) -> Void) { scheme = append(write) }
    package mutating func setAuthority(_ write: (inout ByteBuffer) -> Void) { authority = append(write) }

    /// Takes the path, and leaves its query out.
    package mutating func setPath(_ write: (inout ByteBuffer) -> Void) {
        let whole = append(write)
        path = whole.lowerBound..<Self.end(of: whole, in: bytes)
    }

    private static func end(of target: Range<Int>, in bytes: ByteBuffer) -> Int {
        let view = bytes.readableBytesUInt8Span
        var end = target.lowerBound
        while end < target.upperBound, view[end] != UInt8(ascii: "?") { end += 1 }
        return end
    }

    private mutating func append(_ write: (inout ByteBuffer) -> Void) -> Range<Int> {
        let start = bytes.readableBytes
        write(&bytes)
        return start..<bytes.readableBytes
    }

    /// Whether the part has exactly these bytes.
    func equals(_ range: Range<Int>, _ other: [UInt8]) -> Bool {
        guard range.count == other.count else { return false }
        let view = bytes.readableBytesUInt8Span
        for index in 0..<other.count where view[range.lowerBound + index] != other[index] { return false }
        return true
    }

    /// Whether the part is spelt so.
    func equals(_ range: Range<Int>, _ text: String) -> Bool {
        guard range.count == text.utf8.count else { return false }
        let view = bytes.readableBytesUInt8Span
        var index = range.lowerBound
        for byte in text.utf8 {
            if view[index] != byte { return false }
            index += 1
        }
        return true
    }

    /// The part, sharing the buffer.
    func slice(_ range: Range<Int>) -> ByteBufferView {
        // The ranges lie inside the buffer by construction.
        bytes.viewBytes(at: bytes.readerIndex + range.lowerBound, length: range.count) ?? ByteBufferView()
    }
}

/// Header fields to be shown, in order. Built only when a tap that matched asked for them.
package struct TapFields {
    /// Each field encoded as `http_types.Headers.headers`, ready to be copied into an event.
    private(set) var encoded: [UInt8] = []

    package init() {}

    /// Adds one field. The name is written in lower case, as HTTP/2 spells names; the value as it is.
    package mutating func append(name: some Collection<UInt8>, value: some Collection<UInt8>) {
        var field: [UInt8] = []
        field.reserveCapacity(name.count + value.count + 12)
        ProtoBytes.writeTag(1, .bytes, to: &field)
        ProtoBytes.writeVarint(UInt64(name.count), to: &field)
        for byte in name { field.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) }
        ProtoBytes.write(text: value, field: 2, to: &field)
        ProtoBytes.write(message: field, field: 1, to: &encoded)
    }
}
