import MeshCompression
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Why a scrape brought nothing.
struct ScrapeError: Error, CustomStringConvertible {
    enum Kind: String, CaseIterable {
        case notConnected = "not_connected"
        case timedOut = "timed_out"
        case badStatus = "bad_status"
        case tooLarge = "too_large"
        case badEncoding = "bad_encoding"
        case cutShort = "cut_short"
        case notHTTP = "not_http"
    }

    let kind: Kind
    let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    static func tooMany(_ count: Int) -> ScrapeError {
        ScrapeError(.tooLarge, "too many large answers at once: this one had \(count) bytes so far")
    }

    static func tooLarge(_ bytesMax: Int) -> ScrapeError {
        ScrapeError(.tooLarge, "the answer is larger than \(bytesMax >> 20) MiB")
    }
}

/// Asks one target once: bounded in time and bytes, whatever the target does.
///
/// A connection a scrape: hundreds of idle ones, each with its buffers, would take more memory than cursors do. An HTTP
/// client's pool, and its hop between threads for each piece of an answer, were a quarter of what a scrape cost.
struct ScrapeClient: Sendable {
    /// Largest answer, unpacked: a proxy with 50,000 series prints 20 MB.
    static let bodyBytesMax = 32 << 20
    /// Largest answer as sent when it is compressed.
    static let packedBytesMax = 8 << 20
    /// Time for a connection.
    private static let connectTimeout: Int64 = 2
    /// Bytes of one read. Large from the start: a short-lived connection would grow its reads only when the answer is over.
    private static let readBytes = 96 << 10

    /// An answer.
    struct Answer: Sendable {
        var body: [UInt8]
        /// Whether it says that it is OpenMetrics, which ends with `# EOF`.
        var isOpenMetrics: Bool
        /// Room for the body, to be held as long as it is.
        let grant: ByteBudget.Grant
    }

    private let group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    private let budget = ByteBudget()
    /// Whether targets may compress. It saves nine tenths of the traffic inside the cluster, and costs each proxy
    /// more CPU than sending its text plainly; so it is for those who pay for traffic between zones.
    let acceptsGzip: Bool

    /// The text of `/metrics` of a target.
    ///
    /// - Parameters:
    ///   - ip: Its address; IPv6 without brackets.
    ///   - expected: Bytes to make room for at once.
    /// - Throws: `ScrapeError`; `CancellationError` when the task is cancelled.
    func scrape(_ ip: String, port: Int, expecting expected: Int) async throws -> Answer {
        guard (1...65_535).contains(port), let address = try? SocketAddress(ipAddress: ip, port: port) else {
            throw ScrapeError(.notConnected, "\(ip) port \(port) is no address")
        }
        let grant = ByteBudget.Grant(of: budget)
        let response = try await ask(address, request(ip, port), expecting: expected, grant)
        let body = response.isPacked ? try Self.unpack(response.body, grant) : response.body
        return Answer(body: body, isOpenMetrics: response.isOpenMetrics, grant: grant)
    }

    private func request(_ ip: String, _ port: Int) -> HTTPRequestHead {
        let host = ip.contains(":") ? "[\(ip)]" : ip
        let headers: HTTPHeaders = [
            "host": "\(host):\(port)", "user-agent": "linkerd-viz", "connection": "close",
            "accept": "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5",
            "accept-encoding": acceptsGzip ? "gzip" : "identity",
        ]
        return HTTPRequestHead(version: .http1_1, method: .GET, uri: "/metrics", headers: headers)
    }

    private func ask(
        _ address: SocketAddress, _ request: HTTPRequestHead, expecting expected: Int, _ grant: ByteBudget.Grant
    ) async throws -> ScrapeExchange.Response {
        let loop = group.next()
        let promise = loop.makePromise(of: ScrapeExchange.Response.self)
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(.seconds(Self.connectTimeout))
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                    try channel.pipeline.syncOperations.addHandler(
                        ScrapeExchange(request, expecting: expected, grant: grant, promise: promise))
                }
            }
            .connect(to: address)
        connected.whenFailure { promise.fail(Self.readable($0)) }
        let response = try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            promise.fail(CancellationError())
            connected.whenSuccess { $0.close(promise: nil) }
        }
        // An answer without a length ends where its connection does, and we may be who closed it.
        try Task.checkCancellation()
        return response
    }

    private static func readable(_ error: any Error) -> ScrapeError {
        if case ChannelError.connectTimeout = error {
            return ScrapeError(.timedOut, "no connection within \(connectTimeout) s")
        }
        return ScrapeError(.notConnected, "no connection: \(error)")
    }

    private static func unpack(_ packed: [UInt8], _ grant: ByteBudget.Grant) throws -> [UInt8] {
        do {
            let text = try Gzip.expand(ByteBuffer(bytes: packed), outputBytesMax: bodyBytesMax)
            guard grant.extend(to: packed.count + text.readableBytes) else { throw ScrapeError.tooMany(text.readableBytes) }
            return Array(text.readableBytesView)
        } catch let error as CompressionError {
            switch error.kind {
            case .outputTooLarge: throw ScrapeError.tooLarge(bodyBytesMax)
            case .truncated: throw ScrapeError(.cutShort, "the gzip stream is cut short")
            default: throw ScrapeError(.badEncoding, "the gzip stream is damaged")
            }
        }
    }
}

/// Bounds what answers take together, until they are taken in. The first megabytes of each are free, so that large ones
/// only ever stand in the way of large ones.
final class ByteBudget: Sendable {
    /// What one answer has taken; given back when nobody holds it any more.
    final class Grant: Sendable {
        private let budget: ByteBudget
        private let bytes = Mutex(0)

        init(of budget: ByteBudget) { self.budget = budget }

        deinit { budget.giveBack(bytes.withLock { $0 }) }

        /// Raises the grant to an answer's size; `false` when there is no room.
        func extend(to size: Int) -> Bool {
            guard size > ByteBudget.freeBytes else { return true }
            return bytes.withLock { bytes in
                let wanted = max(0, size - ByteBudget.freeBytes - bytes)
                guard budget.take(wanted) else { return false }
                bytes += wanted
                return true
            }
        }
    }

    /// Bytes of an answer that need no grant; an ordinary proxy prints less.
    private static let freeBytes = 2 << 20
    /// Bytes beyond those, of all answers.
    private static let bytesMax = 64 << 20

    private let taken = Mutex(0)

    private func take(_ count: Int) -> Bool {
        taken.withLock { taken in
            guard taken + count <= Self.bytesMax else { return false }
            taken += count
            return true
        }
    }

    private func giveBack(_ count: Int) { taken.withLock { $0 -= count } }
}
