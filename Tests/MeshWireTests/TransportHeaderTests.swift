import MeshWire
import NIOCore
import Testing

@Suite("Transport header", .timeLimit(.minutes(1))) struct TransportHeaderTests {
    private static let preface = Array("transport.l5d.io/v1\r\n\r\n".utf8)

    private static func framed(_ message: [UInt8]) -> [UInt8] {
        preface + [0, 0, UInt8(message.count >> 8), UInt8(message.count & 255)] + message
    }

    private func parse(_ bytes: [UInt8]) throws(TransportHeaderError) -> (header: TransportHeader, byteCount: Int)? {
        try TransportHeader.parse(bytes.span)
    }

    @Test(
        "What is written is what the reference writes",
        arguments: [
            (TransportHeader(port: 8080), [0x08, 0x90, 0x3F]),
            (TransportHeader(port: 80, sessionProtocol: .http1), [0x08, 80, 0x1A, 2, 0x0A, 0]),
            (TransportHeader(port: 80, sessionProtocol: .http2), [0x08, 80, 0x1A, 2, 0x12, 0]),
            (TransportHeader(port: 1, name: "a.b"), [0x08, 1, 0x12, 3, 0x61, 0x2E, 0x62]),
        ] as [(TransportHeader, [UInt8])])
    func vectors(header: TransportHeader, message: [UInt8]) throws {
        #expect(header.encoded == Self.framed(message))
        let read = try #require(try parse(header.encoded + [1, 2, 3]))
        #expect(read.header == header)
        #expect(read.byteCount == header.encoded.count)
    }

    @Test("Every prefix is incomplete, and nothing but a prefix is")
    func incremental() throws {
        let whole = TransportHeader(port: 443, name: "web.ns.svc.cluster.local", sessionProtocol: .http2).encoded
        for count in 0..<whole.count { #expect(try parse(Array(whole[..<count])) == nil) }
        #expect(try parse(whole) != nil)
    }

    @Test("Unknown fields are skipped, the last of equal ones counts, names lose case and final dot")
    func tolerant() throws {
        let message: [UInt8] =
            [0x08, 1, 0x20, 0x96, 1, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x35, 1, 2, 3, 4, 0x3A, 1, 9]
            + [0x12, 4, 0x41, 0x2E, 0x42, 0x2E, 0x1A, 4, 0x0A, 0, 0x12, 0, 0x08, 80]
        let read = try #require(try parse(Self.framed(message)))
        #expect(read.header == TransportHeader(port: 80, name: "a.b", sessionProtocol: .http2))
    }

    @Test(
        "What is none is refused, as soon as that is certain",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n".utf8.map { $0 }, .missing), (Array(preface.dropLast()) + [0], .missing),
            (preface + [0, 1, 0, 0], .tooLong), (preface + [255, 255, 255, 255], .tooLong),
            (framed([]), .badPort), (framed([0x08, 0]), .badPort), (framed([0x08, 0x80, 0x80, 4]), .badPort),
            (framed([0x08]), .malformed), (framed([0x08, 80, 0x12, 5, 0x61]), .malformed),
            (framed([0x0A, 1, 80]), .malformed), (framed([0x08, 80, 0x1B]), .malformed), (framed([0x00, 1]), .malformed),
            (framed([0x08, 80, 0x1A, 2, 0x08, 1]), .malformed), (framed([0x08] + [UInt8](repeating: 0xFF, count: 10)), .malformed),
            (framed([0x08, 80, 0x12, 1, 0x20]), .badName), (framed([0x08, 80, 0x12, 3, 0x31, 0x2E, 0x31]), .badName),
            (framed([0x08, 80, 0x12, 1, 0x2E]), .badName),
        ] as [([UInt8], TransportHeaderError)])
    func refused(bytes: [UInt8], error: TransportHeaderError) {
        #expect(throws: error) { try parse(bytes) }
    }

    @Test("Bent headers are read or refused, never more")
    func mutations() {
        var state: UInt64 = 0x5EED_7A6E
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let corpus = [
            TransportHeader(port: 8080).encoded, TransportHeader(port: 80, sessionProtocol: .http1).encoded,
            TransportHeader(port: 443, name: "web.ns.svc.cluster.local", sessionProtocol: .http2).encoded,
        ]
        var readCount = 0
        for _ in 0..<200_000 {
            var bytes = corpus[random(corpus.count)]
            for _ in 0...random(3) {
                switch random(4) {
                case 0: bytes[Self.preface.count + random(bytes.count - Self.preface.count)] = UInt8(random(256))
                case 1 where bytes.count > 28: bytes.removeLast(1 + random(2))
                case 2: bytes.insert(UInt8(random(256)), at: Self.preface.count + 4)
                default: bytes[random(bytes.count)] ^= 1 << UInt8(random(8))
                }
            }
            guard let read = try? parse(bytes) else { continue }
            readCount += 1
            #expect(read.byteCount <= bytes.count && read.header.port > 0)
            // What was understood can be said again, and means the same.
            let again = try? parse(read.header.encoded)
            #expect(again?.header == read.header)
        }
        #expect(readCount > 1_000)
    }
}
