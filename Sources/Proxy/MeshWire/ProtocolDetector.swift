// Decides from the first bytes of a connection what it speaks.
//
// The rule is Linkerd's: whatever the first read returned decides, and there is no second read, so that a
// client which sends little and then waits is never kept waiting. Source: `spec/proxy.md` 1.5.

/// What a connection carries.
package enum WireProtocol: String, Sendable, CaseIterable {
    case http1 = "http/1"
    case http2 = "http/2"
    case opaque
}

/// One-read protocol detection.
package enum ProtocolDetector {
    /// Fewer bytes than this are never HTTP: the length of the HTTP/2 preface's first line.
    package static let prefixBytesMin = 14
    /// Bytes looked at; a longer first read is judged by its beginning.
    package static let prefixBytesMax = 1_024
    /// A longer method is not HTTP.
    package static let methodBytesMax = 32

    /// Judges the bytes of the first read.
    ///
    /// HTTP/1 needs a request line that is valid as far as it goes; field lines are the HTTP/1 parser's to
    /// judge, so that a malformed head is answered 400 instead of slipping through as opaque bytes.
    package static func detect(_ bytes: Span<UInt8>) -> WireProtocol {
        let count = min(bytes.count, prefixBytesMax)
        guard count >= prefixBytesMin else { return .opaque }
        if isHTTP2Preface(bytes) { return .http2 }
        return isRequestLine(bytes, count: count) ? .http1 : .opaque
    }

    private static func isHTTP2Preface(_ bytes: Span<UInt8>) -> Bool {
        packed(bytes, at: 0, count: 8) == word("P", "R", "I", " ", "*", " ", "H", "T")
            && packed(bytes, at: 8, count: 4) == word("T", "P", "/", "2")
            && bytes[12] == UInt8(ascii: ".") && bytes[13] == UInt8(ascii: "0")
    }

    private static func isRequestLine(_ bytes: Span<UInt8>, count: Int) -> Bool {
        var offset = 0
        // RFC 9112 section 2.2: empty lines before a request line are ignored.
        while offset + 1 < count, bytes[offset] == carriageReturn, bytes[offset + 1] == lineFeed {
            offset += 2
        }
        let methodStart = offset
        while offset < count, ByteClass.isToken(bytes[offset]) { offset += 1 }
        guard offset > methodStart, offset - methodStart <= methodBytesMax else { return false }
        guard offset < count else { return true }
        guard bytes[offset] == 0x20 else { return false }
        offset += 1
        let targetStart = offset
        while offset < count, ByteClass.isTarget(bytes[offset]) { offset += 1 }
        guard offset < count else { return true }
        guard bytes[offset] == 0x20, offset > targetStart else { return false }
        offset += 1
        let version = "HTTP/1.".utf8
        for expected in version {
            guard offset < count else { return true }
            guard bytes[offset] == expected else { return false }
            offset += 1
        }
        guard offset < count else { return true }
        guard bytes[offset] == UInt8(ascii: "0") || bytes[offset] == UInt8(ascii: "1") else { return false }
        offset += 1
        return offset == count || bytes[offset] == carriageReturn
    }
}
