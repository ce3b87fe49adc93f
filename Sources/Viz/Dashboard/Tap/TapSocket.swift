// `/api/tap`: one page's live requests over one WebSocket. The page says what it wants in its first message; then it gets an
// event a message, as JSON, until either side closes. A page that reads slowly slows its own tap only: nothing is read
// from the tap service while the socket is full, and what is lost then is counted where it is lost.

import Logging
import MeshAPI
import MeshModel
import MeshWebSocket
import NIOCore
import ServiceLifecycle
import SwiftProtobuf
import Synchronization

/// Serves the sockets of all pages.
final class TapSocket: Sendable {
    /// Sockets at once; further ones are closed at once.
    static let socketsMax = 64
    /// Time for the first message.
    static let patience: TimeAmount = .seconds(10)

    private let source: any TapSource
    private let logger: Logger
    private let open = Mutex(0)

    init(source: any TapSource, logger: Logger) {
        self.source = source
        self.logger = logger
    }

    /// Why a socket is closed, as RFC 6455 section 7.4.1 numbers it.
    private struct Closing: Error {
        let code: UInt16
        let reason: String

        init(_ code: UInt16, _ reason: String) {
            self.code = code
            self.reason = reason
        }

        init(explaining error: any Error) {
            if let closing = error as? Closing {
                self = closing
                return
            }
            let problem = DashboardError(explaining: error)
            code =
                switch problem.kind {
                case .badRequest, .notFound, .forbidden: 1_008
                case .tooManyViewers: 1_013
                case .upstream, .upstreamUnavailable, .upstreamTimeout: 1_011
                }
            reason = problem.message
        }
    }

    /// Serves one socket to its end.
    func serve(_ stream: WebSocketStream) async {
        let count = open.withLock { count in
            count += 1
            return count
        }
        defer { open.withLock { $0 -= 1 } }
        do {
            try await stream.executeThenClose { inbound, outbound in
                do {
                    guard count <= Self.socketsMax else {
                        throw DashboardError(.tooManyViewers, "too many live views are open; close some pages")
                    }
                    try await cancelWhenGracefulShutdown { try await self.talk(stream, inbound, outbound) }
                } catch {
                    let closing = Closing(explaining: error)
                    try await stream.close(code: closing.code, reason: closing.reason)
                }
            }
        } catch {
            // The page is gone: that is how taps end.
            logger.debug("Live view ended", metadata: ["error": "\(error)"])
        }
    }

    private func talk(
        _ stream: WebSocketStream, _ inbound: NIOAsyncChannelInboundStream<WebSocketMessage>,
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketMessage>
    ) async throws {
        var reader = inbound.makeAsyncIterator()
        let impatience = stream.channel.eventLoop.scheduleTask(in: Self.patience) { stream.channel.close(promise: nil) }
        guard let first = try await reader.next() else { return }
        impatience.cancel()
        guard first.kind == .text else { throw Closing(1_003, "the first message must be text") }
        let ask = try TapAsk(json: Array(first.payload.readableBytesView))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.follow(ask, stream, outbound) }
            // Whatever else the page says is not for us; its leaving ends the tap, and the tap's end closes the socket.
            while try await reader.next() != nil {}
            group.cancelAll()
        }
    }

    private func follow(
        _ ask: TapAsk, _ stream: WebSocketStream, _ outbound: NIOAsyncChannelOutboundWriter<WebSocketMessage>
    ) async {
        var closing = Closing(1_011, "the tap service ended the tap")
        do {
            try await source.tap(ask.request) {
                if ask.wantsNews { try await outbound.write(.text(#"{"open":true}"#)) }
            } sink: { event in
                for text in try Self.messages(event, ask) { try await outbound.write(.text(text)) }
            }
        } catch {
            if Task.isCancelled { return }
            closing = Closing(explaining: error)
        }
        // A page that has left meanwhile needs no reason.
        try? await stream.close(code: closing.code, reason: closing.reason)
    }

    /// An event as proto3's JSON, and what was lost before it.
    private static func messages(_ event: Linkerd2_Tap_TapEvent, _ ask: TapAsk) throws -> [String] {
        var texts: [String] = []
        let bytes = event.unknownFields.data
        // Fields of another extension say nothing of losses.
        if ask.wantsNews, !bytes.isEmpty, let more = try? Linkerd2_Tap_Live_EventExtension(serializedBytes: Array(bytes)),
            more.hasLosses
        {
            texts.append("{\"losses\":\(try more.losses.jsonString())}")
        }
        if event.http.event != nil { texts.append(try event.jsonString()) }
        return texts
    }
}
