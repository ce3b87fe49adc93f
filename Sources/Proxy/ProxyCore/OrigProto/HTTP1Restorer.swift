// The far side: a stream whose request was HTTP/1 once, given to the application as that, and its answer put back on
// the stream.
//
// Back-pressure is end to end here too: the stream gets credit for request bytes when the application's socket takes
// them, and the application is not read while `undeliveredBytesMax` of its answer wait for the stream.

import MeshHTTP2
import MeshWire
import NIOCore

/// What serves the current carried request of one stream slot. Kept between streams.
final class HTTP1Restorer {
    /// Bytes of an answer that wait for the stream before the application is no longer read.
    static let undeliveredBytesMax = 65_536

    /// Set while a request is served.
    private var server: HTTP2ServerHandler?
    private var slot = -1
    private var endpoint: EndpointHandle?
    private var connection: HTTP1ClientHandler?
    /// Tells the current request from those before when a connection comes late.
    private var number = 0
    private var method: HTTP1Method = .other
    private var framing: RestoredFraming = .bare
    private var mayUsePool = false
    /// More of the request may come.
    private(set) var isRequestOpen = false
    /// What waits for a connection.
    private var early = ByteBuffer()
    /// The whole request, while it may be sent again: the connection was pooled and no byte came back.
    private var replay: ByteBuffer?
    private var hasRetried = false
    /// Request bytes that the application's socket has not taken.
    private var untakenBytes = 0

    private var content = HTTP1ContentReader(.none)
    private var hasResponseHead = false
    private var isResponseEnded = false
    private var undeliveredBytes = 0
    private var isReading = true

    /// Starts serving a request.
    ///
    /// - Returns: false when it cannot be HTTP/1; nothing was called then.
    func begin(
        _ server: HTTP2ServerHandler, _ slot: StreamSlot, _ copy: RequestCopy, as origin: OrigProto,
        to endpoint: EndpointHandle
    ) -> Bool {
        let isEnd = copy.isBodiless
        copy.restoredHead.clear(minimumCapacity: 512)
        guard
            let framing = copy.restoredHead.writeRequest(copy.block, of: copy.headers, as: origin, isEnd: isEnd)
        else { return false }
        let head = copy.restoredHead
        number += 1
        self.server = server
        self.slot = slot
        self.endpoint = endpoint
        self.framing = framing
        method = HTTP1Method(of: copy)
        mayUsePool = !origin.isHTTP10
        isRequestOpen = !isEnd
        hasRetried = false
        hasResponseHead = false
        isResponseEnded = false
        early = head
        if mayUsePool, let pooled = endpoint.http1.take() {
            if isEnd, method.isIdempotent { replay = head }
            send(over: pooled)
        } else {
            connect(to: endpoint)
        }
        return true
    }

    private func connect(to endpoint: EndpointHandle) {
        let number = number
        let connection = HTTP1ClientHandler(endpoint: endpoint)
        let connected = endpoint.connect(carrying: .http1) {
            try $0.pipeline.syncOperations.addHandler(connection)
        }
        connected.assumeIsolated().whenComplete { [self] result in
            guard self.number == number, server != nil else {
                if case .success = result { connection.finish() }  // Nobody waits any more, the connection is good.
                return
            }
            switch result {
            case .success: send(over: connection)
            case .failure(let error): upstreamFailed(ProxyError(wrapping: error))
            }
        }
    }

    private func send(over connection: HTTP1ClientHandler) {
        self.connection = connection
        isReading = true
        connection.begin(self, method: method)
        let bytes = early
        early = ByteBuffer()
        write(bytes, to: connection)
    }

    /// Writes request bytes, or keeps them until there is a connection: a stream's window bounds how many.
    private func put(_ bytes: ByteBuffer) {
        if let connection { write(bytes, to: connection) } else { early.writeImmutableBuffer(bytes) }
    }

    private func write(_ bytes: ByteBuffer, to connection: HTTP1ClientHandler) {
        connection.write(bytes)
        if connection.isWritable { giveCredit() }
        server?.flushAfterRead(connection)
    }

    private func giveCredit() {
        guard untakenBytes > 0 else { return }
        let byteCount = untakenBytes
        untakenBytes = 0
        server?.requestSent(stream: slot, byteCount: byteCount)
    }

    private func clear() {
        server = nil
        endpoint = nil
        connection = nil
        replay = nil
        isRequestOpen = false
        untakenBytes = 0
        undeliveredBytes = 0
        if early.capacity > 0 { early = ByteBuffer() }
        content = HTTP1ContentReader(.none)
        number += 1
    }

    /// Ends the request without a whole answer.
    private func end(_ failure: HTTP2StreamFailure) {
        guard let server else { return }
        let slot = slot
        clear()
        server.requestEnded(stream: slot, failure: failure)
        server.wire.flushSoon()
    }
}

// MARK: - The request

extension HTTP1Restorer: StreamUpstream {
    var nowNanoseconds: UInt64 { NIODeadline.now().uptimeNanoseconds }

    func sendBody(_ bytes: ByteBuffer, on slot: StreamSlot) {
        guard isRequestOpen else { return }
        untakenBytes += bytes.readableBytes
        guard framing == .chunked else { return put(bytes) }
        var chunk = ByteBuffer()
        chunk.reserveCapacity(bytes.readableBytes + 12)
        chunk.writeChunkHead(byteCount: bytes.readableBytes)
        chunk.writeImmutableBuffer(bytes)
        chunk.writeString("\r\n")
        put(chunk)
    }

