// The transport header: what a proxy says about a connection, right behind the TLS handshake, to the proxy at the other
// end that was dialled on its own port. Bytes: the protocol's name and two line ends, a length, a protobuf message.
//
// The message's three fields are read and written by hand. Unknown fields are skipped, the last of equal fields counts,
// as protobuf demands. Source: `spec/proxy.md` 1.7; protobuf's encoding specification.

/// Where a connection between two proxies is meant to go.
package struct TransportHeader: Equatable, Sendable {
    /// What the connection carries.
    package enum SessionProtocol: Equatable, Sendable { case http1, http2 }

    /// The ALPN name under which proxies agree to send it.
    package static let alpn = "transport.l5d.io/v1"
    /// Bytes before the message: the name, two line ends, and the length.
    static let prefix = Array("\(alpn)\r\n\r\n".utf8)
    /// The longest header taken, prefix and length included.
    package static let bytesMax = 65_536

    /// The port the client meant.
    package var port: UInt16
    /// The name the client meant, lower case; `nil` for the workload that the receiving proxy stands beside.
    package var name: String?
    /// `nil` for bytes that are nobody's business.
    package var sessionProtocol: SessionProtocol?

    package init(port: UInt16, name: String? = nil, sessionProtocol: SessionProtocol? = nil) {
        self.port = port
        self.name = name
        self.sessionProtocol = sessionProtocol
    }

    /// The whole header as it is sent.
    package var encoded: [UInt8] {
        var message: [UInt8] = [1 << 3]
        Self.append(varint: UInt64(port), to: &message)
        if let name, !name.isEmpty {
            let bytes = Array(name.utf8)
            message.append(2 << 3 | 2)
            Self.append(varint: UInt64(bytes.count), to: &message)
            message += bytes
        }
        switch sessionProtocol {
        case .http1: message += [3 << 3 | 2, 2, 1 << 3 | 2, 0]
        case .http2: message += [3 << 3 | 2, 2, 2 << 3 | 2, 0]
        case nil: break
        }
        let count = UInt32(message.count)
        let length = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
        return Self.prefix + length + message
    }

    private static func append(varint value: UInt64, to bytes: inout [UInt8]) {
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }
}

/// Why bytes are no transport header.
package enum TransportHeaderError: String, Error, Sendable, CaseIterable {
    case missing = "Connection did not include a transport header"
    case tooLong = "transport header too long"
    case malformed = "malformed transport header"
    case badPort = "transport header without a port"
    case badName = "transport header with a bad name"
}

extension TransportHeader {
    /// Reads a header at the start of `bytes`.
    ///
    /// - Returns: the header and its length in bytes; `nil` when `bytes` end before it does.
    /// - Throws: as soon as the bytes cannot become one.
    package static func parse(_ bytes: Span<UInt8>) throws(TransportHeaderError) -> (header: Self, byteCount: Int)? {
        for offset in 0..<min(prefix.count, bytes.count) where bytes[offset] != prefix[offset] { throw .missing }
        let start = prefix.count + 4
        guard bytes.count >= start else { return nil }
        var length = 0
        for offset in prefix.count..<start { length = length << 8 | Int(bytes[offset]) }
        guard length <= bytesMax - start else { throw .tooLong }
        guard bytes.count >= start + length else { return nil }
        return (try message(bytes.extracting(start..<start + length)), start + length)
    }

    private static func message(_ bytes: Span<UInt8>) throws(TransportHeaderError) -> TransportHeader {
        var reader = FieldReader(offset: 0, end: bytes.count)
        var port: UInt64 = 0
        var name: Range<Int> = 0..<0
        var session: SessionProtocol?
        while let field = try reader.next(bytes) {
            switch (field.number, field.value) {
            case (1, .varint(let value)): port = value
            case (2, .bytes(let range)): name = range
            case (3, .bytes(let range)): session = try sessionProtocol(bytes, range) ?? session
            case (1...3, _): throw .malformed
            default: break
            }
        }
        guard let port = UInt16(exactly: port), port > 0 else { throw .badPort }
        guard !name.isEmpty else { return TransportHeader(port: port, sessionProtocol: session) }
        let hasDot = bytes[name.upperBound - 1] == UInt8(ascii: ".")
        let text = bytes.extracting(name.lowerBound..<name.upperBound - (hasDot ? 1 : 0))
        guard let name = DNSName.parse(text) else { throw .badName }
        return TransportHeader(port: port, name: name, sessionProtocol: session)
    }

    private static func sessionProtocol(
        _ bytes: Span<UInt8>, _ range: Range<Int>
    ) throws(TransportHeaderError) -> SessionProtocol? {
        var reader = FieldReader(offset: range.lowerBound, end: range.upperBound)
        var session: SessionProtocol?
        while let field = try reader.next(bytes) {
            switch (field.number, field.value) {
            case (1, .bytes): session = .http1
            case (2, .bytes): session = .http2
            case (1...2, _): throw .malformed
            default: break
            }
        }
        return session
    }
}

/// Reads the fields of one protobuf message.
private struct FieldReader {
    enum Value {
        case varint(UInt64)
        case bytes(Range<Int>)
        case fixed
    }

    var offset: Int
    let end: Int

    mutating func next(_ bytes: Span<UInt8>) throws(TransportHeaderError) -> (number: UInt64, value: Value)? {
        guard offset < end else { return nil }
        let tag = try varint(bytes)
        guard tag >> 3 > 0 else { throw .malformed }
        switch tag & 7 {
        case 0: return (tag >> 3, .varint(try varint(bytes)))
        case 1: return (tag >> 3, try skip(8))
        case 2:
            let length = try varint(bytes)
            guard length <= UInt64(end - offset) else { throw .malformed }
            let start = offset
            offset += Int(length)
            return (tag >> 3, .bytes(start..<offset))
        case 5: return (tag >> 3, try skip(4))
        default: throw .malformed
        }
    }

    private mutating func skip(_ count: Int) throws(TransportHeaderError) -> Value {
        guard end - offset >= count else { throw .malformed }
        offset += count
        return .fixed
    }

    private mutating func varint(_ bytes: Span<UInt8>) throws(TransportHeaderError) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            guard offset < end else { throw .malformed }
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte < 0x80 { return value }
        }
        throw .malformed
    }
}
