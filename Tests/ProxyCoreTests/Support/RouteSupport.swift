import MeshRoutes
import NIOCore
import ProxyCore
import Synchronization

/// A Service with routes, as the tests' discovery describes it.
struct RoutedService: Sendable {
    static let name = "web.ns.svc.cluster.local"
    static let path = "web.ns.svc.cluster.local:8080"
    let address: SocketAddress

    init() throws { address = try SocketAddress(ipAddress: "10.96.0.7", port: 8080) }

    /// Says what discovery knows about it.
    func set(
        _ proxy: ProxyFixture, routes: [ProfileRoute] = [], budget: RetryBudget.Settings? = nil,
        overrides: [WeightedAuthority] = []
    ) {
        proxy.discovery.setProfile(
            "10.96.0.7:8080",
            .profile(
                DestinationProfile(
                    fullyQualifiedName: Self.name, routes: routes, retryBudget: budget, overrides: overrides)))
    }

    /// Says where it is.
    func locate(_ proxy: ProxyFixture, servers: ScriptedServer...) {
        proxy.discovery.setEndpoints(
            Self.path,
            .replace(servers.map { DiscoveredEndpoint(address: $0.address, metricLabels: ["pod": "web"]) }))
    }

    /// A budget that no test exhausts, or the given one.
    static func budget(ratio: Double = 1, minPerSecond: UInt32 = 100) -> RetryBudget.Settings? {
        RetryBudget.Settings(windowNanoseconds: 10_000_000_000, ratio: ratio, minPerSecond: minPerSecond)
    }
}

extension ProfileRoute {
    /// A route by its path, named after it.
    static func path(
        _ pattern: String, isRetryable: Bool = false, timeout: Int64? = nil, classes: [ResponseClass] = []
    ) -> ProfileRoute {
        ProfileRoute(
            condition: .path(pattern), classes: classes, labels: ["route": pattern], isRetryable: isRetryable,
            timeoutNanoseconds: timeout.map { $0 * 1_000_000 })
    }
}

/// Answers in order, the last one for ever; remembers what it was asked.
final class Script: Sendable {
    private struct State {
        var answers: [String]
        var requests: [String] = []
    }

    private let state: Mutex<State>

    init(_ answers: [String]) { state = Mutex(State(answers: answers)) }

    /// Requests seen, heads and bodies.
    var requests: [String] { state.withLock { $0.requests } }

    private func answer(_ request: String) -> String {
        state.withLock { state in
            state.requests.append(request)
            return state.answers.count > 1 ? state.answers.removeFirst() : state.answers.first ?? ""
        }
    }

    /// Serves one connection: requests without a body, with a length, or chunked.
    @Sendable func serve(_ connection: TestConnection) async throws {
        while true {
            let head = try await connection.takeHead()
            let lines = head.lowercased().split(separator: "\r\n")
            var body = ""
            if let length = lines.first(where: { $0.hasPrefix("content-length: ") }) {
                body = try await connection.take(count: Int(length.dropFirst(16)) ?? 0)
            } else if lines.contains("transfer-encoding: chunked") {
                body = try await connection.take(through: "0\r\n\r\n")
            }
            try await connection.send(answer(head + body))
        }
    }

    static func response(_ status: String, _ body: String = "hi") -> String {
        "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
}
