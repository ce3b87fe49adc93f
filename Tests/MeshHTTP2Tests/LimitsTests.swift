import MeshHTTP2
import NIOCore
import Testing

@Suite("What a peer may not do", .timeLimit(.minutes(1)))
struct LimitsTests {
    @Test("Bytes that are no preface end the connection")
    func preface() {
        let session = HTTP2Session(role: .server, limits: SessionLimits())
        session.receive(ByteBuffer(string: "GET / HTTP/1.1\r\nhost: a\r\n\r\n"), nowNanoseconds: 1)
        guard case .failed(let error)? = session.nextEvent() else {
            return #expect(Bool(false), "no failure")
        }
        #expect(error.kind == .preface)
    }

    @Test("Rapid resets end the connection with ENHANCE_YOUR_CALM, a few do not")
    func rapidReset() {
        var server = RawServer()
        for stream in 0..<900 {
            server.feed(Frame.headers(UInt32(2 * stream + 1)) + Frame.reset(UInt32(2 * stream + 1)))
        }
        #expect(server.failure == nil)
        for stream in 900..<3_000 where server.failure == nil && !server.session.isFinished {
            server.feed(Frame.headers(UInt32(2 * stream + 1)) + Frame.reset(UInt32(2 * stream + 1)))
        }
        #expect(server.failure?.kind == .flood || server.session.isFinished)
    }

    @Test("Resets that a client makes us send count as well")
    func madeYouReset() {
        var server = RawServer()
        var streams = 0
        for stream in 0..<5_000 where server.failure == nil {
            let id = UInt32(2 * stream + 1)
            // A window that overflows is a stream error: we must reset.
            server.feed(Frame.headers(id) + Frame.make(8, 0, id, [0x7F, 0xFF, 0xFF, 0xFF]))
            streams += 1
        }
        #expect(server.failure?.kind == .flood)
        #expect(streams <= 250)
    }

    @Test("Tokens come back with time")
    func ratesRecover() {
        var server = RawServer()
        for stream in 0..<1_500 {
            let id = UInt32(2 * stream + 1)
            server.feed(
                Frame.headers(id) + Frame.make(8, 0, id, [0x7F, 0xFF, 0xFF, 0xFF]),
                now: 1_000_000_000 + UInt64(stream) * 100_000_000)  // Ten a second, under the rate.
        }
        #expect(server.failure == nil)
    }

    @Test("SETTINGS frames have a rate")
    func settingsFlood() {
        var server = RawServer()
        for _ in 0..<500 where server.failure == nil { server.feed(Frame.settings) }
        #expect(server.failure?.kind == .flood)
    }

