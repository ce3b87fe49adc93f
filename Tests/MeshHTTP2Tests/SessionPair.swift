import MeshHTTP2
import NIOCore

/// A client and a server session joined without sockets. Events are handled by closures; nothing is consumed
/// by itself.
final class SessionPair {
    let client: HTTP2Session
    let server: HTTP2Session
    var onServer: (HTTP2Event, HTTP2Session) -> Void = { _, _ in }
    var onClient: (HTTP2Event, HTTP2Session) -> Void = { _, _ in }
    var now: UInt64 = 1_000_000_000
    /// Most bytes that go across in one piece.
    var pieceBytesMax = Int.max

    init(
        _ limits: SessionLimits = SessionLimits(), client clientLimits: SessionLimits = SessionLimits(),
        serverMemory: HTTP2Memory = HTTP2Memory()
    ) {
        client = HTTP2Session(role: .client, limits: clientLimits)
        server = HTTP2Session(role: .server, limits: limits, memory: serverMemory)
    }

    /// Moves bytes both ways until neither side has anything to say.
    func run() {
        var moved = true
        while moved {
            moved = move(from: client, to: server, onClient, onServer)
            moved = move(from: server, to: client, onServer, onClient) || moved
        }
    }

    func drain(_ session: HTTP2Session, _ handle: (HTTP2Event, HTTP2Session) -> Void) {
        while let event = session.nextEvent() { handle(event, session) }
    }

    private func move(
        from source: HTTP2Session, to sink: HTTP2Session, _ onSource: (HTTP2Event, HTTP2Session) -> Void,
        _ onSink: (HTTP2Event, HTTP2Session) -> Void
    ) -> Bool {
        var output: [ByteBuffer] = []
        let count = source.produce { output.append($0) }
        drain(source, onSource)
        for var buffer in output {
            while let piece = buffer.readSlice(length: min(buffer.readableBytes, pieceBytesMax)),
                piece.readableBytes > 0
            {
                sink.receive(piece, nowNanoseconds: now)
                drain(sink, onSink)
            }
        }
        return count > 0
    }
}

extension HTTP2Session {
    /// Opens a request with the four pseudo headers and `fields`.
    func request(
        _ path: String = "/", method: String = "GET", isEnd: Bool = true, fields: [(String, String)] = []
    ) -> Int {
        let headers = HTTP2Headers()
        let block = headers.append(
            [(":method", method), (":scheme", "http"), (":authority", "example.org"), (":path", path)]
                + fields.map { (name: $0.0, value: $0.1) })
        return submitRequest(block, of: headers, isEnd: isEnd) ?? -1
    }

    /// Answers with a status.
    func respond(_ slot: Int, status: String = "200", isEnd: Bool, fields: [(String, String)] = []) {
        let headers = HTTP2Headers()
        let block = headers.append([(":status", status)] + fields.map { (name: $0.0, value: $0.1) })
        submitResponse(block, of: headers, isEnd: isEnd, on: slot)
    }
}

/// Frames by hand, for what no honest library sends.
enum Frame {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// GET http example.org `/`, from the static table where possible.
    static let getBlock: [UInt8] = [0x82, 0x86, 0x84, 0x41, 0x0B] + Array("example.org".utf8)
    static let settings = make(4, 0, 0)

    static func make(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF), type, flags]
            + (0..<4).map { UInt8(stream >> (24 - 8 * UInt32($0)) & 0xFF) } + payload
    }

    static func headers(_ stream: UInt32, _ block: [UInt8] = getBlock, end: Bool = true) -> [UInt8] {
        make(1, end ? 5 : 4, stream, block)
    }

    static func reset(_ stream: UInt32, code: UInt8 = 8) -> [UInt8] { make(3, 0, stream, [0, 0, 0, code]) }
}

/// A server session fed by hand, and what it said.
struct RawServer {
    let session: HTTP2Session
    var events: [HTTP2Event] = []
    var failure: HTTP2Error?
    var largestBlock = 0

    init(_ limits: SessionLimits = SessionLimits()) {
        session = HTTP2Session(role: .server, limits: limits)
        feed(Frame.preface + Frame.settings)
    }

    /// Feeds bytes and reads every event; writes what the session has to say, unless `isDeaf`.
    mutating func feed(_ bytes: [UInt8], now: UInt64 = 1_000_000_000, isDeaf: Bool = false) {
        session.receive(ByteBuffer(bytes: bytes), nowNanoseconds: now)
        read()
        if !isDeaf {
            _ = session.produce { _ in }
            read()
        }
    }

    private mutating func read() {
        while let event = session.nextEvent() {
            if case .failed(let error) = event { failure = failure ?? error }
            if case .head(_, let block, _) = event {
                largestBlock = max(largestBlock, Int(block.count))
            }
            events.append(event)
        }
    }

    var headCount: Int {
        events.reduce(0) { count, event in
            if case .head = event { return count + 1 }
            return count
        }
    }
}

/// A small seeded generator: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
