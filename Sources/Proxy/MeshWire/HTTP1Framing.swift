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
    private enum State: Equatable {
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

    private var state: State
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

    private mutating func step(_ bytes: Span<UInt8>, _ offset: inout Int) throws(HTTP1ParseError) {
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
