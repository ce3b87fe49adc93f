// The near side: one HTTP/1 exchange after another of an accepted connection, each as a stream of the endpoint's HTTP/2
// connection.
//
// Back-pressure is end to end. At most `unsentBytesMax` of a request wait for the stream, then the client is not read;
// credit for response bytes goes back only when the client's socket takes them.

import MeshHTTP2
import MeshWire
import NIOCore

/// What carries the current exchange of one `HTTP1ServerHandler`. Kept between exchanges.
final class HTTP1Carrier {
    /// Bytes of a request that wait for flow control before the client is no longer read.
    static let unsentBytesMax = 65_536
    /// Bytes of a request's body kept for sending again what the endpoint refused unprocessed.
    static let keptBytesMax = 4_096
    /// Times such a request is sent, the first time included.
    static let attemptsMax = 3

    private let limits: HTTP2Limits
    /// Set while an exchange is carried.
    private var server: HTTP1ServerHandler?
    private var endpoint: EndpointHandle?
    private var upstream: HTTP2ClientHandler?
    /// -1 when the stream is gone.
    private var slot = -1
    private var streamID = 0
    /// Tells the current exchange's stream from those before.
    private var number = 0
    private var attempts = 0
    private var content = HTTP1ContentReader(.none)
    private var isRequestWhole = false
    /// The head and the body so far, until the response begins or there is too much of it.
    private var head: ByteBuffer?
    private var kept = ByteBuffer()
    private var unsentBytes = 0
    private var isFull = false
    private var owedBytes = 0
    private var responseFraming: RestoredFraming = .bare
    private var hasResponseBody = false

    init(limits: HTTP2Limits) {
        self.limits = limits
    }

    /// Whether an exchange is under way.
    var isActive: Bool { server != nil }

    // MARK: Calls from the server side

    /// Opens a stream for an exchange.
    ///
    /// - Parameters:
    ///   - server: its parser keeps what it knows about `head` until the exchange is over.
    ///   - head: the parsed head, from the first byte that was parsed.
    func begin(_ server: HTTP1ServerHandler, to endpoint: EndpointHandle, head: ByteBuffer) {
        self.server = server
        self.endpoint = endpoint
        self.head = head
        number += 1
        attempts = 0
        isRequestWhole = server.parser.framing == .none
        if !open() { fail(ProxyError(.loadShed, "too many requests wait for the endpoint")) }
    }

    /// Passes on bytes of the body, as they came.
    ///
    /// - Parameter isLast: the body ends with them.
    /// - Throws: when the trailers are none.
    func send(_ raw: ByteBuffer, isLast: Bool) throws(HTTP1ParseError) {
        guard isActive else { return }
        isRequestWhole = isLast
        if head != nil { keep(raw) }
        try forward(raw)
    }

    /// Gives the exchange up.
    func cancel() {
        guard isActive else { return }
        giveCredit()
        if slot >= 0 { upstream?.cancel(slot, .cancel) }
        clear()
    }

    /// The client takes bytes again, or no longer.
    func clientWritabilityChanged(_ isWritable: Bool) {
        if isWritable { giveCredit() }
    }

    // MARK: The request

    private func open() -> Bool {
        guard let server, let endpoint, let head else { return false }
        let owner = HTTP2Upstream.of(endpoint, limits: limits, memory: server.drain.http2Memory)
        guard let upstream = owner.connection(to: endpoint) else { return false }
        owner.scratch.removeAll()
        let block = owner.scratch.append(carrying: head, server.parser, to: endpoint)
        content = HTTP1ContentReader(server.parser.framing)
        let isEnd = server.parser.framing == .none
        guard let slot = upstream.open(block, of: owner.scratch, isEnd: isEnd, sink: self, stream: number) else {
            return false
        }
        attempts += 1
        self.upstream = upstream
        self.slot = slot
        streamID = upstream.streamID(of: slot)
        return true
    }

