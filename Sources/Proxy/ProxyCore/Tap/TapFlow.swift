// What the events of many requests have in common, encoded once: who asks, who answers, and under which route.

package import NIOCore

/// Where requests come from: one for each connection that is tapped. Bound to its loop.
package final class TapSource {
    package let address: TapAddress
    /// `source`, `source_meta` and `proxy_direction` of a `TapEvent`.
    let encoded: [UInt8]
    /// What was asked for last: a connection's requests mostly go one way.
    private var lastPrefix: (destination: TapDestination, route: TapRoute?, bytes: [UInt8])?

    /// - Parameters:
    ///   - direction: which side of the workload sees the requests.
    ///   - labels: `tls`, and who the client is.
    package init(direction: Direction, address: SocketAddress?, labels: [String: String]) {
        self.address = TapAddress(address)
        var bytes: [UInt8] = []
        bytes.write(self.address, field: 1)
        bytes.write(labels: labels, field: 5)
        ProtoBytes.write(direction == .inbound ? 1 : 2, field: 6, to: &bytes)
        encoded = bytes
    }

    /// All that the events of a request to this endpoint under this route begin with.
    func prefix(to destination: TapDestination, under route: TapRoute?) -> [UInt8] {
        if let lastPrefix, lastPrefix.destination === destination, lastPrefix.route === route { return lastPrefix.bytes }
        var bytes = encoded
        bytes += destination.encoded
        if let route { bytes += route.encoded }
        lastPrefix = (destination, route, bytes)
        return bytes
    }
}

/// Where requests go: one for each endpoint that is tapped. Bound to its loop.
package final class TapDestination {
    package let address: TapAddress
    package let labels: [String: String]
    /// `destination` and `destination_meta` of a `TapEvent`.
    let encoded: [UInt8]

    /// - Parameter labels: what discovery knows about the endpoint, without `dst_`, and `tls`.
    package init(address: SocketAddress, labels: [String: String]) {
        self.address = TapAddress(address)
        self.labels = labels
        var bytes: [UInt8] = []
        bytes.write(self.address, field: 2)
        bytes.write(labels: labels, field: 4)
        encoded = bytes
    }
}

/// The route that requests matched: one for each route. Bound to its loop.
package final class TapRoute {
    package let labels: [String: String]
    /// `route_meta` of a `TapEvent`.
    let encoded: [UInt8]

    package init(labels: [String: String]) {
        self.labels = labels
        var bytes: [UInt8] = []
        bytes.write(labels: labels, field: 7)
        encoded = bytes
    }
}

/// From one connection to one endpoint under one route, if there is one.
package struct TapFlow {
    package let source: TapSource
    package let destination: TapDestination
    package let route: TapRoute?

    package init(source: TapSource, destination: TapDestination, route: TapRoute? = nil) {
        self.source = source
        self.destination = destination
        self.route = route
    }
}

extension [UInt8] {
    /// `net.TcpAddress`; left out when there is no address.
    fileprivate mutating func write(_ address: TapAddress, field: UInt64) {
        guard !address.bytes.isEmpty else { return }
        var ip: [UInt8] = []
        if address.bytes.count == 4 {
            ProtoBytes.writeTag(1, .fixed32, to: &ip)
            ip += address.bytes.reversed()
        } else {
            var halves: [UInt8] = []
            for half in 0..<2 {
                ProtoBytes.writeTag(UInt64(half + 1), .fixed64, to: &halves)
                halves += address.bytes[half * 8..<half * 8 + 8].reversed()
            }
            ProtoBytes.write(message: halves, field: 2, to: &ip)
        }
        var message: [UInt8] = []
        ProtoBytes.write(message: ip, field: 1, to: &message)
        ProtoBytes.write(UInt64(address.port), field: 2, to: &message)
        ProtoBytes.write(message: message, field: field, to: &self)
    }

    /// `EndpointMeta` or `RouteMeta`: present even without labels.
    fileprivate mutating func write(labels: [String: String], field: UInt64) {
        var message: [UInt8] = []
        ProtoBytes.write(map: labels, field: 1, to: &message)
        ProtoBytes.write(message: message, field: field, to: &self)
    }
}
