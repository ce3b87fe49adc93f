/// Why bytes are not an HTTP/1 message that two parties would read the same way.
package enum HTTP1ParseError: String, Error, Sendable, CaseIterable {
    case badRequestLine = "bad request line"
    case badTarget = "bad request target"
    case badVersion = "unsupported version"
    case badStatusLine = "bad status line"
    case unaskedSwitch = "the application switched protocols unasked"
    case badFieldName = "bad field name"
    case badFieldValue = "bad field value"
    case obsoleteFold = "obsolete line folding"
    case bareLineFeed = "bare line feed"
    case bareCarriageReturn = "bare carriage return"
    case headTooLong = "head too long"
    case tooManyFields = "too many fields"
    case badContentLength = "bad content length"
    case conflictingContentLength = "conflicting content lengths"
    case contentLengthAndTransferEncoding = "content length with transfer encoding"
    case badTransferEncoding = "bad transfer encoding"
    case transferEncodingInHTTP10 = "transfer encoding in HTTP/1.0"
    case duplicateHost = "more than one host"
    case badHost = "bad host"
    case badChunk = "bad chunk"
    case trailersTooLong = "trailers too long"
}

/// Bounds of HTTP/1 parsing.
package enum HTTP1Limits {
    /// Request or status line with all fields and the empty line.
    package static let headBytesMax = 65_536
    /// Field lines in a head.
    package static let fieldCountMax = 256
    /// Size line of one chunk, extensions included.
    package static let chunkLineBytesMax = 4_096
    /// Trailer section of a chunked body.
    package static let trailerBytesMax = 16_384
}
