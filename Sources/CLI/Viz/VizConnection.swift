// The CLI's way to metrics-api: find the viz namespace by its label, a running metrics-api pod in it, and
// forward a local port to it through the Kubernetes API, as kubectl port-forward does.

import ArgumentParser
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
package import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshWebSocket

/// An open way to metrics-api; close it when done.
package struct VizConnection: Sendable {
    private let host: String
    private let port: Int
    private let forwarder: PortForwarder?

    /// metrics-api's gRPC port.
    package static let apiPort = 8085
    /// Seconds that one answer may take.
    package static let answerSecondsMax: Int64 = 30

    /// What metrics-api, or the way to it, answered instead of rows.
    package struct StatError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Opens the way, or says on standard error why there is none and ends with exit code 1.
    static func open(global: GlobalOptions, viz: VizOptions) async throws -> VizConnection {
        do {
            return try await reach(global: global, viz: viz)
        } catch let error as ValidationError {
            throw error
        } catch {
            let isUnreachable = error is ConfigurationError || (error as? KubernetesError)?.code == 0
            Terminal.say("Cannot connect to \(isUnreachable ? "Kubernetes" : "Linkerd Viz"): \(error)")
            Terminal.say("Validate the install with: linkerd viz check")
            throw ExitCode(1)
        }
    }

    /// No cluster can be asked, whatever runs in it.
    private struct ConfigurationError: Error, CustomStringConvertible {
        let description: String
    }

    /// Opens the way.
    /// - Throws: why there is none.
    static func reach(global: GlobalOptions, viz: VizOptions) async throws -> VizConnection {
        if let address = viz.apiAddr { return try direct(address) }
        let config: KubernetesConfig
        let client: KubernetesClient
        do {
            config = try global.kubernetesConfig()
            client = try KubernetesClient(config: config, logger: global.logger)
        } catch {
            throw ConfigurationError(description: "\(error)")
        }
        do {
            let pod = try await metricsAPIPod(client, namespace: viz.vizNamespace)
            await client.shutdown()
            return try await forward(config: config, pod: pod, logger: global.logger)
        } catch {
            await client.shutdown()
            throw error
        }
    }

    static func direct(_ address: String) throws -> VizConnection {
        let parts = address.split(separator: ":")
        guard parts.count == 2, let port = Int(parts[1]) else {
            throw ValidationError("--api-addr \(address): expected host:port")
        }
        return VizConnection(host: String(parts[0]), port: port, forwarder: nil)
    }

    private static func metricsAPIPod(_ client: KubernetesClient, namespace: String?) async throws -> ObjectKey {
        var found = namespace
        if found == nil {
            let namespaces = try await client.list(Namespace.self, labelSelector: "linkerd.io/extension=viz")
            found = namespaces.items.first?.metadata.name
        }
        guard let viz = found else {
            throw ArgumentMistake("namespace with label \"linkerd.io/extension: viz\" not found")
        }
        let pods = try await client.list(Pod.self, namespace: viz, labelSelector: "component=metrics-api")
        guard let pod = pods.items.first(where: isReady) else {
            throw ArgumentMistake("no metrics-api pod is ready in namespace \"\(viz)\"")
        }
        return ObjectKey(namespace: viz, name: pod.metadata.name ?? "")
    }

    /// The token file's text where there is one: it may be newer than what the configuration quotes.
    private static func bearerToken(_ config: KubernetesConfig) -> String? {
        guard let path = config.bearerTokenPath else { return config.bearerToken }
        // Unreadable means unauthenticated, which the API server answers in words.
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return text?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func isReady(_ pod: Pod) -> Bool {
        guard pod.metadata.deletionTimestamp == nil else { return false }
        return pod.status?.conditions?.contains { $0.type == "Ready" && $0.status == "True" } ?? false
    }

    private static func forward(
        config: KubernetesConfig, pod: ObjectKey, logger: Logger
    ) async throws -> VizConnection {
        let server = WebSocketServerAddress(
            url: config.server, caPEM: config.caPEM, clientCertificatePEM: config.clientCertificatePEM,
            clientKeyPEM: config.clientKeyPEM, bearerToken: bearerToken(config),
            skipsTLSVerification: config.insecureSkipTLSVerify)
        let forwarder = try await PortForwarder.listen(
            server: server, localPort: 0, namespace: pod.namespace, pod: pod.name, port: apiPort, logger: logger)
        return VizConnection(host: "127.0.0.1", port: forwarder.localPort, forwarder: forwarder)
    }

    /// Opens the way, does something with it and closes it; what cannot be answered is said on standard error.
    static func using(
        global: GlobalOptions, viz: VizOptions, _ body: (VizConnection) async throws -> Void
    ) async throws {
        let connection = try await open(global: global, viz: viz)
        do {
            try await body(connection)
        } catch {
            await connection.close()
            guard let mistake = error as? StatError else { throw error }
            Terminal.say("\(mistake)")
            throw ExitCode(1)
        }
        await connection.close()
    }

    /// As above, for an answer that is shown once.
    static func using(
        global: GlobalOptions, viz: VizOptions, _ body: (VizConnection) async throws -> String
    ) async throws -> String {
        var text = ""
        try await using(global: global, viz: viz) { (connection: VizConnection) async throws -> Void in
            text = try await body(connection)
        }
        return text
    }

    /// Asks for each request's rows, in parallel.
    ///
    /// - Returns: The rows of all answers, in the order of the requests.
    package func statRows(_ requests: [Linkerd2_Viz_StatSummaryRequest]) async throws -> [StatTable.Row] {
        try await call("StatSummary") { client, options in
            let api = Linkerd2_Viz_Api.Client(wrapping: client)
            return try await withThrowingTaskGroup(of: (Int, [StatTable.Row]).self) { group in
                for (index, request) in requests.enumerated() {
                    group.addTask {
                        let response = try await api.statSummary(request, options: options)
                        if case .error(let error) = response.response {
                            throw StatError(description: "StatSummary API response error: \(error.error)")
                        }
                        return (index, response.ok.statTables.flatMap(\.podGroup.rows))
                    }
                }
                var answers: [Int: [StatTable.Row]] = [:]
                for try await (index, rows) in group { answers[index] = rows }
                return requests.indices.flatMap { answers[$0] ?? [] }
            }
        }
    }

    /// Asks who talks to whom.
    package func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> [Linkerd2_Viz_Edge] {
        try await call("Edges") { client, options in
            let response = try await Linkerd2_Viz_Api.Client(wrapping: client).edges(request, options: options)
            if case .error(let error) = response.response {
                throw StatError(description: "Edges API response error: \(error.error)")
            }
            return response.ok.edges
        }
    }

    /// Asks who talked to whom in a window.
    package func pastEdges(
        _ request: Linkerd2_Viz_History_PastEdgesRequest
    ) async throws -> Linkerd2_Viz_History_PastEdgesResponse {
        try await call("PastEdges") { client, options in
            try await Linkerd2_Viz_History_History.Client(wrapping: client).pastEdges(request, options: options)
        }
    }

    /// Asks for traffic by route.
    package func routes(_ request: Linkerd2_Viz_TopRoutesRequest) async throws -> [Linkerd2_Viz_RouteTable] {
        try await call("TopRoutes") { client, options in
            let response = try await Linkerd2_Viz_Api.Client(wrapping: client).topRoutes(request, options: options)
            // Linkerd prints the bare message here.
            if case .error(let error) = response.response { throw StatError(description: error.error) }
            return response.ok.routes
        }
    }

    /// Asks for two windows side by side.
    package func compare(
        _ request: Linkerd2_Viz_History_CompareRequest
    ) async throws -> Linkerd2_Viz_History_CompareResponse {
        try await call("Compare") { client, options in
            try await Linkerd2_Viz_History_History.Client(wrapping: client).compare(request, options: options)
        }
    }

    /// Asks for sampled requests, added up.
    package func top(_ request: Linkerd2_Viz_History_TopRequest) async throws -> Linkerd2_Viz_History_TopResponse {
        try await call("Top") { client, options in
            try await Linkerd2_Viz_History_History.Client(wrapping: client).top(request, options: options)
        }
    }

    /// Asks for the slowest and the failed requests.
    package func exemplars(
        _ request: Linkerd2_Viz_History_ExemplarsRequest
    ) async throws -> Linkerd2_Viz_History_ExemplarsResponse {
        try await call("Exemplars") { client, options in
            try await Linkerd2_Viz_History_History.Client(wrapping: client).exemplars(request, options: options)
        }
    }

    /// Asks for buckets over time.
    package func series(
        _ request: Linkerd2_Viz_History_SeriesRequest
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        try await call("Series") { client, options in
            try await Linkerd2_Viz_History_History.Client(wrapping: client).series(request, options: options)
        }
    }

    /// Calls with a deadline; whatever fails becomes words for the user.
    func call<Answer: Sendable>(
        _ name: String,
        _ body: (GRPCClient<HTTP2ClientTransport.Posix>, CallOptions) async throws -> Answer
    ) async throws -> Answer {
        do {
            return try await withGRPCClient(transport: transport()) { client in
                var options = CallOptions.defaults
                options.timeout = .seconds(Self.answerSecondsMax)
                return try await body(client, options)
            }
        } catch let error as StatError {
            throw error
        } catch let error as RPCError {
            throw StatError(description: "\(name) API error: \(error.message)")
        } catch {
            throw StatError(description: "\(name) API error: \(error)")
        }
    }

    private func transport() throws -> HTTP2ClientTransport.Posix {
        try .http2NIOPosix(target: .dns(host: host, port: port), transportSecurity: .plaintext)
    }

    /// Closes the forwarded port, if one was opened.
    package func close() async { await forwarder?.close() }
}
