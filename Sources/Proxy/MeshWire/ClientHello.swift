// Looks at the first bytes of a connection for a TLS ClientHello and the server name in it, taking nothing.
//
// Source: `spec/proxy.md` 1.5; RFC 8446 sections 4.1.2 and 5.1; RFC 6066 section 3. The proxy ends TLS only
// when the name is its own, so all other bytes must pass as they came. Decided here: is this a ClientHello
// that lies whole inside one record, and which name does it ask for. Not decided: whether the handshake can
// succeed; that is OpenSSL's to judge, on the same bytes again.

/// What the bytes so far show.
package enum ClientHelloPeek: Equatable, Sendable {
    /// Could still be a ClientHello: read more, unless `ClientHello.bytesMax` were read or none will come.
    case incomplete
    /// Not TLS, or TLS without a valid server name: forward it as it is.
    case notTLS
    /// A whole ClientHello for this name, in lower case.
    case serverName(String)
}

/// The ClientHello peek: pure, over bytes.
package enum ClientHello {
    /// What the first look takes.
    package static let prefixBytes = 512
    /// A ClientHello longer than this is not looked at any further.
    package static let bytesMax = 8_192

    private static let recordHeaderBytes = 5
    private static let handshakeHeaderBytes = 4

    /// Judges the bytes read so far.
    ///
    /// - Complexity: O(bytes) once they are whole, O(1) before; allocates the name only.
    package static func peek(_ bytes: Span<UInt8>) -> ClientHelloPeek {
        guard isHeader(bytes) else { return .notTLS }
        guard bytes.count >= recordHeaderBytes else { return .incomplete }
        let recordBytes = Int(bytes[3]) << 8 | Int(bytes[4])
        let end = recordHeaderBytes + recordBytes
        guard recordBytes > handshakeHeaderBytes, end <= bytesMax else { return .notTLS }
        guard bytes.count >= recordHeaderBytes + handshakeHeaderBytes else { return .incomplete }
        let helloBytes = Int(bytes[6]) << 16 | Int(bytes[7]) << 8 | Int(bytes[8])
        guard helloBytes + handshakeHeaderBytes == recordBytes else { return .notTLS }
        guard bytes.count >= end else { return .incomplete }
        var reader = ByteReader(start: recordHeaderBytes + handshakeHeaderBytes, end: end)
        guard let name = serverName(bytes, &reader) else { return .notTLS }
        return .serverName(name)
    }

    /// Whether the bytes, as far as they go, begin a handshake record with a ClientHello.
    private static func isHeader(_ bytes: Span<UInt8>) -> Bool {
        if bytes.count > 0, bytes[0] != 22 { return false }
        if bytes.count > 1, bytes[1] != 3 { return false }
        if bytes.count > 2, bytes[2] != 1, bytes[2] != 3 { return false }
        if bytes.count > recordHeaderBytes, bytes[recordHeaderBytes] != 1 { return false }
        return true
    }

    private static func serverName(_ bytes: Span<UInt8>, _ reader: inout ByteReader) -> String? {
        guard reader.skip(2 + 32),  // legacy_version, random
            let session = reader.vector8(bytes), session.count <= 32,
            let suites = reader.vector16(bytes), suites.count >= 2, suites.count % 2 == 0,
            let compressions = reader.vector8(bytes), compressions.count >= 1,
            var extensions = reader.vector16(bytes), reader.isAtEnd
        else { return nil }
        var name: String?
        while !extensions.isAtEnd {
            guard let type = extensions.number16(bytes), var content = extensions.vector16(bytes) else {
                return nil
            }
            guard type == 0 else { continue }  // server_name
            // RFC 8446 section 4.2: no extension comes twice.
            guard name == nil, let found = hostName(bytes, &content) else { return nil }
            name = found
        }
        return name
    }

    /// The only entry of a `ServerNameList`; RFC 6066 knows no type of name besides host_name.
    private static func hostName(_ bytes: Span<UInt8>, _ content: inout ByteReader) -> String? {
        guard var list = content.vector16(bytes), content.isAtEnd,
            list.number8(bytes) == 0, let name = list.vector16(bytes), list.isAtEnd
        else { return nil }
        return DNSName.parse(bytes.extracting(name.offset..<name.end))
    }
}

/// A cursor over part of some bytes; every read is checked against the end.
private struct ByteReader {
    private(set) var offset: Int
    let end: Int

    init(start: Int, end: Int) {
        offset = start
        self.end = end
    }

    var count: Int { end - offset }
    var isAtEnd: Bool { offset == end }

    mutating func skip(_ byteCount: Int) -> Bool {
        guard count >= byteCount else { return false }
        offset += byteCount
        return true
    }

    mutating func number8(_ bytes: Span<UInt8>) -> Int? {
        guard count >= 1 else { return nil }
        defer { offset += 1 }
        return Int(bytes[offset])
    }

    mutating func number16(_ bytes: Span<UInt8>) -> Int? {
        guard count >= 2 else { return nil }
        defer { offset += 2 }
        return Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
    }

    mutating func vector8(_ bytes: Span<UInt8>) -> ByteReader? { number8(bytes).flatMap { take($0) } }

    mutating func vector16(_ bytes: Span<UInt8>) -> ByteReader? { number16(bytes).flatMap { take($0) } }

    private mutating func take(_ byteCount: Int) -> ByteReader? {
        let start = offset
        return skip(byteCount) ? ByteReader(start: start, end: offset) : nil
    }
}
