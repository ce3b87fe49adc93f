// Where an HTTP/1 message ends. Bodies pass through as they came: the reader only finds the end, and refuses
// chunks that another reader could cut differently. Source: RFC 9112 sections 6.3 and 7.1.

/// How the end of a body is found.
package enum HTTP1Framing: Equatable, Sendable {
    /// There is no body.
    case none
    /// Exactly so many bytes.
    case length(UInt64)
    /// Chunks, then optional trailers.
    case chunked
    /// Everything until the connection closes; responses only.
    case untilClose
}

/// Finds the end of one body in the bytes as they arrive.
package struct HTTP1BodyReader: Sendable {
    fileprivate enum State: Equatable {
        case done
        case remaining(UInt64)
        case untilClose
        case chunkSize(value: UInt64, digits: Int)
        case chunkExtension(value: UInt64)
        case chunkSizeLineFeed(value: UInt64)
        case chunkData(UInt64)
        case chunkDataReturn, chunkDataLineFeed
        case trailerLineStart
        case trailerLine
        case trailerLineFeed
        case finalLineFeed
    }

    fileprivate var state: State
    private var lineBytes = 0
    /// Bytes of the body itself so far: chunks without their framing.
    package private(set) var contentBytes = 0

    /// Starts reading a body framed so.
    package init(_ framing: HTTP1Framing) {
        switch framing {
        case .none: state = .done
        case .length(let length): state = length == 0 ? .done : .remaining(length)
        case .chunked: state = .chunkSize(value: 0, digits: 0)
        case .untilClose: state = .untilClose
        }
    }

    /// Whether the body has ended; a body that lasts until the connection closes never says so.
    package var isDone: Bool { state == .done }
    /// Whether the connection's end is the body's end.
    package var isUntilClose: Bool { state == .untilClose }

    /// Takes the bytes that belong to the body.
    ///
    /// - Returns: how many of `bytes` from `start` belong to the body; all of them unless it ends within
    ///   them.
    /// - Complexity: O(1) for lengths, O(framing bytes) for chunks: chunk data is skipped, not read.
    package mutating func consume(_ bytes: Span<UInt8>, from start: Int) throws(HTTP1ParseError) -> Int {
        switch state {
        case .done: return 0
        case .untilClose:
            contentBytes &+= bytes.count - start
            return bytes.count - start
        case .remaining(let left):
            let available = UInt64(bytes.count - start)
            if available < left {
                state = .remaining(left - available)
                contentBytes &+= Int(available)
                return Int(available)
            }
            state = .done
            contentBytes &+= Int(left)
            return Int(left)
        default:
            var offset = start
            while offset < bytes.count, state != .done { try step(bytes, &offset) }
            return offset - start
        }
    }

    fileprivate mutating func step(_ bytes: Span<UInt8>, _ offset: inout Int) throws(HTTP1ParseError) {
        if case .chunkData(let left) = state {
            let taken = min(left, UInt64(bytes.count - offset))
            offset += Int(taken)
            contentBytes &+= Int(taken)
            state = taken == left ? .chunkDataReturn : .chunkData(left - taken)
            return
        }
        let byte = bytes[offset]
        offset += 1
        lineBytes += 1
        switch state {
        case .chunkSize, .chunkExtension, .chunkSizeLineFeed: try stepSizeLine(byte)
        case .chunkDataReturn:
            guard byte == carriageReturn else { throw .badChunk }
            state = .chunkDataLineFeed
        case .chunkDataLineFeed:
            guard byte == lineFeed else { throw .badChunk }
            lineBytes = 0
            state = .chunkSize(value: 0, digits: 0)
        default: try stepTrailers(byte)
        }
    }

    private mutating func stepSizeLine(_ byte: UInt8) throws(HTTP1ParseError) {
        guard lineBytes <= HTTP1Limits.chunkLineBytesMax else { throw .badChunk }
        switch state {
        case .chunkSize(let value, let digits):
            if let digit = ByteClass.hexadecimal(byte) {
                guard digits < 15 else { throw .badChunk }
                state = .chunkSize(value: value << 4 | digit, digits: digits + 1)
            } else if digits > 0, byte == UInt8(ascii: ";") {
                state = .chunkExtension(value: value)
            } else if digits > 0, byte == carriageReturn {
                state = .chunkSizeLineFeed(value: value)
            } else {
                throw .badChunk
            }
        case .chunkExtension(let value):
            if byte == carriageReturn {
                state = .chunkSizeLineFeed(value: value)
            } else if !ByteClass.isFieldValue(byte) {
                throw .badChunk
            }
        case .chunkSizeLineFeed(let value):
            guard byte == lineFeed else { throw .badChunk }
            lineBytes = 0
            state = value == 0 ? .trailerLineStart : .chunkData(value)
        default: break
        }
    }

    private mutating func stepTrailers(_ byte: UInt8) throws(HTTP1ParseError) {
        guard lineBytes <= HTTP1Limits.trailerBytesMax else { throw .trailersTooLong }
        switch state {
        case .trailerLineStart:
            if byte == carriageReturn {
                state = .finalLineFeed
            } else {
                guard ByteClass.isToken(byte) else { throw .badFieldName }
                state = .trailerLine
            }
        case .trailerLine:
            if byte == carriageReturn {
                state = .trailerLineFeed
            } else if !ByteClass.isFieldValue(byte) {
                throw .badFieldValue
            }
        case .trailerLineFeed:
            guard byte == lineFeed else { throw .bareCarriageReturn }
            state = .trailerLineStart
        case .finalLineFeed:
            guard byte == lineFeed else { throw .bareCarriageReturn }
            state = .done
        default: break
        }
    }
}

