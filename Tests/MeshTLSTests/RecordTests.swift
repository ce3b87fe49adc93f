import MeshTLS
import MeshTestPKI
import NIOCore
import Testing

@Suite("Records", .timeLimit(.minutes(2))) struct RecordTests {
    @Test("Ten megabytes pass whole, in pieces and chunks of any size", arguments: [1, 2, 3] as [UInt64])
    func tenMegabytes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var pair = try SessionPair.established()
        var original = ByteBuffer()
        for _ in 0..<(10 * 1_048_576 / 8) { original.writeInteger(random.next()) }
        var rest = original
        while rest.readableBytes > 0 {
            var pieces: [ByteBuffer] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let most = Bool.random(using: &random) ? 300 : 60_000
                let count = min(rest.readableBytes, Int.random(in: 0...most, using: &random))
                if let piece = rest.readSlice(length: count) { pieces.append(piece) }
            }
            try pair.client.session.write(pieces)
            guard var wire = pair.client.session.takeOutput() else { continue }
            while wire.readableBytes > 0 {
                let count = min(wire.readableBytes, Int.random(in: 1...40_000, using: &random))
                if let chunk = wire.readSlice(length: count) { pair.server.session.receive(chunk) }
                pair.server.drain()
            }
        }
        #expect(pair.server.error == nil, "seed \(seed)")
        #expect(pair.server.plaintext == original, "seed \(seed)")
    }

    @Test("Small pieces of one flush share a record, and a large one fills its records")
    func recordSizes() throws {
        let pair = try SessionPair.established()
        let small = Array(repeating: ByteBuffer(string: "0123456789"), count: 100)
        try pair.client.session.write(small)
        #expect(recordLengths(try #require(pair.client.session.takeOutput())) == [1_000 + 17])
        try pair.client.session.write([
            ByteBuffer(repeating: 1, count: 5), ByteBuffer(repeating: 2, count: 40_000),
        ])
        let full = TLSSession.recordBytesMax
        #expect(
            recordLengths(try #require(pair.client.session.takeOutput())) == [
                full + 17, full + 17, 40_005 - 2 * full + 17,
            ])
        try pair.client.session.write([ByteBuffer()])
        #expect(pair.client.session.takeOutput() == nil)
    }

    private func recordLengths(_ wire: ByteBuffer) -> [Int] {
        var wire = wire
        var lengths: [Int] = []
        while wire.readBytes(length: 3) != nil, let length: UInt16 = wire.readInteger() {
            lengths.append(Int(length))
            _ = wire.readBytes(length: Int(length))
        }
        return lengths
    }

    @Test("close_notify ends one direction; the other goes on")
    func halfClose() throws {
        var pair = try SessionPair.established()
        try pair.client.session.write([ByteBuffer(string: "last words")])
        pair.client.session.closeOutput()
        pair.client.session.closeOutput()
        #expect(!pair.client.session.canWrite)
        #expect(throws: TLSError.self) { try pair.client.session.write([ByteBuffer(string: "more")]) }
        pair.pump()
        #expect(String(buffer: pair.server.plaintext) == "last words")
        #expect(pair.server.isClosed && !pair.client.isClosed)
        #expect(pair.server.session.canWrite)
        try pair.server.session.write([ByteBuffer(string: "answer")])
        pair.server.session.closeOutput()
        pair.pump()
        #expect(String(buffer: pair.client.plaintext) == "answer")
        #expect(pair.client.isClosed)
        #expect(pair.client.error == nil && pair.server.error == nil)
    }

    @Test("An end without close_notify is a truncation, after the bytes that did come")
    func truncation() throws {
        var pair = try SessionPair.established()
        try pair.client.session.write([ByteBuffer(string: "whole"), ByteBuffer(repeating: 0, count: 20_000)])
        var wire = try #require(pair.client.session.takeOutput())
        let torn = wire.readSlice(length: wire.readableBytes - 1)
        pair.server.session.receive(try #require(torn))
        pair.server.session.receiveEnd()
        pair.server.drain()
        #expect(pair.server.plaintext.readableBytes == TLSSession.recordBytesMax)
        #expect(pair.server.error?.kind == .truncated)
        #expect(pair.server.session.nextEvent() == nil)
    }

    @Test("One flipped bit ends the session with an alert, and no wrong byte comes out")
    func corruption() throws {
        var pair = try SessionPair.established()
        try pair.client.session.write([ByteBuffer(string: "good")])
        let good = try #require(pair.client.session.takeOutput())
        try pair.client.session.write([ByteBuffer(string: "evil")])
        var bad = try #require(pair.client.session.takeOutput())
        let last = bad.writerIndex - 1
        let byte: UInt8 = try #require(bad.getInteger(at: last))
        bad.setInteger(byte ^ 1, at: last)
        var both = good
        both.writeImmutableBuffer(bad)
        pair.server.session.receive(both)
        pair.server.drain()
        #expect(String(buffer: pair.server.plaintext) == "good")
        #expect(pair.server.error?.kind == .badRecord)
        pair.pump()
        #expect(pair.client.error?.kind == .peerAlert)
        #expect(pair.client.error?.alert == 20)
    }

    @Test("Bent and torn wires never crash, at any moment of a connection")
    func mutations() throws {
        let seed: UInt64 = 0x715
        var random = SeededGenerator(seed: seed)
        let mesh = try TestMesh.shared.get()
        let (client, server) = try (mesh.client, mesh.server)
        var kinds: Set<TLSError.Kind> = []
        for _ in 0..<300 {
            var pair = try SessionPair(client: client, server: server)
            var flightsLeft = Int.random(in: 0..<4, using: &random)
            let bend = { (bytes: ByteBuffer, _: Bool) -> ByteBuffer in
                flightsLeft -= 1
                return flightsLeft < 0 && flightsLeft > -3 ? Self.bent(bytes, &random) : bytes
            }
            pair.pump(bend)
            if pair.client.session.canWrite {
                try pair.client.session.write([ByteBuffer(string: "hello")])
                pair.pump(bend)
            }
            pair.client.session.receiveEnd()
            pair.server.session.receiveEnd()
            pair.pump()
            // Whatever was done to the wire, what came out was really sent.
            #expect("hello".hasPrefix(String(buffer: pair.server.plaintext)), "seed \(seed)")
            for error in [pair.client.error, pair.server.error] { if let error { kinds.insert(error.kind) } }
        }
        #expect(kinds.count >= 5, "seed \(seed): \(kinds)")
        #expect(!kinds.contains(.library), "seed \(seed)")
    }

    private static func bent(_ bytes: ByteBuffer, _ random: inout SeededGenerator) -> ByteBuffer {
        var list = Array(bytes.readableBytesView)
        for _ in 0..<Int.random(in: 1...3, using: &random) where !list.isEmpty {
            let at = Int.random(
                in: 0..<min(list.count, Bool.random(using: &random) ? 64 : 100_000), using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: list[at] = UInt8.random(in: 0...255, using: &random)
            case 1: list[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: list.removeLast(list.count - at)
            default: list.insert(contentsOf: [UInt8](repeating: 0x16, count: 5), at: at)
            }
        }
        return ByteBuffer(bytes: list)
    }
}
