import MeshHTTP2
import NIOCore
import Testing

@Suite("One HTTP/2 connection", .timeLimit(.minutes(1)))
struct HTTP2SessionTests {
    @Test("A request and its answer arrive field by field, also byte by byte", arguments: [1, 7, Int.max])
    func roundTrip(pieceBytesMax: Int) {
        let pair = SessionPair()
        pair.pieceBytesMax = pieceBytesMax
        var request: [String] = []
        var answer: [String] = []
        var body = ""
        pair.onServer = { event, server in
            switch event {
            case .head(let slot, let block, let isEnd):
                request = server.headers.fields(of: block).map { "\($0.name)=\($0.value)" } + ["end=\(isEnd)"]
                #expect(server.headers.isGRPC(block))
                server.respond(slot, isEnd: false, fields: [("content-type", "application/grpc")])
                server.sendBody(ByteBuffer(string: "hello"), on: slot)
                let trailers = HTTP2Headers()
                server.sendTrailers(trailers.append([("grpc-status", "7")]), of: trailers, on: slot)
            default: break
            }
        }
        pair.onClient = { event, client in
            switch event {
            case .head(_, let block, let isEnd):
                answer.append("\(client.headers.number(of: .status, in: block) ?? 0) end=\(isEnd)")
            case .data(_, let chunk): body += String(buffer: client.bytes(of: chunk))
            case .trailers(_, let block):
                answer.append("trailers \(client.headers.number(of: .grpcStatus, in: block) ?? -1)")
            case .closed(_, let closure): answer.append("closed \(closure.code.name)")
            default: break
            }
        }
        _ = pair.client.request(
            "/a?b", method: "POST", fields: [("content-type", "application/grpc+proto"), ("x", "")])
        pair.run()
        #expect(
            request == [
                ":method=POST", ":scheme=http", ":authority=example.org", ":path=/a?b",
                "content-type=application/grpc+proto", "x=", "end=true",
            ])
        #expect(answer == ["200 end=false", "trailers 7", "closed NO_ERROR"])
        #expect(body == "hello")
        #expect(pair.client.openStreamCount == 0 && pair.server.openStreamCount == 0)
    }

    @Test("An empty body with trailers sends no DATA frame in between")
    func trailersWithoutBody() {
        let pair = SessionPair()
        var events: [String] = []
        pair.onServer = { event, server in
            guard case .head(let slot, _, _) = event else { return }
            server.respond(slot, isEnd: false)
            let trailers = HTTP2Headers()
            server.sendTrailers(trailers.append([("grpc-status", "0")]), of: trailers, on: slot)
        }
        pair.onClient = { event, _ in
            switch event {
            case .head: events.append("head")
            case .data: events.append("data")
            case .trailers: events.append("trailers")
            default: break
            }
        }
        _ = pair.client.request()
        pair.run()
        #expect(events == ["head", "trailers"])
    }

    @Test("1xx responses come before the final head")
    func informational() {
        let pair = SessionPair()
        var seen: [Int] = []
        pair.onServer = { event, server in
            guard case .head(let slot, _, _) = event else { return }
            let early = HTTP2Headers()
            server.submitInformational(
                early.append([(":status", "103"), ("link", "</a>")]), of: early, on: slot)
            server.respond(slot, status: "204", isEnd: true)
        }
        pair.onClient = { event, client in
            switch event {
            case .informational(_, let block), .head(_, let block, _):
                seen.append(client.headers.number(of: .status, in: block) ?? 0)
            default: break
            }
        }
        _ = pair.client.request()
        pair.run()
        #expect(seen == [103, 204])
    }

    @Test(
        "Resets keep their code, and say who sent them",
        arguments: [HTTP2ErrorCode.cancel, .refusedStream, .internalError])
    func resets(code: HTTP2ErrorCode) {
        let pair = SessionPair()
        var atClient: StreamClosure?
        var atServer: StreamClosure?
        pair.onServer = { event, server in
            switch event {
            case .head(let slot, _, _): server.reset(slot, code)
            case .closed(_, let closure): atServer = closure
            default: break
            }
        }
        pair.onClient = { event, _ in if case .closed(_, let closure) = event { atClient = closure } }
        _ = pair.client.request(isEnd: false)
        pair.run()
        #expect(atClient?.code == code && atClient?.isByPeer == true)
        #expect(atServer?.code == code && atServer?.isByPeer == false)
    }

    @Test("After GOAWAY the streams above its last id are refused, which is safe to send again")
    func goAway() {
        let client = HTTP2Session(role: .client, limits: SessionLimits())
        var closures: [Int: String] = [:]
        func read() {
            while let event = client.nextEvent() {
                guard case .closed(let slot, let closure) = event else { continue }
                closures[client.streamID(of: slot)] = "\(closure.code.name) \(closure.isByPeer)"
            }
        }
        for _ in 0..<3 { _ = client.request() }
        _ = client.produce { _ in }
        let answer =
            Frame.settings + Frame.make(7, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0]) + Frame.make(1, 5, 1, [0x88])
        client.receive(ByteBuffer(bytes: answer), nowNanoseconds: 1)
        read()
        #expect(!client.takesRequests)
        #expect(closures == [1: "NO_ERROR false", 3: "REFUSED_STREAM true", 5: "REFUSED_STREAM true"])
        // One that was still inside is refused just the same.
        _ = client.request()
        _ = client.produce { _ in }
        read()
        #expect(closures[7] == "REFUSED_STREAM true")
    }

    @Test("A graceful end loses no request that was under way")
    func gracefulShutdown() {
        let pair = SessionPair()
        var pongs: [UInt64] = []
        var answers = 0
        pair.onServer = { event, server in
            switch event {
            case .head(let slot, _, _): server.respond(slot, isEnd: true)
            case .pong(let value):
                pongs.append(value)
                server.goAway(.noError)
            default: break
            }
        }
        pair.onClient = { event, _ in
            if case .closed(_, let closure) = event, closure.code == .noError { answers += 1 }
        }
        pair.run()
        _ = pair.client.request()
        pair.server.announceShutdown()
        pair.server.ping(42)
        pair.run()
        #expect(answers == 1)
        #expect(pongs == [42])
        #expect(pair.server.isFinished)
    }

    @Test("Requests past the peer's limit wait, and all are answered")
    func concurrencyLimit() {
        var limits = SessionLimits()
        limits.streamsMax = 3
        let pair = SessionPair(limits)
        var open = 0
        var mostOpen = 0
        var answered = 0
        pair.onServer = { event, server in
            switch event {
            case .head(let slot, _, _):
                open += 1
                mostOpen = max(mostOpen, open)
                server.respond(slot, isEnd: true)
            case .closed: open -= 1
            default: break
            }
        }
        pair.onClient = { event, _ in
            if case .closed(_, let closure) = event, closure.code == .noError { answered += 1 }
        }
        pair.run()
        #expect(pair.client.peerStreamsMax == 3)
        for _ in 0..<50 { _ = pair.client.request() }
        pair.run()
        #expect(answered == 50)
        #expect(mostOpen <= 3)
    }

    @Test("A content-length that the body does not keep resets the stream")
    func contentLengthMismatch() {
        let pair = SessionPair()
        var code: HTTP2ErrorCode?
        pair.onServer = { event, server in
            guard case .head(let slot, _, _) = event else { return }
            server.respond(slot, isEnd: false, fields: [("content-length", "5")])
            server.sendBody(ByteBuffer(string: "four"), on: slot)
            server.finish(slot)
        }
        pair.onClient = { event, _ in if case .closed(_, let closure) = event { code = closure.code } }
        _ = pair.client.request()
        pair.run()
        #expect(code == .protocolError)
    }
}

