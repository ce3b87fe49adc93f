import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MeshAPI
import MeshGRPC
import MeshModel
import NIOCore
import SwiftProtobuf
import Synchronization
import Tap
import Testing

/// Knows one token, and lets one user tap.
final class FakeAuthority: TapAuthority {
    let asked = Mutex<[(TapUser, TapAccessRequest)]>([])

    func user(bearerToken: String) async throws(TapRefusal) -> TapUser {
        guard bearerToken == "good" else { throw TapRefusal(.unauthenticated, "the bearer token is not valid") }
        return TapUser(name: "ann", groups: ["devs"])
    }

    func authorize(_ user: TapUser, _ request: TapAccessRequest) async throws(TapRefusal) {
        asked.withLock { $0.append((user, request)) }
        guard user.name == "ann" else { throw TapRefusal(.forbidden, "tap authorization failed (not authorized to access \(request.resource).tap.linkerd.io)") }
    }
}

@Suite("Doors", .timeLimit(.minutes(2))) struct DoorTests {
    private let authority = FakeAuthority()
    private let path = "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/deployments/web/tap"

    private func engine(port: Int = 1) -> TapEngine {
        TapEngine(
            cluster: FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")]).cluster, privacy: HeaderPrivacy(), tapPort: port,
            totals: TapTotals(), logger: Fixtures.logger)
    }

    private func answers(_ trust: FrontProxyTrust? = nil) -> TapAnswers {
        TapAnswers(engine: engine(), authority: authority, trust: { trust }, metrics: { [] }, logger: Fixtures.logger)
    }

    private func post(
        _ headers: [(String, String)] = [("Authorization", "Bearer good")], path: String? = nil, body: [UInt8]? = nil,
        certificate: [UInt8]? = nil, trust: FrontProxyTrust? = nil
    ) async throws -> HTTPAnswer {
        let body: [UInt8] = try body ?? Fixtures.request().serializedBytes()
        return await answers(trust).answer(
            TapHTTPRequest(
                method: "POST", path: path ?? self.path, headers: headers.map { (name: $0.0, value: $0.1) }, body: body,
                certificate: certificate))
    }

    private func document(_ answer: HTTPAnswer) throws -> TapHTTPResponse {
        guard case .document(let response) = answer else { throw DeadlineError(description: "a stream") }
        return response
    }

    @Test("Whoever may tap gets a stream")
    func allowed() async throws {
        guard case .stream(let question, _) = try await post() else { throw DeadlineError(description: "no stream") }
        #expect(question.name == "web")
        #expect(authority.asked.withLock { $0.map(\.1) } == [TapAccessRequest(resource: "deployments", namespace: "emojivoto", name: "web")])
    }

    @Test("Without rights nothing is seen, and the reason is said")
    func refused() async throws {
        let none = try document(try await post([]))
        #expect(none.status == 401)
        #expect(try JSONValue(parsing: none.body)["error"]?.stringValue?.contains("bearer token") == true)
        #expect(try document(try await post([("authorization", "Bearer bad")])).status == 401)
        let trust = try #require(FrontProxyTrust(["requestheader-client-ca-file": "x"]))
        let other = try document(try await post([("X-Remote-User", "bob")], certificate: [1], trust: trust))
        #expect(other.status == 403)
        #expect(String(decoding: other.body, as: UTF8.self).contains("not authorized to access deployments.tap.linkerd.io"))
    }

    @Test("Headers of a front proxy count only behind a certificate that is its own")
    func forged() async throws {
        let forged = [("X-Remote-User", "ann"), ("X-Remote-Group", "system:masters")]
        let trust = try #require(
            FrontProxyTrust(["requestheader-client-ca-file": "x", "requestheader-allowed-names": "[\"front-proxy-client\"]"]))
        #expect(try document(try await post(forged, trust: trust)).status == 401)
        let stranger = try document(try await post(forged, certificate: [1, 2, 3], trust: trust))
        #expect(stranger.status == 400)
        #expect(String(decoding: stranger.body, as: UTF8.self).contains("no valid CN found. allowed names: front-proxy-client"))
        #expect(authority.asked.withLock { $0.isEmpty })
    }

    @Test("The front proxy's user, groups and extras are those of the review")
    func vouched() async throws {
        let trust = try #require(
            FrontProxyTrust([
                "requestheader-client-ca-file": "x", "requestheader-username-headers": "[\"X-User\"]",
                "requestheader-group-headers": "[\"X-Group\"]", "requestheader-extra-headers-prefix": "[\"X-Extra-\"]",
            ]))
        let headers = [("X-User", "ann"), ("X-Group", "a"), ("x-group", "b"), ("X-Extra-Scope%2fx", "s"), ("X-Remote-User", "root")]
        guard case .stream = try await post(headers, certificate: [1], trust: trust) else {
            throw DeadlineError(description: "no stream")
        }
        let user = try #require(authority.asked.withLock { $0.first?.0 })
        #expect(user == TapUser(name: "ann", groups: ["a", "b"], extra: ["scope/x": ["s"]]))
    }

    @Test("After authorization errors keep Linkerd's framing: status 200, a marker, one message")
    func framed() async throws {
        let mismatch = try document(try await post(body: try Fixtures.request("deployment", "other").serializedBytes()))
        #expect(mismatch.status == 200)
        #expect(mismatch.errorMarker == "Bad Request")
        let length = mismatch.body.prefix(4).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        #expect(length == mismatch.body.count - 4)
        let message = try Linkerd2_Viz_ApiError(serializedBytes: Array(mismatch.body.dropFirst(4)))
        #expect(message.error.hasPrefix("tap request body did not match APIServer URL"))
        #expect(try document(try await post(body: [0xFF])).errorMarker == "Bad Request")
        let gone = try await post(
            path: path.replacing("web", with: "gone"), body: try Fixtures.request("deployment", "gone").serializedBytes())
        #expect(try document(gone).errorMarker == "Internal Server Error")
    }

    @Test("Discovery is answered as kubectl and the API server ask", arguments: ["/", "/apis", "/apis/tap.linkerd.io", "/apis/tap.linkerd.io/v1alpha1", "/openapi/v2", "/version", "/healthz/ping"])
    func discovery(path: String) async throws {
        let answer = try document(await answers().answer(TapHTTPRequest(method: "GET", path: path)))
        #expect(answer.status == 200)
        if path.hasSuffix("v1alpha1") {
            let list = try JSONValue(parsing: answer.body)
            #expect(list["resources"]?.arrayValue?.count == 20)
            #expect(list["resources"]?[1]?["name"]?.stringValue == "namespaces/tap")
        }
        #expect(try document(await answers().answer(TapHTTPRequest(method: "GET", path: "/nope"))).status == 404)
        #expect(try document(await answers().answer(TapHTTPRequest(method: "PUT", path: "/"))).status == 405)
    }

    @Test("The plain door speaks gRPC, with the same rights")
    func plain() async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, port in
            let engine = engine(port: port)
            let server = TapServer.makeServer(host: "127.0.0.1", port: 0, [GRPCDoor(engine: engine, authority: authority)])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.serve() }
                let address = try #require(try await server.listeningAddress?.ipv4)
                try await withGRPCClient(
                    transport: .http2NIOPosix(target: .ipv4(address: "127.0.0.1", port: address.port), transportSecurity: .plaintext)
                ) { client in
                    let tap = Linkerd2_Tap_Tap.Client(wrapping: client)
                    var refused = ClientRequest(message: Fixtures.request())
                    refused.metadata.addString("Bearer bad", forKey: "authorization")
                    let code = try await tap.tapByResource(request: refused) { response -> RPCError.Code? in
                        if case .failure(let error) = response.accepted { return error.code }
                        return nil
                    }
                    #expect(code == .unauthenticated)
                    var allowed = ClientRequest(message: Fixtures.request())
                    allowed.metadata.addString("Bearer good", forKey: "authorization")
                    let count = try await tap.tapByResource(request: allowed) { response in
                        try await eventually("the stream") { proxies[0].openCount == 1 }
                        proxies[0].send(Fixtures.exchange(4))
                        var count = 0
                        for try await event in response.messages {
                            if case .requestInit(let part) = event.http.event { #expect(part.id.stream == 4) }
                            count += 1
                            if count == 3 { break }
                        }
                        return count
                    }
                    #expect(count == 3)
                    try await eventually("the proxy to be left alone") { proxies[0].openCount == 0 }
                }
                server.beginGracefulShutdown()
                group.cancelAll()
            }
        }
    }
}
