import Foundation
import MeshAPI
import MeshHTTP2
import MeshTestPKI
import NIOCore
import NIOPosix
import ProxyCore
import SwiftProtobuf
import Synchronization

/// An identity controller whose answers a test decides. It signs what it is asked to, for as long as it is told.
final class FakeIdentityServer: Sendable {
    struct Behaviour: Sendable {
        /// How long certificates live, in seconds from now.
        var lifetimeSeconds: Double = 3_600
        /// Requests refused with Unavailable before one is answered.
        var refusals = 0
        /// Signs for this name instead of the one asked for.
        var otherName: String?
    }

    fileprivate struct State: Sendable {
        var behaviour = Behaviour()
        var requests: [Io_Linkerd_Proxy_Identity_CertifyRequest] = []
    }

    let authority: TestAuthority
    let address: SocketAddress
    private let listener: any Channel
    private let state: Box

    fileprivate final class Box: Sendable {
        let state = Mutex(State())
    }

    private init(authority: TestAuthority, address: SocketAddress, listener: any Channel, state: Box) {
        self.authority = authority
        self.address = address
        self.listener = listener
        self.state = state
    }

    /// Listens in plaintext on loopback.
    static func start(
        _ behaviour: Behaviour = Behaviour(), authority: TestAuthority? = nil, on group: any EventLoopGroup,
        host: String = "127.0.0.1"
    ) async throws -> FakeIdentityServer {
        let authority = try authority ?? TestAuthority()
        let box = Box()
        box.state.withLock { $0.behaviour = behaviour }
        let listener = try await ServerBootstrap(group: group.next())
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let calls = Calls { box.answer($0, authority) }
                    try channel.pipeline.syncOperations.addHandler(HTTP2Peer(.server, onEvent: calls.handle))
                }
            }.bind(host: host, port: 0).get()
        guard let address = listener.localAddress else { throw DeadlineError(description: "not bound") }
        return FakeIdentityServer(authority: authority, address: address, listener: listener, state: box)
    }

    func stop() async throws { try await listener.close() }

    /// Changes what happens from the next request on.
    func change(_ body: (inout Behaviour) -> Void) { state.state.withLock { body(&$0.behaviour) } }

    var requests: [Io_Linkerd_Proxy_Identity_CertifyRequest] { state.state.withLock { $0.requests } }

    /// The environment of a proxy that is certified here.
    func environment(_ name: String, tokenFile: String) throws -> [String: String] {
        [
            "LINKERD2_PROXY_IDENTITY_DISABLED": "", "LINKERD2_PROXY_IDENTITY_LOCAL_NAME": name,
            "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": try authority.pem,
            "LINKERD2_PROXY_IDENTITY_TOKEN_FILE": tokenFile,
            "LINKERD2_PROXY_IDENTITY_SVC_ADDR": address.endpointText,
            "LINKERD2_PROXY_IDENTITY_MIN_REFRESH": "200ms",
        ]
    }

    /// Requests of one connection, put together. Bound to the connection's loop.
    private final class Calls {
        private var bodies: [Int: ByteBuffer] = [:]
        private let answer: (Io_Linkerd_Proxy_Identity_CertifyRequest) -> (bytes: [UInt8]?, status: Int)

        init(_ answer: @escaping (Io_Linkerd_Proxy_Identity_CertifyRequest) -> (bytes: [UInt8]?, status: Int)) {
            self.answer = answer
        }

        func handle(_ event: HTTP2Event, _ peer: HTTP2Peer) {
            switch event {
            case .head(let slot, _, _): bodies[slot] = ByteBuffer()
            case .data(let slot, let chunk):
                var bytes = peer.take(chunk, of: slot)
                bodies[slot]?.writeBuffer(&bytes)
            case .end(let slot):
                var reader = GRPCMessageReader()
                reader.append(bodies[slot] ?? ByteBuffer())
                // A request that makes no sense is answered like an empty one: refused by its name.
                let bytes = (try? reader.next()).map { Array($0.readableBytesView) } ?? []
                let request = try? Io_Linkerd_Proxy_Identity_CertifyRequest(serializedBytes: bytes)
                respond(answer(request ?? .init()), peer, slot)
            default: break
            }
        }

        private func respond(_ answer: (bytes: [UInt8]?, status: Int), _ peer: HTTP2Peer, _ slot: Int) {
            let headers = HTTP2Headers()
            peer.session.submitResponse(
                headers.append([(":status", "200"), ("content-type", "application/grpc")]), of: headers,
                isEnd: false, on: slot)
            if let bytes = answer.bytes { peer.session.sendBody(GRPCMessageReader.frame(bytes), on: slot) }
            peer.sendTrailers([("grpc-status", "\(answer.status)")], on: slot)
            peer.flush()
        }
    }
}

extension FakeIdentityServer.Box {
    fileprivate func answer(
        _ request: Io_Linkerd_Proxy_Identity_CertifyRequest, _ authority: TestAuthority
    ) -> (bytes: [UInt8]?, status: Int) {
        let (behaviour, isRefused) = state.withLock { state in
            state.requests.append(request)
            let isRefused = state.behaviour.refusals > 0
            if isRefused { state.behaviour.refusals -= 1 }
            return (state.behaviour, isRefused)
        }
        guard !isRefused else { return (nil, 14) }
        do {
            let leaf = try authority.sign(
                csr: Array(request.certificateSigningRequest), name: behaviour.otherName ?? request.identity,
                endsIn: behaviour.lifetimeSeconds)
            let response = Io_Linkerd_Proxy_Identity_CertifyResponse.with {
                $0.leafCertificate = Data(leaf)
                $0.validUntil = SwiftProtobuf.Google_Protobuf_Timestamp(
                    date: Date(timeIntervalSinceNow: behaviour.lifetimeSeconds))
            }
            return (try response.serializedBytes(), 0)
        } catch {
            return (nil, 3)
        }
    }
}