    func finish(_ slot: StreamSlot) {
        guard isRequestOpen else { return }
        isRequestOpen = false
        if framing == .chunked { put(Self.lastChunk) }
    }

    func sendTrailers(_ block: HeaderBlock, of headers: HTTP2Headers, on slot: StreamSlot) {
        guard isRequestOpen else { return }
        isRequestOpen = false
        guard framing == .chunked else { return }  // A body with a length has no place for them.
        var out = ByteBuffer(string: "0\r\n")
        let isWritten = out.writeFields(block, of: headers) { $0 == .origProto || $0 == .contentLength || $0 == .host }
        guard isWritten else {
            connection?.close()
            return end(.malformed(.protocolError))
        }
        out.writeString("\r\n")
        put(out)
    }

    func cancel(_ slot: StreamSlot, _ code: HTTP2ErrorCode) {
        guard server != nil else { return }
        connection?.close()
        clear()
    }

    func consume(streamID: Int, byteCount: Int) {
        undeliveredBytes = max(0, undeliveredBytes - byteCount)
        guard !isReading, undeliveredBytes <= Self.undeliveredBytesMax / 2 else { return }
        isReading = true
        connection?.setReading(true)
    }

    private static let lastChunk = ByteBuffer(string: "0\r\n\r\n")
}

// MARK: - The response

extension HTTP1Restorer: HTTP1ResponseSink {
    /// The stream has its own.
    var tap: TapExchange? { nil }
    /// What asks for a tunnel is not carried.
    var wantsUpgrade: Bool { false }
    var responseRules: HTTP1FieldRules { [] }

    func forwardInformational(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser) {
        guard let server else { return }
        server.scratch.removeAll()
        let block = server.scratch.append(carrying: source, head)
        server.responseInformational(stream: slot, block, of: server.scratch)
    }

    /// The stream's own retries look at the head once it is HTTP/2 again.
    func retry(after status: Int) -> (() -> Void)? { nil }

    func forwardSwitch(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser) {}

    func forwardHead(
        _ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser, bodyBytes: Int, isUntilClose: Bool
    ) {
        guard let server else { return }
        replay = nil
        hasResponseHead = true
        isResponseEnded = head.framing == .none
        content = HTTP1ContentReader(head.framing)
        server.scratch.removeAll()
        let block = server.scratch.append(carrying: source, head)
        server.responseHead(stream: slot, block, of: server.scratch, isEnd: isResponseEnded)
        guard bodyBytes > 0 else { return }
        if let body = source.getSlice(at: source.readerIndex + head.headBytes, length: bodyBytes) { write(body) }
    }

    func write(_ buffer: ByteBuffer) {
        guard let server else { return }
        let bytes = buffer.readableBytesUInt8Span
        var offset = 0
        // The connection's own reader accepted these bytes before.
        while let range = try? content.next(bytes, from: &offset) {
            guard let piece = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) else {
                continue
            }
            undeliveredBytes += range.count
            server.responseBody(stream: slot, piece)
        }
        guard isReading, undeliveredBytes > Self.undeliveredBytesMax else { return }
        isReading = false
        connection?.setReading(false)
    }

    func flush() {}

    func responseEnded(from connection: HTTP1ClientHandler, isReusable: Bool) {
        guard let server else { return connection.close() }
        let slot = slot
        if !isResponseEnded { endResponse(on: server) }
        let isRequestDone = !isRequestOpen
        if !isReading {
            isReading = true
            connection.setReading(true)
        }
        giveCredit()
        clear()
        if isReusable, isRequestDone { connection.finish() } else { connection.close() }
        server.requestEnded(stream: slot, failure: nil)
    }

    private func endResponse(on server: HTTP2ServerHandler) {
        guard content.trailers.count > 2 else { return server.responseEnd(stream: slot) }
        server.scratch.removeAll()
        do throws(HTTP1ParseError) {
            let block = try server.scratch.append(carryingTrailers: content.trailers)
            server.responseTrailers(stream: slot, block, of: server.scratch)
        } catch {
            // The body is whole; lines behind it that are no fields are not worth losing it.
            server.responseEnd(stream: slot)
        }
    }

    func upstreamFailed(_ error: ProxyError) {
        let isUntouched = connection.map { !$0.hasResponseBytes } ?? false
        connection = nil
        if isUntouched, !hasRetried, let replay, let endpoint {
            hasRetried = true
            early = replay
            return connect(to: endpoint)
        }
        end(hasResponseHead ? .connectionLost : .connect(error))
    }

    func upstreamWritabilityChanged(_ isWritable: Bool) {
        if isWritable { giveCredit() }
    }

    func becomeTunnel(from connection: HTTP1ClientHandler, received rest: ByteBuffer) {
        // Not reached while no tunnel is asked for.
        connection.close()
        end(.connect(ProxyError(.upstreamMalformed, HTTP1ParseError.unaskedSwitch.rawValue)))
    }
}

extension HTTP1Method {
    /// The method of a request that was received over HTTP/2.
    init(of copy: RequestCopy) {
        self =
            switch copy.headers.text(of: .method, in: copy.block) {
            case "GET": .get
            case "HEAD": .head
            case "PUT": .put
            case "DELETE": .delete
            case "OPTIONS": .options
            case "TRACE": .trace
            case "CONNECT": .connect
            default: .other
            }
    }
}
