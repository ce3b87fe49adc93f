import AsyncHTTPClient
import MeshCompression
import NIOCore
import NIOHTTP1

/// Why a scrape brought nothing.
struct ScrapeError: Error, CustomStringConvertible {
    enum Kind: String, CaseIterable {
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
}

/// Asks one target once: bounded in time and bytes, whatever the target does.
struct ScrapeClient: Sendable {
    /// Largest answer, unpacked: a proxy with 50,000 series prints 20 MB.
    static let bodyBytesMax = 32 << 20
    /// Largest answer as sent when it is compressed.
    static let packedBytesMax = 8 << 20
    /// Bytes of one read.
    private static let readBytes = 96 << 10
    /// Time for a whole answer.
    static let timeout: Duration = .seconds(5)

    /// An answer.
    struct Answer: Sendable {
        var body: [UInt8]
        /// Whether it says that it is OpenMetrics, which ends with `# EOF`.
        var isOpenMetrics: Bool
    }

    let client: HTTPClient
    /// Bytes that answers in flight take together.
    let budget: ByteBudget
    /// Whether targets may compress. It saves nine tenths of the traffic inside the cluster, and costs each proxy
    /// more CPU than sending its text plainly; so it is for those who pay for traffic between zones.
    let acceptsGzip: Bool

    /// A client for many targets.
    static func make(acceptsGzip: Bool) -> ScrapeClient {
        var settings = HTTPClient.Configuration()
        settings.timeout = .init(connect: .seconds(2), read: .seconds(5))
        // A connection a scrape: hundreds of idle ones, each with its buffers, would take more memory than cursors do.
        settings.connectionPool.idleTimeout = .milliseconds(500)
        settings.connectionPool.retryConnectionEstablishment = false
        // Large reads from the start: a short-lived connection would grow its reads only when the answer is over.
        settings.http1_1ConnectionDebugInitializer = { channel in
            channel.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
        }
        settings.redirectConfiguration = .disallow
        return ScrapeClient(
            client: HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings), budget: ByteBudget(),
            acceptsGzip: acceptsGzip)
    }

    /// Closes its connections.
    func shutdown() async throws { try await client.shutdown() }

    /// The text of a target.
    ///
    /// - Parameter expected: Bytes to make room for at once.
    /// - Throws: `ScrapeError`, or what the HTTP client found (connection refused and the like).
    func scrape(_ url: String, expecting expected: Int) async throws -> Answer {
        try await withThrowingTaskGroup(of: Answer.self) { group in
            group.addTask { try await ask(url, expecting: expected) }
            group.addTask {
                // A deadline, not a wait: the answer cancels it.
                try await Task.sleep(for: Self.timeout)
                throw ScrapeError(.timedOut, "no whole answer within \(Self.timeout.components.seconds) s")
            }
            defer { group.cancelAll() }
            guard let answer = try await group.next() else { throw CancellationError() }
            return answer
        }
    }

    private func ask(_ url: String, expecting expected: Int) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "accept", value: "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5")
        request.headers.add(name: "accept-encoding", value: acceptsGzip ? "gzip" : "identity")
        let response = try await head(request)
        guard response.status == .ok else { throw ScrapeError(.badStatus, "status \(response.status.code)") }
        let encoding = response.headers.first(name: "content-encoding")?.lowercased() ?? "identity"
        guard ["identity", "gzip", "x-gzip"].contains(encoding) else {
            throw ScrapeError(.badEncoding, "the answer is encoded as \(encoding.prefix(32)), not gzip or plain")
        }
        let isPacked = encoding != "identity"
        let bytesMax = isPacked ? Self.packedBytesMax : Self.bodyBytesMax
        let announced = response.headers.first(name: "content-length").flatMap(Int.init) ?? 0
        guard announced <= bytesMax else { throw Self.tooLarge(bytesMax) }
        let body = try await collect(response, bytesMax: bytesMax, expecting: isPacked ? announced : max(expected, announced))
        let isOpenMetrics = response.headers.first(name: "content-type")?.contains("openmetrics") ?? false
        return Answer(body: isPacked ? try Self.unpack(body) : body, isOpenMetrics: isOpenMetrics)
    }

    private func head(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        do {
            return try await client.execute(request, timeout: .seconds(5))
        } catch let error as HTTPClientError where error == .deadlineExceeded || error == .readTimeout {
            throw ScrapeError(.timedOut, "no answer within \(Self.timeout.components.seconds) s")
        } catch let error as HTTPParserError {
            throw ScrapeError(.notHTTP, "the answer is no HTTP: \(error)")
        }
    }

    private func collect(_ response: HTTPClientResponse, bytesMax: Int, expecting expected: Int) async throws -> [UInt8] {
        var grant = ByteBudget.Grant()
        do {
            var body: [UInt8] = []
            body.reserveCapacity(min(expected, bytesMax))
            for try await chunk in response.body {
                let size = body.count + chunk.readableBytes
                guard size <= bytesMax else { throw Self.tooLarge(bytesMax) }
                // Ordinary answers never get here, and save the hop to the actor.
                if size > ByteBudget.freeBytes, await !budget.extend(&grant, to: size) {
                    throw ScrapeError(.tooLarge, "too many large answers at once: this one had \(body.count) bytes so far")
                }
                body.append(contentsOf: chunk.readableBytesView)
            }
            try Task.checkCancellation()
            await budget.giveBack(grant)
            return body
        } catch {
            await budget.giveBack(grant)
            throw error
        }
    }

    private static func tooLarge(_ bytesMax: Int) -> ScrapeError {
        ScrapeError(.tooLarge, "the answer is larger than \(bytesMax >> 20) MiB")
    }

    private static func unpack(_ packed: [UInt8]) throws -> [UInt8] {
        do {
            let text = try Gzip.expand(ByteBuffer(bytes: packed), outputBytesMax: bodyBytesMax)
            return Array(text.readableBytesView)
        } catch {
            switch error.kind {
            case .outputTooLarge: throw tooLarge(bodyBytesMax)
            case .truncated: throw ScrapeError(.cutShort, "the gzip stream is cut short")
            default: throw ScrapeError(.badEncoding, "the gzip stream is damaged")
            }
        }
    }
}

/// Bounds what answers in flight take together. The first megabytes of each are free, so that large ones only ever
/// stand in the way of large ones.
actor ByteBudget {
    /// What one answer has taken.
    struct Grant: Sendable {
        fileprivate var bytes = 0
    }

    /// Bytes of an answer that need no grant; an ordinary proxy prints less.
    static let freeBytes = 2 << 20
    /// Bytes beyond those, of all answers.
    static let bytesMax = 64 << 20

    private var taken = 0

    /// Raises a grant to an answer's size; `false` when there is no room.
    func extend(_ grant: inout Grant, to size: Int) -> Bool {
        let wanted = max(0, size - Self.freeBytes) - grant.bytes
        guard wanted > 0 else { return true }
        guard taken + wanted <= Self.bytesMax else { return false }
        taken += wanted
        grant.bytes += wanted
        return true
    }

    /// Returns all that was granted.
    func giveBack(_ grant: Grant) { taken -= grant.bytes }
}