    private func forward(_ raw: ByteBuffer) throws(HTTP1ParseError) {
        guard slot >= 0, let upstream else { return }
        let bytes = raw.readableBytesUInt8Span
        var offset = 0
        while let range = try content.next(bytes, from: &offset) {
            guard let piece = raw.getSlice(at: raw.readerIndex + range.lowerBound, length: range.count) else { continue }
            unsentBytes += range.count
            upstream.sendBody(piece, on: slot)
        }
        if content.isDone { try finish(upstream) }
        if !isFull, unsentBytes > Self.unsentBytesMax { setFull(true) }
    }

    private func finish(_ upstream: HTTP2ClientHandler) throws(HTTP1ParseError) {
        guard content.trailers.count > 2 else { return upstream.finish(slot) }
        let trailers = HTTP2Headers(byteCapacity: 128, fieldCapacity: 4)
        let block = try trailers.append(carryingTrailers: content.trailers)
        upstream.sendTrailers(block, of: trailers, on: slot)
    }

    private func keep(_ raw: ByteBuffer) {
        guard kept.readableBytes + raw.readableBytes <= Self.keptBytesMax,
            server?.drain.replays.take(raw.readableBytes) == true
        else { return dropCopy() }
        kept.writeImmutableBuffer(raw)
    }

    private func dropCopy() {
        head = nil
        guard kept.readableBytes > 0 else { return }
        server?.drain.replays.giveBack(kept.readableBytes)
        kept = ByteBuffer()
    }

    private func setFull(_ isFull: Bool) {
        self.isFull = isFull
        server?.upstreamWritabilityChanged(!isFull)
    }

    /// Sends a request again that the endpoint refused unprocessed.
    private func resend() -> Bool {
        guard attempts < Self.attemptsMax, let endpoint, !endpoint.isRetired, head != nil, open() else { return false }
        unsentBytes = 0
        do throws(HTTP1ParseError) {
            if kept.readableBytes > 0 { try forward(kept) }
        } catch {
            return false  // The same bytes went through before.
        }
        if isFull, unsentBytes <= Self.unsentBytesMax / 2 { setFull(false) }
        return true
    }

    // MARK: Ends

    private func giveCredit() {
        guard owedBytes > 0 else { return }
        upstream?.consume(streamID: streamID, byteCount: owedBytes)
        owedBytes = 0
    }

    private func clear() {
        dropCopy()
        server = nil
        endpoint = nil
        upstream = nil
        slot = -1
        unsentBytes = 0
        isFull = false
        owedBytes = 0
        number += 1
    }

    /// - Parameter isUnsent: there was no connection.
    private func fail(_ error: ProxyError, isUnsent: Bool = false) {
        let server = server
        var unsent = isUnsent ? head : nil
        unsent?.writeImmutableBuffer(kept)
        cancel()
        server?.carrierFailed(error, unsent: unsent)
    }

    private func complete() {
        guard let server, let upstream else { return }
        giveCredit()
        // What is left of the request has nowhere to go.
        if !isRequestWhole, slot >= 0 { upstream.cancel(slot, .cancel) }
        clear()
        upstream.flushAfterRead(server)
        server.carriedResponseEnded()
    }
}

// MARK: - The response

extension HTTP1Carrier: HTTP2ResponseSink {
    func responseInformational(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        guard stream == number, let server, let upstream else { return }
        guard !server.exchange.isHTTP10 else { return }  // RFC 9110 section 15.2: they do not know it.
        let status = headers.number(of: .status, in: block) ?? 100
        var out = ByteBuffer()
        out.writeStatusLine(status, isHTTP10: false)
        guard out.writeFields(block, of: headers, dropping: { $0 == .origProto }) else {
            return fail(Self.malformed)
        }
        out.writeStaticString("\r\n")
        server.gather(out)
        upstream.flushAfterRead(server)
    }

