// gRPC's framing and status (gRPC over HTTP/2): a length-prefixed message is one byte of flags, four bytes of
// big-endian length, and the payload. Compression is never negotiated, so a compressed message is an error.

package import NIOCore

/// How a call ended.
package struct GRPCStatus: Error, Sendable, Equatable {
    /// The codes that we name; others are kept as numbers.
    package enum Code {
        package static let ok = 0
        package static let unknown = 2
        package static let invalidArgument = 3
        package static let deadlineExceeded = 4
        package static let failedPrecondition = 9
        package static let internalError = 13
        package static let unavailable = 14
    }

    /// The `grpc-status` number.
    package let code: Int
    /// `grpc-message`, decoded; for people, never for decisions.
    package let message: String

    package init(_ code: Int, _ message: String = "") {
        self.code = code
        self.message = message
    }

    /// The status that an HTTP status stands for, when a response has no `grpc-status` (gRPC's own table).
    static func of(httpStatus: Int) -> GRPCStatus {
        let code =
            switch httpStatus {
            case 400: Code.internalError
            case 401: 16
            case 403: 7
            case 404: 12
            case 429, 502, 503, 504: Code.unavailable
            default: Code.unknown
            }
        return GRPCStatus(code, "HTTP status \(httpStatus)")
    }

    /// Decodes the percent-encoding of `grpc-message`; a broken escape stays as it is.
    static func decodedMessage(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        var bytes: [UInt8] = []
        let source = Array(text.utf8)
        var index = 0
        while index < source.count {
            if source[index] == UInt8(ascii: "%"), index + 2 < source.count,
                let high = hexDigit(source[index + 1]), let low = hexDigit(source[index + 2])
            {
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(source[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Cuts a byte stream into messages.
package struct GRPCMessageReader {
    /// Bytes of one message; gRPC libraries refuse more by default, and so do we.
    package static let messageBytesMax = 4_194_304
    private var buffer = ByteBuffer()

    package init() {}

    /// Adds bytes of the stream.
    package mutating func append(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeImmutableBuffer(bytes) }
    }

    /// The next whole message, or nil when more bytes are needed.
    /// - Throws: `internalError` when a message is compressed or longer than `messageBytesMax`.
    package mutating func next() throws(GRPCStatus) -> ByteBuffer? {
        guard let flags = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self),
            let length = buffer.getInteger(at: buffer.readerIndex + 1, as: UInt32.self)
        else { return nil }
        guard flags == 0 else { throw GRPCStatus(GRPCStatus.Code.internalError, "compressed message") }
        guard length <= Self.messageBytesMax else {
            throw GRPCStatus(GRPCStatus.Code.internalError, "message too long")
        }
        guard buffer.readableBytes >= 5 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 5)
        return buffer.readSlice(length: Int(length))
    }

    /// One message as it goes on the wire.
    package static func frame(_ message: some Collection<UInt8>) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(5 + message.count)
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt32(clamping: message.count))
        buffer.writeBytes(message)
        return buffer
    }
}
