import MeshHTTP2
import NIOCore
import Testing

/// One of several connections whose ends share memory with the others' ends.
private final class SharingPair {
    let client: HTTP2Session
    let server: HTTP2Session
    let number: Int
    private var toServer = ByteBuffer()
    private var toClient = ByteBuffer()
    /// What the server read, and what the client got back, by request.
    private(set) var requests: [String] = []
    private(set) var answers: [Int: String] = [:]
    private var bodies: [Int: Int] = [:]

    init(_ number: Int, clients: HTTP2Memory, servers: HTTP2Memory) {
        var limits = SessionLimits()
        limits.outputBytesMax = 1  // One frame at a time, so that sessions take turns in the middle of their output.
        self.number = number
        client = HTTP2Session(role: .client, limits: limits, memory: clients)
        server = HTTP2Session(role: .server, limits: limits, memory: servers)
    }

    /// A value that no other request has, long enough to need CONTINUATION frames for some.
    func value(_ index: Int) -> String {
        String(repeating: "\(number)-\(index).", count: index % 3 == 0 ? 4_500 : 20)
    }

    func send(_ index: Int) {
        _ = client.request("/\(number)/\(index)", fields: [("x-value", value(index)), ("x-index", "\(index)")])
    }

    /// Moves at most `limit` bytes of one direction, and lets the reader and its answers run.
    /// - Returns: whether anything moved.
    func step(towardsServer: Bool, limit: Int) -> Bool {
        if towardsServer {
            if toServer.readableBytes == 0 { _ = client.produce { toServer.writeImmutableBuffer($0) } }
            readClient()
            guard let piece = toServer.readSlice(length: min(limit, toServer.readableBytes)), piece.readableBytes > 0
            else { return false }
            server.receive(piece, nowNanoseconds: 1)
            readServer()
        } else {
            if toClient.readableBytes == 0 { _ = server.produce { toClient.writeImmutableBuffer($0) } }
            readServer()
            guard let piece = toClient.readSlice(length: min(limit, toClient.readableBytes)), piece.readableBytes > 0
            else { return false }
            client.receive(piece, nowNanoseconds: 1)
            readClient()
        }
        return true
    }

    private func readServer() {
        while let event = server.nextEvent() {
            guard case .head(let slot, let block, _) = event else { continue }
            let fields = server.headers.fields(of: block)
            let value = fields.first { $0.name == "x-value" }?.value ?? ""
            requests.append("\(server.headers.text(of: .path, in: block) ?? "") \(value)")
            server.respond(slot, isEnd: false, fields: fields.filter { $0.name.hasPrefix("x-") })
            server.sendBody(ByteBuffer(string: value), on: slot)
            server.finish(slot)
        }
    }

    private func readClient() {
        while let event = client.nextEvent() {
            switch event {
            case .head(let slot, let block, _):
                let fields = client.headers.fields(of: block)
                let index = Int(fields.first { $0.name == "x-index" }?.value ?? "") ?? -1
                answers[index] = fields.first { $0.name == "x-value" }?.value
                bodies[slot] = index
            case .data(let slot, let chunk):
                let index = bodies[slot] ?? -1
                let body = String(buffer: client.bytes(of: chunk))
                #expect(value(index).contains(body))
                client.consume(streamID: client.streamID(of: slot), byteCount: chunk.byteCount)
            default: break
            }
        }
    }
}

@Suite("Sessions that share memory", .timeLimit(.minutes(1)))
struct SharedMemoryTests {
    @Test("Connections in each other's midst keep their own bytes", arguments: [1 as UInt64, 2, 3, 4])
    func interleaved(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let clients = HTTP2Memory()
        let servers = HTTP2Memory()
        let pairs = (0..<5).map { SharingPair($0, clients: clients, servers: servers) }
        let requestCount = 7
        for index in 0..<requestCount { for pair in pairs { pair.send(index) } }
        var quietSteps = 0
        var stepsLeft = 200_000
        while quietSteps < 200, stepsLeft > 0 {
            stepsLeft -= 1
            guard let pair = pairs.randomElement(using: &random) else { break }
            let limit = Int.random(in: 1...3_000, using: &random)
            let moved = pair.step(towardsServer: Bool.random(using: &random), limit: limit)
            quietSteps = moved ? 0 : quietSteps + 1
        }
        for pair in pairs {
            let wanted = (0..<requestCount).map { "/\(pair.number)/\($0) \(pair.value($0))" }
            #expect(pair.requests.sorted() == wanted.sorted(), "seed \(seed), connection \(pair.number)")
            let values = Dictionary(uniqueKeysWithValues: (0..<requestCount).map { ($0, pair.value($0)) })
            #expect(pair.answers == values, "seed \(seed), connection \(pair.number)")
            #expect(pair.client.openStreamCount == 0 && pair.server.openStreamCount == 0)
        }
    }

