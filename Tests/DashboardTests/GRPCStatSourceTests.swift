import Dashboard
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MeshAPI
import MeshGRPC
import SwiftProtobuf
import Testing

@Suite("Connection to metrics-api", .timeLimit(.minutes(1))) struct GRPCStatSourceTests {
    private func serve<Value: Sendable>(
        port: Int, _ body: (Int) async throws -> Value
    ) async throws -> Value {
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: port), transportSecurity: .plaintext)
        let server = GRPCServer(transport: transport, services: [FakeAPI(source: FakeSource())])
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let bound = try #require(try await transport.listeningAddress.ipv4?.port)
            let value = try await body(bound)
            server.beginGracefulShutdown()
            group.cancelAll()
            return value
        }
    }

    @Test("While metrics-api is away the reason is said; when it is back, answers come by themselves")
    func recovers() async throws {
        let port = try await serve(port: 0) { $0 }
        let source = try GRPCStatSource(address: "127.0.0.1:\(port)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await source.run() }
            await #expect {
                _ = try await source.selfCheck()
            } throws: { error in
                (error as? DashboardError)?.kind == .upstreamUnavailable
            }
            try await serve(port: port) { _ in
                // The deadline is the suite's: the client may still be waiting to connect again.
                while (try? await source.selfCheck()) == nil { try await Task.sleep(for: .milliseconds(50)) }
                let services = try await source.listServices(.with { $0.namespace = "emojivoto" })
                #expect(services.services.map(\.name) == ["web-svc"])
            }
            group.cancelAll()
        }
    }

    @Test(
        "An address without a port is a mistake that is named",
        arguments: ["metrics-api", "metrics-api:http"])
    func address(text: String) {
        #expect(throws: DashboardError.self) { _ = try GRPCStatSource(address: text) }
    }
}

/// The viz API over a fake source, on a real socket.
private struct FakeAPI: Linkerd2_Viz_Api.SimpleServiceProtocol {
    let source: FakeSource

    func statSummary(
        request: Linkerd2_Viz_StatSummaryRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_StatSummaryResponse { try await source.statSummary(request) }

    func edges(
        request: Linkerd2_Viz_EdgesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_EdgesResponse { try await source.edges(request) }

    func listPods(
        request: Linkerd2_Viz_ListPodsRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_ListPodsResponse { try await source.listPods(request) }

    func listServices(
        request: Linkerd2_Viz_ListServicesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_ListServicesResponse { try await source.listServices(request) }

    func selfCheck(
        request: Linkerd2_Viz_SelfCheckRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_SelfCheckResponse { try await source.selfCheck() }

    func gateways(
        request: Linkerd2_Viz_GatewaysRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_GatewaysResponse { .init() }

    func topRoutes(
        request: Linkerd2_Viz_TopRoutesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_TopRoutesResponse { .init() }

    func authz(
        request: Linkerd2_Viz_AuthzRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_AuthzResponse { .init() }
}
