/// An HTTP/2 error code as RST_STREAM and GOAWAY carry it (RFC 9113 section 7).
public struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The number on the wire; unknown numbers are kept.
    public let rawValue: UInt32

    /// Wraps any number; the peer may send codes that no RFC names.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The stream or connection ends without an error.
    public static let noError = Self(rawValue: 0)
    /// The peer broke the protocol.
    public static let protocolError = Self(rawValue: 1)
    /// The sender failed by itself.
    public static let internalError = Self(rawValue: 2)
    /// Flow control was not respected.
    public static let flowControlError = Self(rawValue: 3)
    /// SETTINGS were not acknowledged in time.
    public static let settingsTimeout = Self(rawValue: 4)
    /// A frame came for a stream that is closed.
    public static let streamClosed = Self(rawValue: 5)
    /// A frame had an impossible size.
    public static let frameSizeError = Self(rawValue: 6)
    /// The stream was not processed: it is safe to send it again.
    public static let refusedStream = Self(rawValue: 7)
    /// The stream is no longer needed.
    public static let cancel = Self(rawValue: 8)
    /// HPACK state was lost.
    public static let compressionError = Self(rawValue: 9)
    /// The tunnel's TCP connection failed.
    public static let connectError = Self(rawValue: 10)
    /// The peer makes too much load.
    public static let enhanceYourCalm = Self(rawValue: 11)
    /// The transport is not safe enough.
    public static let inadequateSecurity = Self(rawValue: 12)
    /// HTTP/1.1 is required instead.
    public static let http11Required = Self(rawValue: 13)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]

    /// The name in RFC 9113, or `UNKNOWN` (bounded, so that it can label a metric).
    public var name: String {
        let index = Int(rawValue)
        return index < Self.names.count ? Self.names[index] : "UNKNOWN"
    }

    /// `h2(NAME)`, as the `error` label of a failed response is written.
    public var description: String { "h2(\(name))" }
}

/// Why a connection cannot go on.
public struct HTTP2Error: Error, Sendable, Equatable {
    /// The closed set of causes; the raw value can label a metric.
    public enum Kind: String, Sendable, CaseIterable {
        /// The first bytes were not the client preface.
        case preface
        /// The peer broke the protocol beyond a stream.
        case protocolViolation = "protocol"
        /// The peer went past one of the rates or queues in `SessionLimits`.
        case flood
        /// Anything else that the library calls fatal.
        case fatal
    }

    /// The cause.
    public let kind: Kind
    /// The library's own number, or 0.
    public let libraryCode: Int32

    init(_ kind: Kind, libraryCode: Int32 = 0) {
        self.kind = kind
        self.libraryCode = libraryCode
    }
}
