import MeshHTTP2
import MeshWire
import NIOCore

// What an accepted HTTP/1 connection does differently when its exchange is carried over HTTP/2.
extension HTTP1ServerHandler {
    /// Opens a stream for the parsed request, whose bytes are at the front of the input.
    func carry(to endpoint: EndpointHandle) {
        let carrier = carrier ?? HTTP1Carrier(limits: limits)
        self.carrier = carrier
        phase = .streaming
        let head = parser.headBytes
        let received = input
        let bodyBytes: Int
        do {
            bodyBytes = try body.consume(received.readableBytesUInt8Span, from: head)
        } catch {
            cancelExchange()
            return refuse(ProxyError(.malformedRequest, error.rawValue))
        }
        input.moveReaderIndex(forwardBy: head)
        let first = input.readSlice(length: bodyBytes)
        if input.readableBytes == 0 { input = ByteBuffer() }
        exchange.isRequestDone = body.isDone
        guard let bytes = received.getSlice(at: received.readerIndex, length: head) else { return }
        exchange.keep(bytes)
        carrier.begin(self, to: endpoint, head: bytes)
        if let first, first.readableBytes > 0 {
            exchange.keep(first)
            send(first, over: carrier)
        }
    }

    /// Passes on body bytes of the carried request.
    func send(_ slice: ByteBuffer, over carrier: HTTP1Carrier) {
        do throws(HTTP1ParseError) {
            try carrier.send(slice, isLast: body.isDone)
        } catch {
            // The endpoint has part of a request that will never be whole.
            cancelExchange()
            refuse(ProxyError(.malformedRequest, error.rawValue))
        }
    }

    // MARK: Calls from the carrier

    /// Passes on the head of the final response, which was gathered but for the connection's own field and the empty
    /// line.
    /// - Parameters:
    ///   - start: where the head begins among what was gathered, from the first readable byte.
    ///   - endsConnection: the client's connection closes behind the response.
    func forwardCarriedHead(from start: Int, status: Int, endsConnection: Bool) {
        let fields = tapFields(gathered.buffer, start..<gathered.buffer.readableBytes)
        exchange.answered(status: status, fields: fields)
        if endsConnection || isDraining { exchange.closeAfterwards() }
        if let field = connectionField { gathered.buffer.writeImmutableBuffer(field) }
        gathered.buffer.writeStaticString("\r\n")
    }

    /// Queues a piece of the response behind everything gathered.
    func gather(_ piece: ByteBuffer) {
        guard piece.readableBytes <= GatheredOutput.pieceBytesMax else { return write(piece) }
        gathered.begin()
        gathered.buffer.writeImmutableBuffer(piece)
        if gathered.buffer.readableBytes > GatheredOutput.bytesMax { writeGathered() }
    }

    /// The whole response was passed on.
    func carriedResponseEnded() {
        let keepsConnection = exchange.keepsConnection && exchange.isRequestDone && !isInputClosed
        exchange.completed()
        nextExchange(keepsConnection: keepsConnection)
    }

    /// The stream failed and is not sent again.
    /// - Parameter unsent: the request as it came, when none of it reached the endpoint and all of it is here.
    func carrierFailed(_ error: ProxyError, unsent: ByteBuffer?) {
        if var unsent {
            unsent.writeBuffer(&input)
            input = unsent
            body = HTTP1BodyReader(parser.framing)
            exchange.isRequestDone = false
            phase = .routing
        }
        upstreamFailed(error, sent: unsent == nil ? .something : .nothing)
        goOn()
    }

    /// Works through what waits in the input.
    func goOn() {
        process()
        updateReading()
    }
}
