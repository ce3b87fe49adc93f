import Logging
import NIOCore
import NIOHTTP1

/// Gathers the parts of requests, and refuses bodies that are too large without keeping them.
struct RequestCollector {
    enum Step {
        case waits
        /// The client waits for leave to send its body.
        case sendContinue(HTTPRequestHead)
        case request(HTTPRequestHead, ByteBuffer)
        case tooLarge(HTTPRequestHead)
    }

    private var head: HTTPRequestHead?
    private var body = ByteBuffer()

    mutating func received(_ part: HTTPServerRequestPart) -> Step {
        switch part {
        case .head(let head):
            self.head = head
            body = ByteBuffer()
            let declared = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
            if declared > APIRequest.bodyBytesMax { return .tooLarge(head) }
            let waits = head.headers.first(name: "Expect")?.lowercased() == "100-continue"
            return waits ? .sendContinue(head) : .waits
        case .body(let piece):
            guard let head else { return .waits }
            if body.readableBytes + piece.readableBytes > APIRequest.bodyBytesMax { return .tooLarge(head) }
            body.writeImmutableBuffer(piece)
            return .waits
        case .end:
            guard let head else { return .waits }
            self.head = nil
            return .request(head, body)
        }
    }
}

/// Serves the requests of one connection, one after another.
struct HTTPConnection: Sendable {
    typealias Stream = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    let channel: Stream
    let router: Router
    let logger: Logger

    /// Runs until the client hangs up, asks to close, or sends what cannot be read.
    func run() async {
        do {
            try await channel.executeThenClose { inbound, outbound in
                let certificate = try await ClientCertificate.of(channel.channel)
                var collector = RequestCollector()
                for try await part in inbound {
                    switch collector.received(part) {
                    case .waits: continue
                    case .sendContinue(let head):
                        try await outbound.write(
                            .head(HTTPResponseHead(version: head.version, status: .continue)))
                    case .request(let head, let body):
                        let answer = await router.respond(head: head, body: body, certificate: certificate)
                        try await write(answer, for: head, keepsAlive: head.isKeepAlive, outbound)
                        if !head.isKeepAlive { return }
                    case .tooLarge(let head):
                        let answer = APIResponse.failure(.tooLarge(limitBytes: APIRequest.bodyBytesMax))
                        try await write(answer, for: head, keepsAlive: false, outbound)
                        return
                    }
                }
            }
        } catch {
            // A hang-up in the middle of an answer is the client's right.
            logger.debug("Connection ended", metadata: ["cause": "\(error)"])
        }
    }

    private func log(_ head: HTTPRequestHead, status: Int) {
        logger.debug(
            "Request answered",
            metadata: ["method": "\(head.method)", "path": "\(head.uri)", "status": "\(status)"])
    }

    private func write(
        _ response: APIResponse, for head: HTTPRequestHead, keepsAlive: Bool,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        switch response {
        case .full(let status, let headers, let body):
            log(head, status: status)
            var answer = HTTPResponseHead(version: head.version, status: .init(statusCode: status))
            for (name, value) in headers { answer.headers.add(name: name, value: value) }
            answer.headers.add(name: "Content-Length", value: String(body.readableBytes))
            if !keepsAlive { answer.headers.add(name: "Connection", value: "close") }
            var parts: [HTTPServerResponsePart] = [.head(answer)]
            if head.method != .HEAD, body.readableBytes > 0 { parts.append(.body(.byteBuffer(body))) }
            parts.append(.end(nil))
            try await outbound.write(contentsOf: parts)
        case .stream(let produce):
            let stream = ResponseStream(
                request: head, keepsAlive: keepsAlive, outbound: outbound, channel: channel.channel)
            do {
                try await produce(stream)
            } catch let error where !stream.isStarted {
                let answer = (error as? StatusError) ?? .internalError("\(error)")
                try await write(.failure(answer), for: head, keepsAlive: keepsAlive, outbound)
                return
            }
            log(head, status: stream.status)
            try await outbound.write(.end(nil))
        }
    }
}
