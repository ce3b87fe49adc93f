import MeshHTTP2
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import Testing

/// HTTP/2 frames by hand, well-formed or not.
enum RawFrame {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let settings = make(4, 0, 0)
    static let ping = make(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
    /// `:method GET`, `:scheme http`, `:path /`, `:authority a`.
    static let get: [UInt8] = [0x82, 0x86, 0x84, 0x41, 0x01, 0x61]

    static func make(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        let id = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: stream >> UInt32($0)) }
        return [UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags] + id + payload
    }

    static func headers(_ stream: UInt32, _ block: [UInt8] = get, end: Bool = true) -> [UInt8] {
        make(1, end ? 5 : 4, stream, block)
    }

    static func reset(_ stream: UInt32) -> [UInt8] { make(3, 0, stream, [0, 0, 0, 8]) }

    /// A literal field that enters no table.
    static func field(_ name: String, _ value: String) -> [UInt8] {
        [0x00, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
    }
}

/// Frames that a connection received, as far as they are whole.
struct FrameScanner {
    var goAwayCodes: [UInt8] = []
    /// Stream and code of each RST_STREAM.
    var resets: [(stream: UInt8, code: UInt8)] = []
    var headersCount = 0

    init(_ bytes: [UInt8]) {
        var offset = 0
        while offset + 9 <= bytes.count {
            let length = Int(bytes[offset]) << 16 | Int(bytes[offset + 1]) << 8 | Int(bytes[offset + 2])
            let end = offset + 9 + length
            guard end <= bytes.count else { return }
            switch bytes[offset + 3] {
            case 1: headersCount += 1
            case 3: resets.append((bytes[offset + 8], bytes[end - 1]))
            case 7 where length >= 8: goAwayCodes.append(bytes[offset + 9 + 7])
            default: break
            }
            offset = end
        }
    }
}

extension TestConnection {
    func send(bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

    var frames: FrameScanner { FrameScanner(receivedBytes) }
}

/// A proxy under attack, and an honest client beside the attacker.
struct Siege {
    static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    let proxy: ProxyFixture
    let server: ScriptedServer
    let bystander: TestConnection
    /// An HTTP/2 server that answers requests when they are whole, and holds those that are not.
    let server2: CountingServer

    static func run(
        _ environment: [String: String] = [:], _ body: (Siege) async throws -> Void
    ) async throws {
        try await ProxyFixture.run(environment) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let bystander = try await proxy.inbound(to: server.address)
            let server2 = try await CountingServer.start(on: proxy.group.next())
            let siege = Siege(proxy: proxy, server: server, bystander: bystander, server2: server2)
            try await siege.holds()
            try await body(siege)
            try await siege.holds()
            try await server2.stop()
        }
    }

    /// The honest client is served as if nothing were, and probes are answered.
    func holds() async throws {
        try await bystander.send(Self.get)
        _ = try await bystander.take(through: Self.ok)
        #expect(try await proxy.admin("GET", "/live").body == "live\n")
    }

    func attacker() async throws -> TestConnection { try await proxy.inbound(to: server.address) }

    /// An attacker that has opened an HTTP/2 connection properly.
    func attacker2() async throws -> TestConnection {
        let attacker = try await proxy.inbound(to: server2.address)
        try await attacker.send(bytes: RawFrame.preface + RawFrame.settings)
        return attacker
    }

    /// Sends `chunk` again and again until the proxy ends the connection.
    /// - Returns: how many went out; fails the test when `most` were not enough.
    @discardableResult
    func flood(
        _ attacker: TestConnection, most: Int, _ chunk: (Int) -> [UInt8]
    ) async throws -> Int {
        for round in 0..<most {
            if attacker.isInputClosed { return round }
            do {
                try await attacker.send(bytes: chunk(round))
            } catch {
                return round  // Reset while we wrote: that is the end too.
            }
        }
        try await eventually("the flood ends the connection") { attacker.isInputClosed }
        return most
    }
}

/// An HTTP/2 server that counts the requests it got.
final class CountingServer: Sendable {
    private final class Box: Sendable {
        let count = Mutex(0)
    }

    let address: SocketAddress
    private let listener: any Channel
    private let counted: Box

    private init(listener: any Channel, address: SocketAddress, heads: Box) {
        self.listener = listener
        self.address = address
        counted = heads
    }

    /// Requests whose head arrived.
    var requestCount: Int { counted.count.withLock { $0 } }

    static func start(on loop: any EventLoop, host: String = "127.0.0.1") async throws -> CountingServer {
        let box = Box()
        let listener = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let peer = HTTP2Peer(.server) { event, peer in
                    switch event {
                    case .head(let slot, _, let isEnd):
                        box.count.withLock { $0 += 1 }
                        if isEnd { peer.respond(slot) }
                    case .data(let slot, let chunk): _ = peer.take(chunk, of: slot)
                    case .end(let slot), .trailers(let slot, _): peer.respond(slot)
                    default: break
                    }
                }
                try channel.pipeline.syncOperations.addHandler(peer)
            }
        }.bind(host: host, port: 0).get()
        guard let address = listener.localAddress else { throw DeadlineError(description: "no address") }
        return CountingServer(listener: listener, address: address, heads: box)
    }

    func stop() async throws { try await listener.close().get() }
}
