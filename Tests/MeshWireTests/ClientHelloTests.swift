import MeshWire
import NIOCore
import Testing

/// A ClientHello to be bent: every field that a test may break has a setting.
private struct HelloRecipe {
    var recordType: UInt8 = 22
    var recordVersion: (UInt8, UInt8) = (3, 1)
    var handshakeType: UInt8 = 1
    var session = [UInt8](repeating: 7, count: 32)
    var suites: [UInt8] = [0x13, 0x01, 0x13, 0x03]
    var compressions: [UInt8] = [0]
    var nameType: UInt8 = 0
    var names: [String] = ["web.emojivoto.serviceaccount.identity.linkerd.cluster.local"]
    var others: [[UInt8]] = [[0, 43, 0, 3, 2, 3, 4], [0, 21, 0, 0]]
    var hasExtensions = true
    var recordBytesExtra = 0
    var helloBytesExtra = 0
    var paddingBytes = 0

    static func vector16(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }

    func serverNames() -> [UInt8] {
        names.reduce(into: []) { result, name in
            let entry = [nameType] + Self.vector16(Array(name.utf8))
            result += [0, 0] + Self.vector16(Self.vector16(entry))
        }
    }

    func bytes() -> [UInt8] {
        var hello: [UInt8] = [3, 3] + [UInt8](repeating: 9, count: 32)
        hello += [UInt8(session.count)] + session + Self.vector16(suites)
        hello += [UInt8(compressions.count)] + compressions
        if hasExtensions {
            var extensions = others.first ?? []
            extensions += serverNames()
            for other in others.dropFirst() { extensions += other }
            if paddingBytes > 0 {
                extensions += [0, 21] + Self.vector16([UInt8](repeating: 0, count: paddingBytes))
            }
            hello += Self.vector16(extensions)
        }
        let helloCount = hello.count + helloBytesExtra
        var message: [UInt8] = [handshakeType, 0, UInt8(helloCount >> 8), UInt8(helloCount & 255)]
        message += hello
        let recordCount = message.count + recordBytesExtra
        return [
            recordType, recordVersion.0, recordVersion.1, UInt8(recordCount >> 8), UInt8(recordCount & 255),
        ] + message
    }
}

@Suite("ClientHello peek", .timeLimit(.minutes(1))) struct ClientHelloTests {
    private static let identity = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"

    private func peek(_ bytes: some Sequence<UInt8>) -> ClientHelloPeek {
        ClientHello.peek(ByteBuffer(bytes: bytes).readableBytesUInt8Span)
    }

    private func peek(_ change: (inout HelloRecipe) -> Void) -> ClientHelloPeek {
        var recipe = HelloRecipe()
        change(&recipe)
        return peek(recipe.bytes())
    }

    @Test("A whole hello gives its server name, whatever follows it")
    func whole() {
        #expect(peek { _ in } == .serverName(Self.identity))
        #expect(peek { $0.recordVersion = (3, 3) } == .serverName(Self.identity))
        #expect(peek(HelloRecipe().bytes() + [20, 3, 3, 0, 1, 1]) == .serverName(Self.identity))
    }

    @Test("Every prefix of a hello asks for more, and so does nothing at all")
    func prefixes() {
        let bytes = HelloRecipe().bytes()
        for count in 0..<bytes.count { #expect(peek(bytes.prefix(count)) == .incomplete, "\(count) bytes") }
    }

    @Test(
        "Other protocols are recognised by their first byte",
        arguments: ["G", "PRI * HTTP/2.0", "SSH-2.0", "\0"])
    func otherProtocols(text: String) {
        #expect(peek(Array(text.utf8)) == .notTLS)
    }

    @Test("A damaged or unusual hello is passed through")
    func damaged() {
        let changes: [(String, (inout HelloRecipe) -> Void)] = [
            ("alert record", { $0.recordType = 21 }),
            ("application data", { $0.recordType = 23 }),
            ("SSL 3", { $0.recordVersion = (3, 0) }),
            ("record version 3.2", { $0.recordVersion = (3, 2) }),
            ("record version 3.4", { $0.recordVersion = (3, 4) }),
            ("server hello", { $0.handshakeType = 2 }),
            ("hello ends before the record", { $0.helloBytesExtra = -1 }),
            ("hello goes on in the next record", { $0.helloBytesExtra = 1 }),
            ("session id too long", { $0.session = [UInt8](repeating: 1, count: 33) }),
            ("no cipher suites", { $0.suites = [] }),
            ("half a cipher suite", { $0.suites = [0x13] }),
            ("no compression method", { $0.compressions = [] }),
            ("no extensions at all", { $0.hasExtensions = false }),
            ("no server name", { $0.names = [] }),
            ("two server names", { $0.names = ["a.b", "a.b"] }),
            ("unknown type of name", { $0.nameType = 1 }),
            ("extension longer than the list", { $0.others = [[], [0, 43, 0, 9, 1]] }),
            ("truncated extension header", { $0.others = [[], [0, 43, 0]] }),
        ]
        for (name, change) in changes { #expect(peek(change) == .notTLS, "\(name)") }
    }

    @Test(
        "Only a valid DNS name counts",
        arguments: [
            ("a", "a"), ("A.Example.ORG", "a.example.org"), ("_http.x-1.y_2", "_http.x-1.y_2"),
            ("1.2.3.4a", "1.2.3.4a"),
            (String(repeating: "a", count: 63), String(repeating: "a", count: 63)),
            ("", nil), (".", nil), ("a.", nil), (".a", nil), ("a..b", nil), ("-a.b", nil), ("a-.b", nil),
            ("10.1.2.3", nil),
            ("::1", nil), ("*.a.b", nil), ("a b", nil), ("a\0b", nil), ("ä.b", nil), ("7", nil),
            (String(repeating: "a", count: 64), nil),
            (Array(repeating: String(repeating: "a", count: 49), count: 6).joined(separator: "."), nil),
        ] as [(String, String?)])
    func names(name: String, expected: String?) {
        let expectation: ClientHelloPeek = expected.map { .serverName($0) } ?? .notTLS
        #expect(peek { $0.names = [name] } == expectation)
    }

    @Test("Hellos longer than the first look are read on; those past the bound are not")
    func bounds() {
        var recipe = HelloRecipe()
        let plain = recipe.bytes().count
        recipe.paddingBytes = ClientHello.bytesMax - plain - 4
        let largest = recipe.bytes()
        #expect(largest.count == ClientHello.bytesMax)
        #expect(peek(largest.prefix(ClientHello.prefixBytes)) == .incomplete)
        #expect(peek(largest) == .serverName(Self.identity))
        recipe.paddingBytes += 1
        #expect(peek(recipe.bytes().prefix(5)) == .notTLS)
    }

    @Test("Mutated hellos never crash, and a name that comes out is a valid one")
    func mutations() {
        let seed: UInt64 = 0x7150
        var random = SeededGenerator(seed: seed)
        let original = HelloRecipe().bytes()
        for round in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                }
            }
            guard case .serverName(let name) = peek(bytes) else { continue }
            let again = DNSName.parse(ByteBuffer(string: name).readableBytesUInt8Span)
            #expect(again == name, "seed \(seed), round \(round)")
        }
    }
}
