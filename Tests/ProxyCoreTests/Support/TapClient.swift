import MeshAPI
import MeshHTTP2
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization

/// A tapper that a test reads by hand: one connection, one `Observe` call.
final class TapClient: Sendable {
    typealias Event = Io_Linkerd_Proxy_Tap_TapEvent
    typealias Request = Io_Linkerd_Proxy_Tap_ObserveRequest

    fileprivate struct State {
        var bytes = ByteBuffer()
        var events: [Event] = []
        var losses = Linkerd2_Tap_Live_Losses()
        var lossReports = 0
        var trailers: [String: String] = [:]
        var isStarted = false
        var isEnded = false
    }

    private let state = Mutex(State())
    private let loop: any EventLoop
    private let bound: NIOLoopBound<Reader>

    /// What lives on the loop.
    private final class Reader {
        let peer: HTTP2Peer
        var slot = -1
        var takesBody = true
        var untaken = 0
        init(_ peer: HTTP2Peer) { self.peer = peer }
    }

    private init(loop: any EventLoop, reader: NIOLoopBound<Reader>) {
        self.loop = loop
        bound = reader
    }

    /// Connects and calls `Observe`; returns when the call was accepted or ended.
    static func observe(
        _ address: SocketAddress, on group: any EventLoopGroup, windowMilliseconds: UInt32 = 0,
        _ request: Request
    ) async throws -> TapClient {
        let loop = group.next()
        let reader = try await loop.submit {
            NIOLoopBound(Reader(HTTP2Peer(.client) { _, _ in }), eventLoop: loop)
        }.get()
        let client = TapClient(loop: loop, reader: reader)
        try await loop.submit {
            reader.value.peer.onEvent = { [weak client] event, peer in client?.handle(event, peer) }
        }.get()
        _ = try await ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(reader.value.peer) }
        }.connect(to: address).get()
        var message: [UInt8] = try request.serializedBytes()
        if windowMilliseconds > 0 {
            message += try Linkerd2_Tap_Live_ObserveExtension.with { $0.windowMs = windowMilliseconds }
                .serializedBytes() as [UInt8]
        }
        var frame = ByteBuffer(integer: UInt8(0))
        frame.writeInteger(UInt32(message.count))
        frame.writeBytes(message)
        let body = frame
        try await loop.submit { client.open(body) }.get()
        try await eventually("the tap to start") { client.state.withLock { $0.isStarted || $0.isEnded } }
        return client
    }

    private func open(_ body: ByteBuffer) {
        let headers = HTTP2Headers()
        let block = headers.append([
            (":method", "POST"), (":scheme", "http"), (":path", "/io.linkerd.proxy.tap.Tap/Observe"),
            (":authority", "proxy"), ("te", "trailers"), ("content-type", "application/grpc"),
        ])
        let reader = bound.value
        guard let slot = reader.peer.session.submitRequest(block, of: headers, isEnd: false) else { return }
        reader.slot = slot
        reader.peer.session.sendBody(body, on: slot)
        reader.peer.session.finish(slot)
        reader.peer.flush()
    }

    private func handle(_ event: HTTP2Event, _ peer: HTTP2Peer) {
        let reader = bound.value
        switch event {
        case .head(_, let block, let isEnd):
            state.withLock { state in
                state.isStarted = true
                if isEnd { state.end(peer.session.headers.fields(of: block)) }
            }
        case .trailers(_, let block): state.withLock { $0.end(peer.session.headers.fields(of: block)) }
        case .data(let slot, let chunk):
            let bytes = peer.session.bytes(of: chunk)
            if reader.takesBody {
                peer.session.consume(streamID: peer.session.streamID(of: slot), byteCount: chunk.byteCount)
            } else {
                reader.untaken += chunk.byteCount
            }
            state.withLock { $0.take(bytes) }
        case .closed: state.withLock { $0.isEnded = true }
        default: break
        }
    }

    var events: [Event] { state.withLock { $0.events } }
    var losses: Linkerd2_Tap_Live_Losses { state.withLock { $0.losses } }
    var lossReports: Int { state.withLock { $0.lossReports } }
    var trailers: [String: String] { state.withLock { $0.trailers } }
    var isEnded: Bool { state.withLock { $0.isEnded } }

    /// The events once there are so many.
    func events(count: Int) async throws -> [Event] {
        try await eventually("\(count) tap events") { events.count >= count }
        return events
    }

    /// Stops giving credit, as a reader that stands still.
    func stall() async throws {
        let bound = bound
        try await loop.submit { bound.value.takesBody = false }.get()
    }

    /// Gives back what was withheld, and reads on.
    func resume() async throws {
        let bound = bound
        try await loop.submit {
            let reader = bound.value
            reader.takesBody = true
            reader.peer.session.consume(
                streamID: reader.peer.session.streamID(of: reader.slot), byteCount: reader.untaken)
            reader.untaken = 0
            reader.peer.flush()
        }.get()
    }

    func close() async throws {
        let bound = bound
        try await loop.submit { bound.value.peer.close() }.get()
    }
}

extension TapClient.State {
    fileprivate mutating func end(_ fields: [(name: String, value: String)]) {
        for field in fields { trailers[field.name] = field.value }
        isEnded = true
    }

    fileprivate mutating func take(_ more: ByteBuffer) {
        bytes.writeImmutableBuffer(more)
        while let length = bytes.getInteger(at: bytes.readerIndex + 1, as: UInt32.self),
            bytes.readableBytes >= 5 + Int(length)
        {
            bytes.moveReaderIndex(forwardBy: 5)
            let message = bytes.readBytes(length: Int(length)) ?? []
            // A message that does not decode would be missing in the count.
            guard let event = try? TapClient.Event(serializedBytes: message) else { continue }
            if let more = try? Linkerd2_Tap_Live_EventExtension(serializedBytes: message), more.hasLosses {
                losses = more.losses
                lossReports += 1
            }
            if event.http.event != nil { events.append(event) }
        }
    }
}

extension TapClient.Request {
    /// Everything, at most `limit` requests.
    static func all(limit: UInt32, headers: Bool = false) -> Self {
        .with {
            $0.limit = limit
            $0.match.all = .init()
            if headers { $0.extract.http.headers = .init() }
        }
    }
}