    func responseHead(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) {
        guard stream == number, let server, let upstream else { return }
        let status = headers.number(of: .status, in: block) ?? 0
        if let retry = server.retry(after: status) {
            cancel()
            retry()
            return server.goOn()
        }
        let origin = headers.withValue(of: .origProto, in: block) { OrigProto($0) } ?? nil
        let isHTTP10 = origin?.isHTTP10 ?? server.exchange.isHTTP10
        hasResponseBody = server.exchange.method != .head && status != 204 && status != 304
        let hasLength = headers.contains(.contentLength, in: block)
        var isUntilClose = false
        if !hasResponseBody || hasLength || isEnd {
            responseFraming = .length
        } else if isHTTP10 || server.exchange.isHTTP10 {
            responseFraming = .bare
            isUntilClose = true
        } else {
            responseFraming = .chunked
        }
        let isInformational = server.stack.emitsInformationalHeaders
        server.gathered.begin()
        let start = server.gathered.buffer.readableBytes
        server.gathered.buffer.writeStatusLine(status, isHTTP10: isHTTP10)
        let isWritten = server.gathered.buffer.writeFields(block, of: headers) { token in
            token == .origProto || token == .proxyConnection || (token == .proxyError && !isInformational)
        }
        guard isWritten else {
            server.gathered.drop(from: start)
            return fail(Self.malformed)
        }
        dropCopy()
        if hasResponseBody, !hasLength, isEnd { server.gathered.buffer.writeStaticString("content-length: 0\r\n") }
        if responseFraming == .chunked { server.gathered.buffer.writeStaticString("transfer-encoding: chunked\r\n") }
        let endsConnection = isUntilClose || headers.value(of: .proxyConnection, in: block, equals: "close")
        server.forwardCarriedHead(from: start, status: status, endsConnection: endsConnection)
        upstream.flushAfterRead(server)
        if isEnd { complete() }
    }

    func responseBody(stream: Int, _ bytes: ByteBuffer) {
        guard stream == number, let server, let upstream else { return }
        owedBytes += bytes.readableBytes
        server.exchange.tap?.passed(byteCount: bytes.readableBytes)
        if hasResponseBody {
            if responseFraming == .chunked {
                server.gathered.begin()
                server.gathered.buffer.writeChunkHead(byteCount: bytes.readableBytes)
            }
            server.gather(bytes)
            if responseFraming == .chunked { server.gather(Self.lineEnd) }
        }
        if server.isClientWritable { giveCredit() }
        upstream.flushAfterRead(server)
    }

    func responseTrailers(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        guard stream == number, let server else { return }
        if responseFraming == .chunked {
            var out = ByteBuffer()
            out.writeString("0\r\n")
            let isWritten = out.writeFields(block, of: headers) {
                $0 == .origProto || $0 == .contentLength || $0 == .host
            }
            guard isWritten else { return fail(Self.malformed) }
            out.writeStaticString("\r\n")
            server.gather(out)
        }
        complete()
    }

    func responseEnd(stream: Int) {
        guard stream == number, let server else { return }
        if responseFraming == .chunked { server.gather(Self.lastChunk) }
        complete()
    }

    func requestSent(stream: Int, byteCount: Int) {
        guard stream == number else { return }
        unsentBytes -= byteCount
        if isFull, unsentBytes <= Self.unsentBytesMax / 2 { setFull(false) }
    }

    func requestEnded(stream: Int, failure: HTTP2StreamFailure?) {
        guard stream == number else { return }
        slot = -1
        // A whole response ended the exchange before this.
        guard let failure else { return }
        if case .refused = failure, resend() { return }
        if case .connect(let error) = failure { return fail(error, isUnsent: true) }
        fail(failure.proxyError ?? ProxyError(.upstreamReset, "stream error from endpoint: \(failure.resetCode.name)"))
    }

    private static let malformed = ProxyError(.upstreamMalformed, "malformed response from endpoint")
    private static let lineEnd = ByteBuffer(string: "\r\n")
    private static let lastChunk = ByteBuffer(string: "0\r\n\r\n")
}
