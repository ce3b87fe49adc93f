package import Logging
import MeshMetrics
import MeshWire
package import NIOCore

extension DestinationClient {
    /// The client that the configuration asks for, on one of the data plane's loops; nil when it names no
    /// service.
    package static func make(
        config: ProxyConfig, proxyLoops: LoopLocal<ProxyLoop>, group: any EventLoopGroup, logger: Logger
    ) async throws -> DestinationClient? {
        guard let authority = config.destinationAddress else { return nil }
        let port = Int(authority.port ?? 8086)
        let settings = GRPCSettings(
            host: authority.host, port: port, connect: config.outbound.endpoint.connect)
        let address = ExpositionWriter.escapeLabelValue("\(authority.host):\(port)")
        let labels = "addr=\"\(address)\",\(SeriesLabels.noTLS(.notProvidedByServiceDiscovery))"
        let loop = group.next()
        return try await make(
            settings: settings, contextToken: config.destinationContext, loop: loop, logger: logger
        ) {
            proxyLoops.value(on: loop)?.metrics.requests(labels: labels, scope: .control)
        }.get()
    }
}