    @Test("A client that pings and never reads is cut off")
    func pingFlood() {
        var server = RawServer()
        let ping = Frame.make(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
        for _ in 0..<3_000 where server.failure == nil { server.feed(ping, isDeaf: true) }
        #expect(server.failure?.kind == .flood)
    }

    @Test("DATA frames that carry nothing have a rate")
    func emptyData() {
        var server = RawServer()
        server.feed(Frame.headers(1, end: false))
        for _ in 0..<3_000 where server.failure == nil { server.feed(Frame.make(0, 0, 1)) }
        #expect(server.failure?.kind == .flood)
    }

    @Test("Endless CONTINUATION ends the connection")
    func continuationFlood() {
        var server = RawServer()
        server.feed(Frame.make(1, 1, 1, Frame.getBlock))
        for _ in 0..<50 where server.failure == nil && !server.session.isFinished {
            server.feed(Frame.make(9, 0, 1, [0x00, 0x01, 0x61, 0x01, 0x62]))
        }
        #expect(server.failure != nil || server.session.isFinished)
    }

    @Test("An HPACK bomb stays small and is reported as too large")
    func hpackBomb() {
        var server = RawServer()
        // One 4,000-byte value enters the dynamic table, then every byte of the block repeats it.
        let literal: [UInt8] = [0x40, 0x01, 0x61, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x62, count: 4_000)
        let block = Frame.getBlock + literal + [UInt8](repeating: 0xBE, count: 12_000)
        server.feed(Frame.headers(1, block))
        var isTooLarge = false
        for case .head(_, let block, _) in server.events { isTooLarge = block.isTooLarge }
        #expect(isTooLarge)
        #expect(server.largestBlock < 30)
        // The connection lives on, with its HPACK state intact.
        server.feed(Frame.headers(3))
        #expect(server.headCount == 2)
        #expect(server.failure == nil)
    }

    @Test("Many bombs in one read are handled a few at a time")
    func bombsInOneRead() {
        var server = RawServer()
        var bytes: [UInt8] = []
        let literal: [UInt8] = [0x40, 0x01, 0x61, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x62, count: 4_000)
        bytes += Frame.headers(1, Frame.getBlock + literal)
        for stream in 1..<200 {
            // The authority without indexing, so that index 62 stays the large value.
            var block = Frame.getBlock
            block[3] = 0x01
            bytes += Frame.headers(UInt32(2 * stream + 1), block + [UInt8](repeating: 0xBE, count: 15))
        }
        server.feed(bytes)
        #expect(server.headCount == 200)
        #expect(server.failure == nil)
    }

    static let plain = Frame.getBlock
    static let malformedBlocks: [(String, [UInt8])] = [
        ("no path", [0x82, 0x86, 0x41, 0x01, 0x61]),
        ("method twice", [0x82, 0x82, 0x86, 0x84, 0x41, 0x01, 0x61]),
        ("pseudo header after a field", [0x82, 0x86, 0x84, 0x00, 0x01, 0x78, 0x01, 0x79, 0x41, 0x01, 0x61]),
        ("upper case name", plain + literal("X", "y")),
        ("connection header", plain + literal("connection", "close")),
        ("te that is not trailers", plain + literal("te", "gzip")),
        ("line break in a value", plain + literal("x", "\r\n")),
    ]

    /// A field without indexing and without Huffman coding.
    static func literal(_ name: String, _ value: String) -> [UInt8] {
        var bytes: [UInt8] = [0x00, UInt8(name.utf8.count)]
        bytes += Array(name.utf8)
        bytes.append(UInt8(value.utf8.count))
        bytes += Array(value.utf8)
        return bytes
    }

    @Test("Malformed requests are reset, each for its own reason", arguments: malformedBlocks)
    func malformed(name: String, block: [UInt8]) {
        var server = RawServer()
        server.feed(Frame.headers(1, block))
        #expect(server.headCount == 0, "\(name)")
        var code: HTTP2ErrorCode?
        for case .closed(_, let closure) in server.events { code = closure.code }
        #expect(code == .protocolError, "\(name)")
        server.feed(Frame.headers(3))
        #expect(server.headCount == 1, "\(name)")
    }

    @Test("No mutation of a valid connection crashes", arguments: 1...40)
    func mutations(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let valid =
            Frame.preface + Frame.settings + Frame.headers(1) + Frame.headers(3, end: false)
            + Frame.make(0, 0, 3, Array("hello".utf8)) + Frame.make(8, 0, 0, [0, 0, 1, 0])
            + Frame.make(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]) + Frame.make(0, 1, 3, Array("bye".utf8))
            + Frame.reset(1)
            + Frame.make(7, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])
        for _ in 0..<200 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: 24..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                }
            }
            let session = HTTP2Session(role: .server, limits: SessionLimits())
            var rest = ByteBuffer(bytes: bytes)
            while let piece = rest.readSlice(
                length: min(rest.readableBytes, Int.random(in: 1...60, using: &random))),
                piece.readableBytes > 0
            {
                session.receive(piece, nowNanoseconds: 1)
                while let event = session.nextEvent() {
                    if case .head(let slot, let block, _) = event {
                        _ = session.headers.fields(of: block)
                        session.respond(slot, isEnd: true)
                    }
                    if case .data(_, let chunk) = event { _ = session.bytes(of: chunk) }
                }
                _ = session.produce { _ in }
                while session.nextEvent() != nil {}
            }
        }
    }
}
