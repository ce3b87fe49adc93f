import NIOCore
import NIOHTTP1

/// One scrape on a connection of its own: sends the request, gathers the answer, and closes. All of it on the
/// connection's event loop: who waits is woken once, for the whole answer or for what is wrong with it.
final class ScrapeExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// An answer as it was sent.
    struct Response: Sendable {
        var body: [UInt8] = []
        /// Whether the body is compressed with gzip.
        var isPacked = false
        var isOpenMetrics = false

        var bytesMax: Int { isPacked ? ScrapeClient.packedBytesMax : ScrapeClient.bodyBytesMax }
    }

    /// Time for a whole answer, connecting included, in seconds.
    static let timeout: Int64 = 5

    private let request: HTTPRequestHead
    private let expected: Int
    private let grant: ByteBudget.Grant
    private let promise: EventLoopPromise<Response>
    private var response = Response()
    private var isFinished = false
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - expected: Bytes to make room for at once.
    ///   - grant: Room for the answer.
    ///   - promise: The answer; always kept, at the latest when the connection closes.
    init(_ request: HTTPRequestHead, expecting expected: Int, grant: ByteBudget.Grant, promise: EventLoopPromise<Response>) {
        self.request = request
        self.expected = expected
        self.grant = grant
        self.promise = promise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .seconds(Self.timeout)) {
            let (exchange, context) = bound.value
            exchange.fail(ScrapeError(.timedOut, "no whole answer within \(Self.timeout) s"), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { fail(Self.closedEarly, context) }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isFinished else { return }
        do throws(ScrapeError) {
            switch unwrapInboundIn(data) {
            case .head(let head): try take(head)
            case .body(let bytes): try take(bytes)
            case .end: finish(.success(response), context)
            }
        } catch {
            fail(error, context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(Self.closedEarly, context)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.invalidEOFState: fail(Self.closedEarly, context)
        case let error as HTTPParserError: fail(ScrapeError(.notHTTP, "the answer is no HTTP: \(error)"), context)
        default: fail(ScrapeError(.cutShort, "the connection broke: \(error)"), context)
        }
    }

    private static let closedEarly = ScrapeError(.cutShort, "the connection closed before the answer's end")

    private func take(_ head: HTTPResponseHead) throws(ScrapeError) {
        guard head.status == .ok else { throw ScrapeError(.badStatus, "status \(head.status.code)") }
        let encoding = head.headers.first(name: "content-encoding")?.lowercased() ?? "identity"
        guard ["identity", "gzip", "x-gzip"].contains(encoding) else {
            throw ScrapeError(.badEncoding, "the answer is encoded as \(encoding.prefix(32)), not gzip or plain")
        }
        response.isPacked = encoding != "identity"
        response.isOpenMetrics = head.headers.first(name: "content-type")?.contains("openmetrics") ?? false
        let announced = head.headers.first(name: "content-length").flatMap(Int.init) ?? 0
        guard announced <= response.bytesMax else { throw .tooLarge(response.bytesMax) }
        response.body.reserveCapacity(min(response.isPacked ? announced : max(expected, announced), response.bytesMax))
    }

    private func take(_ bytes: ByteBuffer) throws(ScrapeError) {
        let size = response.body.count + bytes.readableBytes
        guard size <= response.bytesMax else { throw .tooLarge(response.bytesMax) }
        guard grant.extend(to: size) else { throw .tooMany(response.body.count) }
        response.body.append(contentsOf: bytes.readableBytesView)
    }

    private func fail(_ error: ScrapeError, _ context: ChannelHandlerContext) { finish(.failure(error), context) }

    private func finish(_ result: Result<Response, any Error>, _ context: ChannelHandlerContext) {
        guard !isFinished else { return }
        isFinished = true
        timer?.cancel()
        response = Response()
        promise.completeWith(result)
        context.close(promise: nil)
    }
}
