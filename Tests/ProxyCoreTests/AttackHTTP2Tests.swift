// What a hostile HTTP/2 client can do to a running proxy, each against the bound that stops it
// (`SessionLimits`, `HTTP2Limits`).

import MeshHTTP2
import NIOCore
import ProxyCore
import Testing

@Suite("Attacks by HTTP/2", .timeLimit(.minutes(3)))
struct AttackHTTP2Tests {
    private static let enhanceYourCalm: UInt8 = 11

    @Test("Rapid reset: past the bound the connection ends with ENHANCE_YOUR_CALM")
    func rapidReset() async throws {
        let bound = ["LINKERD2_PROXY_INBOUND_SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS": "50"]
        try await Siege.run(bound) { siege in
            let attacker = try await siege.attacker2()
            let rounds = try await siege.flood(attacker, most: 5_000) { round in
                let stream = UInt32(2 * round + 1)
                return RawFrame.headers(stream) + RawFrame.reset(stream)
            }
            #expect(rounds > 50)
            #expect(attacker.frames.goAwayCodes.last == Self.enhanceYourCalm)
            let open = try await siege.proxy.metric("tcp_open_connections", ["peer": "src"])
            #expect(open == 1)
        }
    }

    @Test("MadeYouReset: resets that the client provokes are bounded like its own")
    func madeYouReset() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            let most = SessionLimits().causedResets.burst * 8
            try await siege.flood(attacker, most: most) { round in
                let stream = UInt32(2 * round + 1)
                // A window that overflows is a stream error: the server must reset.
                return RawFrame.headers(stream, end: false) + RawFrame.make(8, 0, stream, [0x7F, 0xFF, 0xFF, 0xFF])
            }
            #expect(attacker.frames.resets.count <= SessionLimits().causedResets.burst + 50)
        }
    }

    @Test("CONTINUATION frames without end, empty or not, end the connection", arguments: [0, 5])
    func continuation(bytes: Int) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            try await attacker.send(bytes: RawFrame.make(1, 1, 1, RawFrame.get))
            let piece: [UInt8] = bytes == 0 ? [] : [0x00, 0x01, 0x61, 0x01, 0x62]
            let rounds = try await siege.flood(attacker, most: 10_000) { _ in RawFrame.make(9, 0, 1, piece) }
            #expect(rounds < 10_000)
            #expect(siege.server2.requestCount == 0)
        }
    }

    @Test("PINGs from a client that never reads do not pile up")
    func pingUnread() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            try await attacker.setReading(false)
            let chunk = (0..<200).flatMap { _ in RawFrame.ping }
            // The socket's buffers take some answers; then they are queued, up to the bound.
            for _ in 0..<20_000 {
                guard attacker.channel.isActive else { break }
                do { try await attacker.send(bytes: chunk) } catch { break }
                if try await siege.proxy.metric("tcp_open_connections", ["peer": "src"]) == 1 { break }
            }
            try await eventually("the connection is gone") {
                try await siege.proxy.metric("tcp_open_connections", ["peer": "src"]) == 1
            }
        }
    }

    @Test("PINGs faster than any honest client needs them end the connection, read or not")
    func pingRead() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            let chunk = (0..<100).flatMap { _ in RawFrame.ping }
            try await siege.flood(attacker, most: SessionLimits().pingFrames.burst) { _ in chunk }
            #expect(attacker.frames.goAwayCodes.last == Self.enhanceYourCalm)
        }
    }

    @Test("SETTINGS frames, and SETTINGS with too many entries, end the connection", arguments: [0, 200])
    func settings(entries: Int) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            let entry: [UInt8] = [0, 4, 0, 0, 0xFF, 0xFF]
            let frame = RawFrame.make(4, 0, 0, (0..<entries).flatMap { _ in entry })
            try await siege.flood(attacker, most: 1_000) { _ in frame }
            #expect(!attacker.frames.goAwayCodes.isEmpty)
        }
    }

    @Test("Empty DATA frames end the connection")
    func emptyData() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            try await attacker.send(bytes: RawFrame.headers(1, end: false))
            let chunk = (0..<50).flatMap { _ in RawFrame.make(0, 0, 1) }
            try await siege.flood(attacker, most: 500) { _ in chunk }
            #expect(attacker.frames.goAwayCodes.last == Self.enhanceYourCalm)
        }
    }

    @Test("Padding that carries nothing counts as empty DATA")
    func paddedData() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            try await attacker.send(bytes: RawFrame.headers(1, end: false))
            // PADDED, 200 bytes of padding, no data. The windows are refilled by nobody, so flow control ends it at
            // the latest; without either the connection would go on for ever.
            let frame = RawFrame.make(0, 8, 1, [200] + [UInt8](repeating: 0, count: 200))
            try await siege.flood(attacker, most: 20_000) { _ in frame }
            #expect(!attacker.frames.goAwayCodes.isEmpty || !attacker.frames.resets.isEmpty)
        }
    }

    @Test("A header list past the bound is 431, an HPACK bomb too, and the connection goes on")
    func bombs() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            // One 4,000-byte value enters the dynamic table, then every byte of the block repeats it.
            let literal: [UInt8] = [0x40, 0x01, 0x61, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x62, count: 4_000)
            let block = RawFrame.get + literal + [UInt8](repeating: 0xBE, count: 12_000)
            try await attacker.send(bytes: RawFrame.headers(1, block))
            try await eventually("an answer") { attacker.frames.headersCount == 1 }
            #expect(attacker.frames.goAwayCodes.isEmpty)
            try await siege.expectServed(attacker, stream: 3)
            #expect(siege.server2.requestCount == 1)
        }
    }

    @Test("Streams past the bound are refused, and those within it are served")
    func streams() async throws {
        let bound = ["LINKERD2_PROXY_INBOUND_SERVER_HTTP2_MAX_CONCURRENT_STREAMS": "10"]
        try await Siege.run(bound) { siege in
            let attacker = try await siege.attacker2()
            let opened = (0..<200).flatMap { RawFrame.headers(UInt32(2 * $0 + 1), end: false) }
            try await attacker.send(bytes: opened)
            try await eventually("refusals") { attacker.frames.resets.count == 190 }
            // Before the settings were acknowledged the client could not know: REFUSED_STREAM, safe to send again.
            #expect(Set(attacker.frames.resets.map(\.code)) == [7])
        }
    }

    @Test(
        "Heads that HTTP/1 could read differently never get past the proxy",
        arguments: [
            ("line ends in a value", RawFrame.get + RawFrame.field("x", "a\r\ny: z")),
            ("a line feed in a value", RawFrame.get + RawFrame.field("x", "a\nb")),
            ("a null in a value", RawFrame.get + RawFrame.field("x", "a\0b")),
            ("an upper-case name", RawFrame.get + RawFrame.field("X-A", "b")),
            ("a blank in a name", RawFrame.get + RawFrame.field("x a", "b")),
            ("a colon in a name", RawFrame.get + RawFrame.field("x:a", "b")),
            ("connection", RawFrame.get + RawFrame.field("connection", "x")),
            ("transfer-encoding", RawFrame.get + RawFrame.field("transfer-encoding", "chunked")),
            ("te other than trailers", RawFrame.get + RawFrame.field("te", "gzip")),
            ("two paths", RawFrame.get + [0x84]), ("two methods", [0x82] + RawFrame.get),
            ("an unknown pseudo header", RawFrame.get + RawFrame.field(":evil", "1")),
            ("a pseudo header behind a field", [0x82, 0x86] + RawFrame.field("x", "y") + [0x84]),
            ("no path", [0x82, 0x86]), ("an empty path", [0x82, 0x86] + RawFrame.field(":path", "")),
            ("a blank in the method", RawFrame.field(":method", "GET /x") + [0x86, 0x84]),
            ("two lengths", RawFrame.get + RawFrame.field("content-length", "1") + RawFrame.field("content-length", "2")),
            ("a length that is none", RawFrame.get + RawFrame.field("content-length", "+1")),
            ("a length without a body", RawFrame.get + RawFrame.field("content-length", "5")),
        ] as [(String, [UInt8])])
    func heads(what: String, block: [UInt8]) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            try await attacker.send(bytes: RawFrame.headers(1, block))
            try await eventually("\(what) is refused") {
                let frames = attacker.frames
                return frames.resets.contains { $0.stream == 1 } || !frames.goAwayCodes.isEmpty || frames.headersCount > 0
            }
            #expect(siege.server2.requestCount == 0, "\(what) reached the server")
            #expect(try await siege.proxy.metric("request_total") == 1, "\(what) was counted as a request")
        }
    }

    @Test("A body longer than its length, or shorter, is reset", arguments: [1, 9])
    func length(bytes: Int) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            let block = RawFrame.get + RawFrame.field("content-length", "4")
            try await attacker.send(
                bytes: RawFrame.headers(1, block, end: false)
                    + RawFrame.make(0, 1, 1, [UInt8](repeating: 0x61, count: bytes)))
            try await eventually("the stream is reset") { attacker.frames.resets.contains { $0.stream == 1 } }
        }
    }

    @Test("A connection that only ever sends half a frame is no trouble")
    func half() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker2()
            try await attacker.send(bytes: Array(RawFrame.headers(1).dropLast(2)))
            try await siege.holds()
            try await attacker.send(bytes: Array(RawFrame.headers(1).suffix(2)))
            try await eventually("an answer") { attacker.frames.headersCount == 1 }
        }
    }
}

extension Siege {
    /// The connection still answers a request on `stream`.
    func expectServed(_ attacker: TestConnection, stream: UInt32) async throws {
        let before = attacker.frames.headersCount
        try await attacker.send(bytes: RawFrame.headers(stream))
        try await eventually("stream \(stream) is answered") { attacker.frames.headersCount > before }
        #expect(attacker.frames.goAwayCodes.isEmpty)
    }
}
