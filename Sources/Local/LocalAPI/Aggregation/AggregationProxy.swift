import MeshModel
import NIOCore
import NIOHTTP1

/// Passes requests for an aggregated API on to the Service that answers for it.
struct AggregationProxy: Sendable {
    /// Longest time for a request that is not a watch, as in Kubernetes.
    static let requestLimit = TimeAmount.seconds(60)
    /// Longest look at whether an API answers.
    static let checkLimit = TimeAmount.seconds(5)
    private static let checkBytesMax = 4 << 20

    let cluster: Cluster

    /// Streams the API's own answer, whatever its length and duration.
    ///
    /// - Throws: `StatusError` 501 for an upgrade, 503 in words when the Service cannot be reached.
    func respond(_ request: APIRequest, api: AggregatedAPI, verb: String) async throws -> APIResponse {
        // The gate has renamed the header of a connection's first request; later ones still bear their own.
        if let wanted = request.headers.first(name: UpgradeGateHandler.refusedHeader) ?? request.headers.first(name: "Upgrade") {
            throw StatusError.notImplemented("the upgrade of a request to \(api.apiVersion) to \(wanted)")
        }
        let target: UpstreamTarget
        do { target = try await self.target(api) } catch let problem as ServiceAddress.Problem {
            throw StatusError.unavailable(
                "the server is currently unable to handle the request: APIService \(api.name): \(Self.message(problem, api))")
        }
        var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.uri)
        head.headers = FrontProxy.headers(request.headers, for: request.user)
        head.headers.add(name: "Host", value: api.serverName)
        head.headers.add(name: "Connection", value: "close")
        if request.body.readableBytes > 0 || request.method == .POST || request.method == .PUT {
            head.headers.add(name: "Content-Length", value: String(request.body.readableBytes))
        }
        let exchange = UpstreamExchange(
            target: target, head: head, body: request.body, limit: verb == "watch" ? nil : Self.requestLimit)
        return .stream { stream in try await exchange.run(to: stream) }
    }

    /// Whether an API answers: its condition's status, reason and message.
    func availability(of api: AggregatedAPI) async -> (isAvailable: Bool, reason: String, message: String) {
        let path = "/apis/\(api.apiVersion)"
        do {
            let target = try await target(api)
            let user = UserIdentity(name: "system:kube-aggregator", groups: [AccessPolicy.masters])
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
            head.headers = FrontProxy.headers([:], for: user)
            head.headers.add(name: "Host", value: api.serverName)
            head.headers.add(name: "Connection", value: "close")
            let url = "https://\(target.host):\(target.port)\(path)"
            do {
                let answer = try await UpstreamExchange(
                    target: target, head: head, body: ByteBuffer(), limit: Self.checkLimit
                ).collect(bytesMax: Self.checkBytesMax)
                if (200..<300).contains(answer.status) { return (true, "Passed", "all checks passed") }
                return (false, "FailedDiscoveryCheck", "failing or missing response from \(url): bad status \(answer.status)")
            } catch {
                return (false, "FailedDiscoveryCheck", "failing or missing response from \(url): \(error)")
            }
        } catch let problem as ServiceAddress.Problem {
            return (false, Self.reason(problem), Self.message(problem, api))
        } catch {
            return (false, "FailedDiscoveryCheck", "\(error)")
        }
    }

    private func target(_ api: AggregatedAPI) async throws -> UpstreamTarget {
        let (host, port) = try await ServiceAddress(cluster: cluster).resolve(
            namespace: api.namespace, name: api.service, port: String(api.port))
        let context: UpstreamTarget.TLS
        do {
            context = UpstreamTarget.TLS(
                context: try cluster.frontProxy.context(authority: api.authority, verifies: api.verifies),
                serverName: api.serverName)
        } catch {
            throw StatusError.unavailable("APIService \(api.name) has an unusable caBundle: \(error)")
        }
        return UpstreamTarget(host: host, port: port, tls: context)
    }

    private static func reason(_ problem: ServiceAddress.Problem) -> String {
        switch problem {
        case .serviceNotFound: "ServiceNotFound"
        case .portNotFound: "ServicePortError"
        case .endpointsNotFound: "EndpointsNotFound"
        case .missingEndpoints: "MissingEndpoints"
        }
    }

    private static func message(_ problem: ServiceAddress.Problem, _ api: AggregatedAPI) -> String {
        let place = "service/\(api.service) in \"\(api.namespace)\""
        return switch problem {
        case .serviceNotFound: "\(place) is not present"
        case .portNotFound: "\(place) is not listening on port \(api.port)"
        case .endpointsNotFound: "cannot find endpoints for \(place)"
        case .missingEndpoints: "endpoints for \(place) have no addresses for port \(api.port)"
        }
    }
}
