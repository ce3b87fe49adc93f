// The head of an HTTP/1 request, parsed in place. Offsets are relative to the first byte given.

/// Request methods that a proxy treats differently.
package enum HTTP1Method: Sendable, Equatable {
    case get, head, put, delete, options, trace, connect, other

    /// Whether the request may be sent again after a failure (RFC 9110 section 9.2.2).
    package var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .connect, .other: false
        }
    }
}

/// Parses one request head after another; keeps its buffers between them. Not copied: a copy would count references to
/// them for every request.
package struct HTTP1RequestParser: ~Copyable {
    /// Method of the last parsed request.
    package private(set) var method: HTTP1Method = .other
    /// The method as it was spelt.
    package private(set) var methodText: Range<Int> = 0..<0
    /// The request target as it was spelt.
    package private(set) var target: Range<Int> = 0..<0
    /// Whether the request is HTTP/1.0.
    package private(set) var isHTTP10 = false
    /// Length of the head with its empty line.
    package private(set) var headBytes = 0
    /// Bytes of empty lines before the request line, to be dropped.
    package private(set) var leadingBytes = 0
    /// Host and port the request names, from an absolute target, a CONNECT target or `Host`; empty when it
    /// names none.
    package private(set) var authority: Range<Int> = 0..<0
    /// The scheme an absolute target names; empty in every other form.
    package private(set) var scheme: Range<Int> = 0..<0
    /// Where the request's body ends.
    package private(set) var framing: HTTP1Framing = .none

    private var fields: HTTP1Fields

    package init(rules: HTTP1FieldRules) {
        fields = HTTP1Fields(rules: rules)
    }

    /// Ranges of lines to leave out when the head travels on, ascending.
    package var removals: [Range<Int>] { fields.removals }
    /// Offset at which fields may be added.
    package var fieldsEnd: Int { fields.end }
    /// Walks the field lines that travel on.
    package var fieldCursor: HTTP1FieldCursor { HTTP1FieldCursor(from: fields.linesStart, to: fields.end) }
    /// Value of `l5d-dst-canonical`; empty when there is none.
    package var canonicalName: Range<Int> { fields.canonicalName }
    /// Value of `l5d-dst-override`, where the rules take it; empty when there is none.
    package var overrideName: Range<Int> { fields.overrideName }
    /// Value of `l5d-require-id`, where the rules take it; empty when there is none.
    package var requiredID: Range<Int> { fields.requiredID }
    /// Whether the request has a usable `Host`.
    package var hasHost: Bool { fields.hasHost }
    /// Whether the client wants another protocol than HTTP, and says so properly.
    package private(set) var wantsUpgrade = false

    /// Whether the client waits for `100 Continue` before it sends the body.
    package var expectsContinue: Bool { fields.expectsContinue }

    /// Whether the client can send another request on this connection.
    package var keepsConnection: Bool {
        isHTTP10 ? fields.connection.contains(.keepAlive) : !fields.connection.contains(.close)
    }

    /// Parses the head at the start of `bytes`.
    ///
    /// - Returns: `false` when `bytes` end before the head does.
    /// - Throws: when no other parser should be trusted to read these bytes alike; answer 400 and close.
    /// - Complexity: O(head); no allocation unless `Connection` names unusual fields.
    package mutating func parse(_ bytes: Span<UInt8>) throws(HTTP1ParseError) -> Bool {
        fields.reset()
        wantsUpgrade = false
        authority = 0..<0
        scheme = 0..<0
        var offset = 0
        while offset + 1 < bytes.count, bytes[offset] == carriageReturn, bytes[offset + 1] == lineFeed {
            offset += 2
        }
        leadingBytes = offset
        if offset + 1 == bytes.count, bytes[offset] == carriageReturn { return false }
        guard let lineEnd = try parseRequestLine(bytes, from: offset), try fields.scan(bytes, from: lineEnd)
        else {
            guard bytes.count - leadingBytes < HTTP1Limits.headBytesMax else { throw .headTooLong }
            return false
        }
        headBytes = fields.end + 2
        guard headBytes - leadingBytes <= HTTP1Limits.headBytesMax else { throw .headTooLong }
        try decideFraming()
        try decideUpgrade(bytes)
        if authority.isEmpty { authority = fields.host }
        return true
    }

    private mutating func parseRequestLine(_ bytes: Span<UInt8>, from start: Int) throws(HTTP1ParseError)
        -> Int?
    {
        var offset = start
        while offset < bytes.count, ByteClass.isToken(bytes[offset]) { offset += 1 }
        guard offset - start <= ProtocolDetector.methodBytesMax else { throw .badRequestLine }
        guard offset < bytes.count else { return nil }
        guard offset > start, bytes[offset] == 0x20 else { throw .badRequestLine }
        methodText = start..<offset
        method = Self.method(bytes, methodText)
        offset += 1
        let targetStart = offset
        while offset < bytes.count, ByteClass.isTarget(bytes[offset]) { offset += 1 }
        guard offset < bytes.count else { return nil }
        target = targetStart..<offset
        guard !target.isEmpty, bytes[offset] == 0x20 else { throw .badTarget }
        offset += 1
        guard offset + 10 <= bytes.count else { return nil }
        // As it is spelt: `folded` would take a control byte for the slash or the dot.
        guard packed(bytes, at: offset, count: 7) == word("H", "T", "T", "P", "/", "1", "."),
            bytes[offset + 7] == UInt8(ascii: "0") || bytes[offset + 7] == UInt8(ascii: "1")
        else { throw .badVersion }
        isHTTP10 = bytes[offset + 7] == UInt8(ascii: "0")
        guard bytes[offset + 8] == carriageReturn, bytes[offset + 9] == lineFeed else {
            throw .badRequestLine
        }
        try takeTarget(bytes)
        return offset + 10
    }

    private mutating func takeTarget(_ bytes: Span<UInt8>) throws(HTTP1ParseError) {
        let first = bytes[target.lowerBound]
        if method == .connect {
            guard !isHTTP10, HTTP1Fields.isHost(bytes, target) else { throw .badTarget }
            authority = target
            return
        }
        if first == UInt8(ascii: "/") { return }
        if first == UInt8(ascii: "*") {
            guard target.count == 1, method == .options else { throw .badTarget }
            return
        }
        // Absolute form: scheme "://" authority, then a path, a query or nothing.
        var offset = target.lowerBound
        while offset < target.upperBound, bytes[offset] != UInt8(ascii: ":") { offset += 1 }
        guard offset + 2 < target.upperBound, bytes[offset + 1] == UInt8(ascii: "/"),
            bytes[offset + 2] == UInt8(ascii: "/"), Self.isScheme(bytes, target.lowerBound..<offset)
        else { throw .badTarget }
        let start = offset + 3
        offset = start
        while offset < target.upperBound, bytes[offset] != UInt8(ascii: "/"),
            bytes[offset] != UInt8(ascii: "?")
        {
            offset += 1
        }
        guard offset > start, HTTP1Fields.isHost(bytes, start..<offset) else { throw .badTarget }
        scheme = target.lowerBound..<start - 3
        authority = start..<offset
    }

    /// RFC 3986 section 3.1; HTTP/2 takes nothing else.
    private static func isScheme(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for offset in range {
            switch bytes[offset] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): continue
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                guard offset > range.lowerBound else { return false }
            default: return false
            }
        }
        return !range.isEmpty
    }

    private mutating func decideFraming() throws(HTTP1ParseError) {
        if fields.hasTransferEncoding {
            guard !isHTTP10 else { throw .transferEncodingInHTTP10 }
            guard fields.contentLength == nil else { throw .contentLengthAndTransferEncoding }
            guard fields.isChunked else { throw .badTransferEncoding }
            framing = .chunked
        } else if let length = fields.contentLength, length > 0 {
            framing = .length(length)
        } else {
            framing = .none
        }
    }

    private mutating func decideUpgrade(_ bytes: Span<UInt8>) throws(HTTP1ParseError) {
        let asksUpgrade = fields.hasUpgrade && fields.connection.contains(.upgrade)
        wantsUpgrade = asksUpgrade && !fields.isH2CUpgrade && !isHTTP10
        if wantsUpgrade || fields.connection.contains(.nominates) {
            try fields.rebuildRemovals(bytes, keepsUpgrade: wantsUpgrade)
        }
    }

    // Methods are case-sensitive: "Head" is some other method, and its answer may have a body.
    private static func method(_ bytes: Span<UInt8>, _ range: Range<Int>) -> HTTP1Method {
        guard range.count <= 7 else { return .other }
        switch packed(bytes, at: range.lowerBound, count: range.count) {
        case word("G", "E", "T"): return .get
        case word("P", "U", "T"): return .put
        case word("H", "E", "A", "D"): return .head
        case word("T", "R", "A", "C", "E"): return .trace
        case word("D", "E", "L", "E", "T", "E"): return .delete
        case word("O", "P", "T", "I", "O", "N", "S"): return .options
        case word("C", "O", "N", "N", "E", "C", "T"): return .connect
        default: return .other
        }
    }
}
