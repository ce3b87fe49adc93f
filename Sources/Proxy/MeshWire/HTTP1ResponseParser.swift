// The head of an HTTP/1 response, parsed in place. Offsets are relative to the first byte given.

/// Parses one response head after another; keeps its buffers between them. Not copied, as `HTTP1RequestParser`.
package struct HTTP1ResponseParser: ~Copyable {
    /// Status of the last parsed response, 100...999.
    package private(set) var status = 0
    /// Whether the response is HTTP/1.0.
    package private(set) var isHTTP10 = false
    /// Length of the head with its empty line.
    package private(set) var headBytes = 0
    /// Where the response's body ends.
    package private(set) var framing: HTTP1Framing = .none

    private var fields = HTTP1Fields(rules: [])

    package init() {}

    /// Which fields do not travel on, besides the hop-by-hop ones; set it between two heads.
    package var rules: HTTP1FieldRules {
        get { fields.rules }
        set { fields.rules = newValue }
    }
    /// The server's proxy wants the client's connection to end.
    package var endsClientConnection: Bool { fields.endsClientConnection }

    /// Ranges of lines to leave out when the head travels on, ascending.
    package var removals: [Range<Int>] { fields.removals }
    /// Offset at which fields may be added.
    package var fieldsEnd: Int { fields.end }
    /// Walks the field lines that travel on.
    package var fieldCursor: HTTP1FieldCursor { HTTP1FieldCursor(from: fields.linesStart, to: fields.end) }
    /// Whether another response, the final one, follows.
    package var isInformational: Bool { status < 200 && status != 101 }

    /// Whether the server takes another request on this connection.
    package var keepsConnection: Bool {
        isHTTP10 ? fields.connection.contains(.keepAlive) : !fields.connection.contains(.close)
    }

    /// Parses the head at the start of `bytes`.
    ///
    /// - Parameter method: of the request it answers, which decides whether there is a body.
    /// - Returns: `false` when `bytes` end before the head does.
    /// - Complexity: O(head); no allocation unless `Connection` names unusual fields.
    package mutating func parse(_ bytes: Span<UInt8>, answering method: HTTP1Method) throws(HTTP1ParseError)
        -> Bool
    {
        fields.reset()
        guard let lineEnd = try parseStatusLine(bytes), try fields.scan(bytes, from: lineEnd) else {
            guard bytes.count < HTTP1Limits.headBytesMax else { throw .headTooLong }
            return false
        }
        headBytes = fields.end + 2
        guard headBytes <= HTTP1Limits.headBytesMax else { throw .headTooLong }
        try decideFraming(answering: method)
        if status == 101 || fields.connection.contains(.nominates) {
            try fields.rebuildRemovals(bytes, keepsUpgrade: status == 101)
        }
        return true
    }

    private mutating func parseStatusLine(_ bytes: Span<UInt8>) throws(HTTP1ParseError) -> Int? {
        // "HTTP/1.1 200" and at least a line end.
        guard bytes.count >= 14 else { return nil }
        guard packed(bytes, at: 0, count: 7) == word("H", "T", "T", "P", "/", "1", "."), bytes[8] == 0x20,
            bytes[7] == UInt8(ascii: "0") || bytes[7] == UInt8(ascii: "1")
        else { throw .badStatusLine }
        isHTTP10 = bytes[7] == UInt8(ascii: "0")
        guard let hundreds = ByteClass.decimal(bytes[9]), let tens = ByteClass.decimal(bytes[10]),
            let ones = ByteClass.decimal(bytes[11]), hundreds > 0
        else { throw .badStatusLine }
        status = Int(hundreds * 100 + tens * 10 + ones)
        var offset = 12
        guard bytes[offset] == 0x20 || bytes[offset] == carriageReturn else { throw .badStatusLine }
        while offset < bytes.count, ByteClass.isFieldValue(bytes[offset]) { offset += 1 }
        guard offset < bytes.count else { return nil }
        guard bytes[offset] == carriageReturn else { throw .badStatusLine }
        guard offset + 1 < bytes.count else { return nil }
        guard bytes[offset + 1] == lineFeed else { throw .bareCarriageReturn }
        return offset + 2
    }

    private mutating func decideFraming(answering method: HTTP1Method) throws(HTTP1ParseError) {
        if fields.hasTransferEncoding, fields.contentLength != nil { throw .contentLengthAndTransferEncoding }
        if method == .head || status < 200 || status == 204 || status == 304 {
            framing = .none
        } else if method == .connect, status < 300 {
            framing = .none
        } else if fields.hasTransferEncoding {
            framing = fields.isChunked ? .chunked : .untilClose
        } else if let length = fields.contentLength {
            framing = length == 0 ? .none : .length(length)
        } else {
            framing = .untilClose
        }
    }
}