    @Test("A list that is older than the memory it lay in reads as empty, not as somebody else's")
    func staleBlock() {
        let memory = HTTP2Memory()
        let first = HTTP2Session(role: .server, limits: SessionLimits(), memory: memory)
        first.receive(ByteBuffer(bytes: Frame.preface + Frame.settings + Frame.headers(1)), nowNanoseconds: 1)
        var stale: HeaderBlock?
        while let event = first.nextEvent() {
            if case .head(_, let block, _) = event { stale = block }
        }
        guard let stale else {
            Issue.record("no request came")
            return
        }
        #expect(first.headers.fields(of: stale).isEmpty)
        #expect(!first.headers.contains(.path, in: stale))
        first.submitResponse(stale, of: first.headers, isEnd: true, on: 0)
    }

    @Test("Quiet connections give their pages back, and go on as if nothing had happened")
    func trimming() {
        let memory = HTTP2Memory()
        let pairs = (0..<100).map { SharingPair($0, clients: HTTP2Memory(), servers: memory) }
        func exchange(_ index: Int, _ pairs: [SharingPair]) {
            for pair in pairs {
                pair.send(index)
                while pair.step(towardsServer: true, limit: .max) || pair.step(towardsServer: false, limit: .max) {}
            }
        }
        #expect(memory.heldPageCount == 100)
        exchange(1, pairs)
        #expect(memory.trimPages() == (100, true))
        #expect(memory.trimPages() == (0, true), "there is nothing left to give")
        exchange(2, Array(pairs.prefix(30)))
        // A stream that is open has an entry in its table.
        for pair in pairs.prefix(10) {
            pair.send(3)
            for _ in 0..<10 { _ = pair.step(towardsServer: true, limit: .max) }
        }
        let open = pairs.count { $0.server.openStreamCount > 0 }
        #expect(open == 10)
        #expect(memory.trimPages() == (20, true))
        exchange(4, pairs)
        for (number, pair) in pairs.enumerated() {
            #expect(pair.answers[1] == pair.value(1) && pair.answers[4] == pair.value(4))
            #expect(number >= 30 || pair.answers[2] == pair.value(2))
            #expect(number >= 10 || pair.answers[3] == pair.value(3))
        }
    }

    @Test("With many connections a round has parts, none of which takes long")
    func partsOfARound() {
        let memory = HTTP2Memory()
        let sessions = (0..<2_100).map { _ in HTTP2Session(role: .server, limits: SessionLimits(), memory: memory) }
        for session in sessions {
            session.receive(ByteBuffer(bytes: Frame.preface + Frame.settings + Frame.headers(1)), nowNanoseconds: 1)
            while let event = session.nextEvent() {
                if case .head(let slot, _, _) = event { session.reset(slot, .cancel) }
            }
            _ = session.produce { _ in }
            while session.nextEvent() != nil {}
            #expect(session.openStreamCount == 0)
        }
        let first = memory.trimPages()
        #expect(!first.isWhole && first.pageCount == 2_048)
        #expect(memory.trimPages() == (2_100 - 2_048, true))
        #expect(memory.trimPages() == (0, false))
    }

    @Test("Pages of sessions that are gone serve the next")
    func pagesAgain() {
        let memory = HTTP2Memory()
        for _ in 0..<5 {
            var sessions = (0..<200).map { _ in HTTP2Session(role: .server, limits: SessionLimits(), memory: memory) }
            #expect(memory.heldPageCount == 200)
            sessions.removeLast(150)
            #expect(memory.heldPageCount == 50)
            sessions.removeAll()
            #expect(memory.heldPageCount == 0)
        }
    }

    @Test("A session outlives the owner of its memory, and sessions outlive one another")
    func lifetimes() {
        var first: HTTP2Session?
        var second: HTTP2Session?
        do {
            let memory = HTTP2Memory()
            first = HTTP2Session(role: .server, limits: SessionLimits(), memory: memory)
            second = HTTP2Session(role: .server, limits: SessionLimits(), memory: memory)
        }
        var bytes = 0
        bytes += first?.produce { _ in } ?? 0
        first = nil
        bytes += second?.produce { _ in } ?? 0
        second = nil
        #expect(bytes > 2 * 9)
    }
}
