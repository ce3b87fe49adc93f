// The gRPC face of discovery. Each stream subscribes to one topic, and on every tick translates the
// present state and sends what is new. Nothing is queued: while a slow reader holds up a write, ticks
// merge into one, and the next translation starts from the state of that moment.

package import GRPCCore
internal import Logging
package import MeshAPI
internal import MeshGRPC

/// The service `io.linkerd.proxy.destination.Destination`.
package struct DestinationService: Io_Linkerd_Proxy_Destination_Destination.SimpleServiceProtocol {
    private let index: ClusterIndex
    private let settings: DestinationSettings
    private let metrics: DestinationMetrics
    private let endpoints: EndpointTranslator
    private let profiles: ProfileTranslator

    package init(index: ClusterIndex, settings: DestinationSettings, metrics: DestinationMetrics) {
        self.index = index
        self.settings = settings
        self.metrics = metrics
        endpoints = EndpointTranslator(settings: settings)
        profiles = ProfileTranslator(settings: settings)
    }

    package func get(
        request: Io_Linkerd_Proxy_Destination_GetDestination,
        response: RPCWriter<Io_Linkerd_Proxy_Destination_Update>, context: ServerContext
    ) async throws {
        try await run(request) { (path) throws(DestinationError) in
            guard case .service(let authority) = path else {
                throw DestinationError(.invalidArgument, "not a service name: \(request.path)")
            }
            return EndpointStream(
                authority: authority, token: ContextToken(parsing: request.contextToken),
                translator: endpoints,
                writer: response)
        }
    }

    package func getProfile(
        request: Io_Linkerd_Proxy_Destination_GetDestination,
        response: RPCWriter<Io_Linkerd_Proxy_Destination_DestinationProfile>, context: ServerContext
    ) async throws {
        try await run(request) { (path) throws(DestinationError) in
            ProfileStream(
                path: path, token: ContextToken(parsing: request.contextToken), translator: profiles,
                writer: response)
        }
    }

    /// Runs one stream: parse, subscribe, then catch up on every tick until the caller leaves or the server
    /// stops.
    private func run<Stream: DestinationStream>(
        _ request: Io_Linkerd_Proxy_Destination_GetDestination,
        _ makeStream: (DestinationPath) throws(DestinationError) -> Stream
    ) async throws {
        do {
            let path = try DestinationPath(parsing: request.path, clusterDomain: settings.clusterDomain)
            let stream = try makeStream(path)
            let subscription = index.subscribe(to: stream.topic)
            defer { subscription.finish() }
            let labels = DestinationMetrics.labels(of: path)
            metrics.opened(Stream.call, labels: labels)
            defer { metrics.closed(Stream.call, labels: labels) }
            let (index, metrics) = (index, metrics)
            try await withRPCCancellationHandler {
                var stream = stream
                for await _ in subscription.ticks {
                    metrics.sent(Stream.call, labels: labels, count: try await stream.catchUp(with: index))
                }
            } onCancelRPC: {
                subscription.finish()
            }
            metrics.handled(Stream.call, code: "OK")
        } catch let error as DestinationError {
            metrics.handled(Stream.call, code: error.kind.rawValue)
            throw RPCError(code: error.kind.code, message: error.message)
        } catch {
            // The connection went away in the middle of a write.
            metrics.handled(Stream.call, code: "Unavailable")
            throw error
        }
    }
}

extension DestinationError.Kind {
    /// The gRPC code of each kind: the first and third are final for a proxy, the second is asked again.
    var code: RPCError.Code {
        switch self {
        case .invalidArgument: .invalidArgument
        case .notFound: .notFound
        case .failedPrecondition: .failedPrecondition
        }
    }
}