@Suite("Flow control", .timeLimit(.minutes(1)))
struct FlowControlTests {
    @Test("Without credit a sender stops at the window, and goes on by what is given back")
    func windowStops() {
        let pair = SessionPair()
        var received = 0
        var slotAtServer = 0
        pair.onServer = { event, server in
            switch event {
            case .head(let slot, _, _): slotAtServer = slot
            case .data(_, let chunk): received += chunk.byteCount
            default: break
            }
        }
        let slot = pair.client.request(method: "POST", isEnd: false)
        pair.client.sendBody(ByteBuffer(repeating: 7, count: 200_000), on: slot)
        pair.client.finish(slot)
        pair.run()
        #expect(received == 65_535)
        #expect(pair.client.pendingByteCount(on: slot) == 200_000 - 65_535)
        pair.server.consume(streamID: pair.server.streamID(of: slotAtServer), byteCount: 65_535)
        pair.run()
        #expect(received == 131_070)
    }

    @Test(
        "The connection window bounds all streams together, and what the loop grants beyond it",
        arguments: [(0, 100_000...100_000), (70_000, 150_000...170_000), (1_000_000, 300_000...300_000)])
    func connectionWindow(advance: Int, expected: ClosedRange<Int>) {
        var limits = SessionLimits()
        limits.connectionWindowBytes = 100_000
        let pair = SessionPair(limits, serverMemory: HTTP2Memory(advancedBytesMax: advance))
        var received = 0
        pair.onServer = { event, _ in if case .data(_, let chunk) = event { received += chunk.byteCount } }
        pair.run()
        for _ in 0..<5 {
            let slot = pair.client.request(method: "POST", isEnd: false)
            pair.client.sendBody(ByteBuffer(repeating: 1, count: 60_000), on: slot)
        }
        pair.run()
        #expect(expected.contains(received))
    }

