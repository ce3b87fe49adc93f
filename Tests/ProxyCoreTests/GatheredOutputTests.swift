import NIOCore
import Testing

@testable import ProxyCore

@Suite("Small pieces of output", .timeLimit(.minutes(1))) struct GatheredOutputTests {
    /// What is handed over now, as text.
    private func taken(_ gathered: inout GatheredOutput) -> String? { gathered.take().map { String(buffer: $0) } }

    @Test("leave together, in order, and once")
    func together() {
        var gathered = GatheredOutput()
        let nothing = taken(&gathered)
        #expect(nothing == nil)
        for piece in ["head\r\n", "\r\n", "body"] {
            gathered.begin()
            gathered.buffer.writeString(piece)
        }
        let whole = taken(&gathered)
        let rest = taken(&gathered)
        #expect(whole == "head\r\n\r\nbody" && rest == nil && gathered.isEmpty)
    }

    @Test("What was taken does not change when more is gathered")
    func takenStays() {
        var gathered = GatheredOutput()
        gathered.begin()
        gathered.buffer.writeString("first")
        let first = gathered.take()
        gathered.begin()
        gathered.buffer.writeString("second")
        let second = gathered.take()
        #expect(first == ByteBuffer(string: "first") && second == ByteBuffer(string: "second"))
    }

    @Test("A piece that turned out wrong is taken back, and what was there before it stays")
    func takenBack() {
        var gathered = GatheredOutput()
        gathered.begin()
        gathered.buffer.writeString("before")
        let start = gathered.buffer.readableBytes
        gathered.begin()
        gathered.buffer.writeString("wrong")
        gathered.drop(from: start)
        let kept = taken(&gathered)
        #expect(kept == "before")
        gathered.begin()
        gathered.buffer.writeString("wrong")
        gathered.drop(from: 0)
        #expect(gathered.isEmpty)
    }

    @Test("Memory of a long head is not kept")
    func longHead() {
        var gathered = GatheredOutput()
        gathered.begin()
        gathered.buffer.writeRepeatingByte(0x61, count: 60_000)
        _ = gathered.take()
        #expect(gathered.buffer.storageCapacity == 0)
        gathered.begin()
        #expect(gathered.buffer.storageCapacity <= 1_024)
    }
}
