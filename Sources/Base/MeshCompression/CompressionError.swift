/// Why bytes could not be compressed or expanded.
public struct CompressionError: Error, Equatable {
    /// The kinds of failure.
    public enum Kind: String, Sendable, CaseIterable {
        /// zlib could not start a stream (memory).
        case startFailed = "start_failed"
        /// The input is not of the expected format, or damaged.
        case badInput = "bad_input"
        /// The stream asks for a dictionary that was not given.
        case dictionaryMissing = "dictionary_missing"
        /// Expanding gave more than the caller's limit.
        case outputTooLarge = "output_too_large"
        /// The input ended before the stream did.
        case truncated
    }
    public let kind: Kind
    /// zlib's own code, for logs.
    public let zlibCode: Int32

    init(_ kind: Kind, zlibCode: Int32 = 0) {
        self.kind = kind
        self.zlibCode = zlibCode
    }
}

/// The framing around deflated bytes.
public enum CompressionFormat: Sendable {
    /// RFC 1950, with Adler-32; may carry a preset dictionary.
    case zlib
    /// RFC 1952, with CRC-32.
    case gzip

    var windowBits: Int32 {
        switch self {
        case .zlib: 15
        case .gzip: 15 + 16  // "Add 16 to windowBits to write a simple gzip header", zlib manual.
        }
    }
}
