// The server's side of SPDY/3.1 as far as port-forwarding needs it: a client opens streams, both send data,
// either ends or resets them. Frames in, events out; no socket. Flow control is left to TCP, as the peers
// that still speak SPDY (kubectl, and through it the kubelet) leave it.
// Source: SPDY protocol, draft 3.1, section 2.

import MeshCompression
import NIOCore

/// What went wrong in a session; the connection is of no more use.
struct SPDYError: Error, Equatable {
    enum Kind: String, Sendable {
        case badFrame = "bad_frame"
        case tooLarge = "too_large"
        case badHeaders = "bad_headers"
    }
    let kind: Kind
}

/// One session: reads frames, and writes those that answer them.
struct SPDYSession: ~Copyable {
    /// What a frame of the client means.
    enum Event: Equatable {
        case opened(stream: UInt32, headers: [String: String])
        case data(stream: UInt32, bytes: ByteBuffer)
        /// The client will send no more on the stream.
        case ended(stream: UInt32)
        case reset(stream: UInt32)
        case goAway
    }

    /// Bytes of one frame that are accepted; kubectl sends at most 32 KiB.
    static let frameBytesMax = 1 << 20
    /// Bytes that one header block may expand to.
    static let headerBytesMax = 64 * 1_024

    private enum FrameType {
        static let synStream: UInt16 = 1
        static let synReply: UInt16 = 2
        static let reset: UInt16 = 3
        static let ping: UInt16 = 6
        static let goAway: UInt16 = 7
    }

    private static let finFlag: UInt8 = 1
    private static let version: UInt16 = 3

    private var inflater: Inflater
    private var deflater: Deflater
    private var input = ByteBuffer()
    /// Frames to send; to be taken after every call.
    private(set) var output = ByteBuffer()

    init() throws(CompressionError) {
        // Both into locals first: a half-built value cannot be torn down.
        let inflater = try Inflater(format: .zlib, dictionary: SPDYHeaderDictionary.bytes)
        let deflater = try Deflater(format: .zlib, dictionary: SPDYHeaderDictionary.bytes)
        self.inflater = inflater
        self.deflater = deflater
    }

    /// Takes what is to be sent.
    mutating func takeOutput() -> ByteBuffer {
        defer { output = ByteBuffer() }
        return output
    }

    /// Reads bytes from the client; gives what the complete frames among them mean.
    ///
    /// - Throws: when the client breaks the protocol or a bound.
    mutating func received(_ bytes: ByteBuffer) throws -> [Event] {
        input.writeImmutableBuffer(bytes)
        var events: [Event] = []
        while let first = input.getInteger(at: input.readerIndex, as: UInt32.self),
            let second = input.getInteger(at: input.readerIndex + 4, as: UInt32.self)
        {
            let length = Int(second & 0xFF_FFFF)
            guard length <= Self.frameBytesMax else { throw SPDYError(kind: .tooLarge) }
            guard input.readableBytes >= 8 + length else { break }
            input.moveReaderIndex(forwardBy: 8)
            guard let payload = input.readSlice(length: length) else { break }
            try read(first, flags: UInt8(second >> 24), payload, into: &events)
        }
        input.discardReadBytes()
        return events
    }

    private mutating func read(
        _ first: UInt32, flags: UInt8, _ payload: ByteBuffer, into events: inout [Event]
    ) throws {
        guard first & 0x8000_0000 != 0 else {
            if payload.readableBytes > 0 { events.append(.data(stream: first, bytes: payload)) }
            if flags & Self.finFlag != 0 { events.append(.ended(stream: first)) }
            return
        }
        guard UInt16(first >> 16 & 0x7FFF) == Self.version else { throw SPDYError(kind: .badFrame) }
        var payload = payload
        switch UInt16(first & 0xFFFF) {
        case FrameType.synStream:
            // Stream, associated stream, priority and slot, then the headers.
            guard let stream = payload.readInteger(as: UInt32.self), payload.readableBytes >= 6 else {
                throw SPDYError(kind: .badFrame)
            }
            payload.moveReaderIndex(forwardBy: 6)
            events.append(.opened(stream: stream & 0x7FFF_FFFF, headers: try headers(payload)))
            if flags & Self.finFlag != 0 { events.append(.ended(stream: stream & 0x7FFF_FFFF)) }
        case FrameType.reset:
            guard let stream = payload.readInteger(as: UInt32.self) else { throw SPDYError(kind: .badFrame) }
            events.append(.reset(stream: stream & 0x7FFF_FFFF))
        case FrameType.ping:
            guard let id = payload.readInteger(as: UInt32.self) else { throw SPDYError(kind: .badFrame) }
            writeControl(FrameType.ping, flags: 0, ByteBuffer(integer: id))
        case FrameType.goAway: events.append(.goAway)
        default: break  // SETTINGS, HEADERS and WINDOW_UPDATE change nothing here.
        }
    }

    /// Every block must be expanded, also of streams that are refused: the compression state is shared.
    private mutating func headers(_ block: ByteBuffer) throws -> [String: String] {
        var plain = try inflater.inflate(block, outputBytesMax: Self.headerBytesMax)
        guard let count = plain.readInteger(as: UInt32.self) else { throw SPDYError(kind: .badHeaders) }
        var headers: [String: String] = [:]
        for _ in 0..<count {
            guard let nameLength = plain.readInteger(as: UInt32.self),
                let name = plain.readString(length: Int(nameLength)),
                let valueLength = plain.readInteger(as: UInt32.self),
                let value = plain.readString(length: Int(valueLength))
            else { throw SPDYError(kind: .badHeaders) }
            headers[name.lowercased()] = value
        }
        return headers
    }

    /// Accepts a stream.
    mutating func reply(to stream: UInt32) throws {
        var payload = ByteBuffer(integer: stream)
        payload.writeImmutableBuffer(try deflater.deflate(ByteBuffer(integer: UInt32(0)), flush: .sync))
        writeControl(FrameType.synReply, flags: 0, payload)
    }

    /// Sends data on a stream, and with `isLast` ends our side of it.
    mutating func send(_ bytes: ByteBuffer, on stream: UInt32, isLast: Bool) {
        output.writeInteger(stream)
        output.writeInteger(UInt32(bytes.readableBytes) | (isLast ? UInt32(Self.finFlag) << 24 : 0))
        output.writeImmutableBuffer(bytes)
    }

    /// Ends a stream at once, both ways.
    mutating func reset(_ stream: UInt32) {
        /// CANCEL: "the stream is no longer needed".
        let cancel: UInt32 = 5
        var payload = ByteBuffer(integer: stream)
        payload.writeInteger(cancel)
        writeControl(FrameType.reset, flags: 0, payload)
    }

    private mutating func writeControl(_ type: UInt16, flags: UInt8, _ payload: ByteBuffer) {
        output.writeInteger(0x8000 | Self.version)
        output.writeInteger(type)
        output.writeInteger(UInt32(payload.readableBytes) | UInt32(flags) << 24)
        output.writeImmutableBuffer(payload)
    }
}