    @Test("Streams that nobody reads leave the window to the others, and what they held is accounted for in the end")
    func heldStreams() {
        let memory = HTTP2Memory(advancedBytesMax: 3_000_000)
        let pair = SessionPair(serverMemory: memory)
        var held: [(id: Int, count: Int)] = []
        var received = 0
        var isHolding = true
        pair.onServer = { event, session in
            if case .end(let slot) = event { session.respond(slot, isEnd: true) }
            guard case .data(let slot, let chunk) = event else { return }
            received += chunk.byteCount
            let id = session.streamID(of: slot)
            if isHolding { held.append((id, chunk.byteCount)) } else { session.consume(streamID: id, byteCount: chunk.byteCount) }
        }
        pair.run()
        func upload() {
            let slot = pair.client.request(method: "POST", isEnd: false)
            pair.client.sendBody(ByteBuffer(repeating: 1, count: 60_000), on: slot)
            pair.client.finish(slot)
            pair.run()
        }
        // Forty windows' worth, again and again: credit that is lost, or given twice, would add up.
        for round in 1...10 {
            isHolding = true
            for _ in 0..<40 { upload() }
            isHolding = false
            upload()
            #expect(received == round * 41 * 60_000)
            for credit in held { pair.server.consume(streamID: credit.id, byteCount: credit.count) }
            held = []
            pair.run()
        }
        // All of the loop's grant is there again, and no more than that.
        isHolding = true
        let before = received
        for _ in 0..<100 { upload() }
        #expect((3_500_000...3_000_000 + 1_048_576).contains(received - before))
    }

    @Test(
        "Whatever the sizes and the order of credit, every byte arrives once and in order", arguments: 1...20)
    func property(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let pair = SessionPair()
        pair.pieceBytesMax = Int.random(in: 1...20_000, using: &random)
        var expected: [Int: [UInt8]] = [:]
        var received: [Int: [UInt8]] = [:]
        var owed: [(stream: Int, count: Int)] = []
        var mostOwed = 0
        var ended = 0
        pair.onServer = { event, server in
            switch event {
            case .data(let slot, let chunk):
                let id = server.streamID(of: slot)
                received[id, default: []] += Array(server.bytes(of: chunk).readableBytesView)
                owed.append((id, chunk.byteCount))
                mostOwed = max(mostOwed, owed.reduce(0) { $0 + $1.count })
            case .end(let slot):
                ended += 1
                server.respond(slot, isEnd: true)
            default: break
            }
        }
        let slots = (0..<6).map { _ in pair.client.request(method: "POST", isEnd: false) }
        for (index, slot) in slots.enumerated() {
            let id = 2 * index + 1
            expected[id] = []
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                let chunk = (0..<Int.random(in: 1...9_000, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                expected[id]? += chunk
                pair.client.sendBody(ByteBuffer(bytes: chunk), on: slot)
                if Bool.random(using: &random) { pair.run() }
            }
            pair.client.finish(slot)
        }
        for _ in 0..<100_000 where ended < slots.count {
            pair.run()
            guard !owed.isEmpty else { break }
            let credit = owed.remove(at: Int.random(in: 0..<owed.count, using: &random))
            pair.server.consume(streamID: credit.stream, byteCount: credit.count)
        }
        pair.run()
        #expect(ended == slots.count, "seed \(seed)")
        for (id, bytes) in expected {
            #expect(received[id, default: []] == bytes, "seed \(seed), stream \(id)")
        }
        #expect(mostOwed <= 1_048_576)
    }
}
