package import MeshHTTP2
package import NIOCore

/// Whoever made a call. Called on the client's loop.
package protocol GRPCCallObserver: AnyObject {
    /// One message of the answer.
    func received(_ message: ByteBuffer)
    /// The call is over; the last call, exactly once, unless the caller cancelled first.
    func ended(_ status: GRPCStatus)
}

/// One call: a request message, and an answer of any number of messages.
package final class GRPCCall {
    private let path: String
    private let message: ByteBuffer
    private let client: GRPCClient
    private var observer: (any GRPCCallObserver)?
    private var connection: HTTP2ClientHandler?
    private var slot = -1
    private var streamID = 0
    private var reader = GRPCMessageReader()
    private var status = 0
    private var startedAt: UInt64 = 0
    private var isCounted = true
    private var hasFirstByte = false
    private var isEnded = false

    init(path: String, message: ByteBuffer, client: GRPCClient, observer: any GRPCCallObserver) {
        self.path = path
        self.message = message
        self.client = client
        self.observer = observer
    }

    /// Gives the call up: the observer hears nothing more, the server is told at the client's pace.
    package func cancel() {
        observer = nil
        guard !isEnded else { return }
        isEnded = true
        if let connection, slot >= 0 { client.reset(slot, on: connection) } else { client.forget(self) }
    }

    func open(on connection: HTTP2ClientHandler) {
        guard !isEnded else { return }
        let headers = HTTP2Headers()
        let block = headers.append([
            (":method", "POST"), (":scheme", "http"),
            (":authority", "\(client.settings.host):\(client.settings.port)"),
            (":path", path), ("te", "trailers"), ("content-type", "application/grpc"),
            ("user-agent", "linkerd-swift-proxy"),
        ])
        guard let slot = connection.open(block, of: headers, isEnd: false, sink: self, stream: 0) else {
            return finish(GRPCStatus(GRPCStatus.Code.unavailable, "connection is going away"))
        }
        self.connection = connection
        self.slot = slot
        streamID = connection.streamID(of: slot)
        startedAt = NIODeadline.now().uptimeNanoseconds
        isCounted = false
        client.metrics?.requestStarted()
        connection.sendBody(message, on: slot)
        connection.finish(slot)
    }

    func finish(_ status: GRPCStatus) {
        guard !isEnded else { return }
        isEnded = true
        if status.code == GRPCStatus.Code.ok { client.succeeded() }
        let observer = self.observer
        self.observer = nil
        observer?.ended(status)
    }

    // MARK: Telemetry

    private func firstByte() {
        guard !hasFirstByte else { return }
        hasFirstByte = true
        let now = NIODeadline.now().uptimeNanoseconds
        client.metrics?.responseHead(status: status, latencyNanoseconds: now - startedAt)
    }

    private func count(grpcStatus: Int?) {
        firstByte()
        guard !isCounted else { return }
        isCounted = true
        let classification = Classification.of(status: status, grpcStatus: grpcStatus)
        client.metrics?.responseEnded(
            status: status, grpcStatus: grpcStatus, isFailure: classification == .failure)
    }
}

extension GRPCCall: HTTP2ResponseSink {
    package func responseInformational(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {}

    package func responseHead(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) {
        status = headers.number(of: .status, in: block) ?? 0
        if isEnd { end(block, of: headers) }
    }

    package func responseBody(stream: Int, _ bytes: ByteBuffer) {
        firstByte()
        // Messages are handled at once, so their credit goes back at once.
        connection?.consume(streamID: streamID, byteCount: bytes.readableBytes)
        guard !isEnded else { return }
        reader.append(bytes)
        do throws(GRPCStatus) {
            while !isEnded, let message = try reader.next() {
                client.succeeded()
                observer?.received(message)
            }
        } catch {
            if let connection { client.reset(slot, on: connection) }
            finish(error)
        }
    }

    package func responseTrailers(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        end(block, of: headers)
    }

    package func responseEnd(stream: Int) {
        count(grpcStatus: nil)
        finish(
            status == 200
                ? GRPCStatus(GRPCStatus.Code.unknown, "no grpc-status") : GRPCStatus.of(httpStatus: status))
    }

    package func requestSent(stream: Int, byteCount: Int) {}

    package func requestEnded(stream: Int, failure: HTTP2StreamFailure?) {
        slot = -1
        connection = nil
        guard let failure else { return }
        if !isCounted {
            isCounted = true
            client.metrics?.requestFailed(status: status == 0 ? nil : status, error: failure.metricLabel)
        }
        finish(GRPCStatus(GRPCStatus.Code.unavailable, "stream failed: \(failure.metricLabel)"))
    }

    private func end(_ block: HeaderBlock, of headers: HTTP2Headers) {
        let code = headers.number(of: .grpcStatus, in: block)
        count(grpcStatus: code)
        guard let code else {
            return finish(
                status == 200
                    ? GRPCStatus(GRPCStatus.Code.unknown, "no grpc-status")
                    : GRPCStatus.of(httpStatus: status))
        }
        let message = headers.text(of: .grpcMessage, in: block).map(GRPCStatus.decodedMessage) ?? ""
        finish(GRPCStatus(code, message))
    }
}

/// Turns a call's one message into a future.
final class GRPCUnaryObserver: GRPCCallObserver {
    private var promise: EventLoopPromise<ByteBuffer>?
    private var message: ByteBuffer?
    let answer: EventLoopFuture<ByteBuffer>

    init(_ promise: EventLoopPromise<ByteBuffer>) {
        self.promise = promise
        answer = promise.futureResult
    }

    func received(_ message: ByteBuffer) { self.message = message }

    func ended(_ status: GRPCStatus) {
        guard let promise else { return }
        self.promise = nil
        if status.code == GRPCStatus.Code.ok, let message {
            promise.succeed(message)
        } else if status.code == GRPCStatus.Code.ok {
            promise.fail(GRPCStatus(GRPCStatus.Code.internalError, "no message"))
        } else {
            promise.fail(status)
        }
    }
}