/// Reads one body's content out of its framing: the data of chunks, and the lines behind the last one.
///
/// For messages that go on in other frames than HTTP/1's; what stays HTTP/1 needs only `HTTP1BodyReader`.
package struct HTTP1ContentReader: Sendable {
    private var body: HTTP1BodyReader
    /// The trailer section as it came, with its empty line; empty while there is none. Its length is bounded by
    /// `HTTP1Limits.trailerBytesMax`.
    package private(set) var trailers: [UInt8] = []

    /// Starts reading a body framed so.
    package init(_ framing: HTTP1Framing) {
        body = HTTP1BodyReader(framing)
    }

    /// Whether the body has ended; a body that lasts until the connection closes never says so.
    package var isDone: Bool { body.isDone }

    /// Takes the next run of content.
    ///
    /// - Parameter offset: where to go on reading; moved behind what was taken.
    /// - Returns: a range that is not empty, or `nil` when `bytes` are used up or the body has ended.
    /// - Complexity: as `HTTP1BodyReader.consume`.
    package mutating func next(_ bytes: Span<UInt8>, from offset: inout Int) throws(HTTP1ParseError) -> Range<Int>? {
        while offset < bytes.count, !body.isDone {
            let start = offset
            if body.isAtContent {
                offset = try start + body.take(bytes, from: start)
                return start..<offset
            }
            if body.isInTrailers { trailers.append(bytes[start]) }
            try body.step(bytes, &offset)
        }
        return nil
    }
}

extension HTTP1BodyReader {
    /// The next byte is content.
    fileprivate var isAtContent: Bool {
        switch state {
        case .remaining, .untilClose, .chunkData: true
        default: false
        }
    }

    /// The next byte is behind the last chunk's size line.
    fileprivate var isInTrailers: Bool {
        switch state {
        case .trailerLineStart, .trailerLine, .trailerLineFeed, .finalLineFeed: true
        default: false
        }
    }

    /// Takes content up to its end, or to the end of its chunk.
    fileprivate mutating func take(_ bytes: Span<UInt8>, from start: Int) throws(HTTP1ParseError) -> Int {
        guard case .chunkData = state else { return try consume(bytes, from: start) }
        var offset = start
        try step(bytes, &offset)
        return offset - start
    }
}
