// One event of a tap as the CLI works with it, whether it came over the wire or out of a recording.

package import MeshAPI
import MeshModel
import SwiftProtobuf

/// One event.
package struct TapEntry: Sendable, Equatable {
    /// One end of a connection.
    package struct Peer: Sendable, Equatable {
        package var ip: String
        package var port: UInt32
        package var labels: [String: String]

        package init(ip: String = "", port: UInt32 = 0, labels: [String: String] = [:]) {
            self.ip = ip
            self.port = port
            self.labels = labels
        }

        /// `ip:port`, with brackets for IPv6.
        package var address: String { ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)" }
    }

    /// A header field; a value that is no text is kept as bytes.
    package struct Field: Sendable, Equatable {
        package enum Value: Sendable, Equatable {
            case text(String)
            case bytes([UInt8])
        }

        package var name: String
        package var value: Value

        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    /// Which request of which tap stream.
    package struct ID: Sendable, Hashable {
        package var base: UInt32
        package var stream: UInt64

        package init(base: UInt32, stream: UInt64) {
            self.base = base
            self.stream = stream
        }
    }

    /// Which side of a workload saw it.
    package enum Direction: String, Sendable, CaseIterable {
        case unknown = "UNKNOWN"
        case inbound = "INBOUND"
        case outbound = "OUTBOUND"
    }

    package struct Request: Sendable, Equatable {
        package var id: ID
        package var method: String
        package var scheme: String
        package var authority: String
        package var path: String
        package var headers: [Field]

        package init(
            id: ID, method: String, scheme: String, authority: String, path: String, headers:
            [Field]
        ) {
            self.id = id
            self.method = method
            self.scheme = scheme
            self.authority = authority
            self.path = path
            self.headers = headers
        }
    }

    package struct Response: Sendable, Equatable {
        package var id: ID
        package var sinceRequest: Duration?
        package var status: UInt32
        package var headers: [Field]

        package init(
            id: ID, sinceRequest: Duration?, status: UInt32, headers: [Field]
        ) {
            self.id = id
            self.sinceRequest = sinceRequest
            self.status = status
            self.headers = headers
        }
    }

    package struct End: Sendable, Equatable {
        package var id: ID
        package var sinceRequest: Duration?
        package var sinceResponse: Duration?
        package var bytes: UInt64
        package var grpcStatus: UInt32?
        package var resetCode: UInt32?
        package var trailers: [Field]

        package init(
            id: ID, sinceRequest: Duration?, sinceResponse: Duration?, bytes: UInt64, grpcStatus:
            UInt32?, resetCode: UInt32?, trailers: [Field]
        ) {
            self.id = id
            self.sinceRequest = sinceRequest
            self.sinceResponse = sinceResponse
            self.bytes = bytes
            self.grpcStatus = grpcStatus
            self.resetCode = resetCode
            self.trailers = trailers
        }
    }

    package enum Part: Sendable, Equatable {
        case request(Request)
        case response(Response)
        case end(End)
        case unknown
    }

    package var source: Peer
    package var destination: Peer
    package var routeLabels: [String: String]
    package var direction: Direction
    package var part: Part

    package init(
        source: Peer, destination: Peer, routeLabels: [String: String] = [:], direction: Direction, part: Part
    ) {
        self.source = source
        self.destination = destination
        self.routeLabels = routeLabels
        self.direction = direction
        self.part = part
    }

    /// The request it belongs to, if it says.
    package var id: ID? {
        switch part {
        case .request(let part): part.id
        case .response(let part): part.id
        case .end(let part): part.id
        case .unknown: nil
        }
    }

    /// Tells requests apart across pods and both sides of one request.
    package var key: String {
        id.map { "\($0.base):\($0.stream) \(direction.rawValue) \(source.address) \(destination.address)" } ?? ""
    }

    /// Whether the mesh encrypted it, in the proxy's words; empty when it did not say.
    package var tls: String {
        (direction == .outbound ? destination.labels["tls"] : source.labels["tls"]) ?? ""
    }
}

// MARK: - From the wire

extension TapEntry {
    /// One event as the tap service sends it.
    package init(_ event: Linkerd2_Tap_TapEvent) {
        source = Peer(
            ip: Self.ip(event.source.ip), port: event.source.port, labels: event.sourceMeta.labels)
        destination = Peer(
            ip: Self.ip(event.destination.ip), port: event.destination.port, labels: event.destinationMeta.labels)
        routeLabels = event.routeMeta.labels
        direction =
            switch event.proxyDirection {
            case .inbound: .inbound
            case .outbound: .outbound
            case .unknown, .UNRECOGNIZED: .unknown
            }
        switch event.http.event {
        case .requestInit(let part): self.part = .request(Request(part))
        case .responseInit(let part): self.part = .response(Response(part))
        case .responseEnd(let part): self.part = .end(End(part))
        case nil: part = .unknown
        }
    }

    private static func ip(_ address: Linkerd2_Common_Net_IPAddress) -> String {
        switch address.ip {
        case .ipv4(let bits): IPText.ipv4(bits)
        case .ipv6(let bits): IPText.ipv6(bits.first, bits.last)
        case nil: ""
        }
    }

    fileprivate static func fields(_ headers: Linkerd2_Viz_Headers) -> [Field] {
        headers.headers.map { header in
            switch header.value {
            case .valueBin(let bytes): Field(name: header.name, value: .bytes(Array(bytes)))
            case .valueStr(let text): Field(name: header.name, value: .text(text))
            case nil: Field(name: header.name, value: .text(""))
            }
        }
    }

    fileprivate static func duration(_ has: Bool, _ value: Google_Protobuf_Duration) -> Duration? {
        has ? .seconds(value.seconds) + .nanoseconds(Int64(value.nanos)) : nil
    }
}

extension TapEntry.ID {
    fileprivate init(_ id: Linkerd2_Tap_TapEvent.Http.StreamId) { self.init(base: id.base, stream: id.stream) }
}

extension TapEntry.Request {
    fileprivate init(_ part: Linkerd2_Tap_TapEvent.Http.RequestInit) {
        self.init(
            id: TapEntry.ID(part.id), method: Self.method(part.method), scheme: Self.scheme(part),
            authority: part.authority, path: part.path, headers: TapEntry.fields(part.headers))
    }

    private static func method(_ method: Linkerd2_Viz_HttpMethod) -> String {
        switch method.type {
        case .registered(let known): "\(known)".uppercased()
        case .unregistered(let text): text
        case nil: ""
        }
    }

    private static func scheme(_ part: Linkerd2_Tap_TapEvent.Http.RequestInit) -> String {
        guard part.hasScheme else { return "" }
        switch part.scheme.type {
        case .registered(let known): return "\(known)".uppercased()
        case .unregistered(let text): return text
        case nil: return ""
        }
    }
}

extension TapEntry.Response {
    fileprivate init(_ part: Linkerd2_Tap_TapEvent.Http.ResponseInit) {
        self.init(
            id: TapEntry.ID(part.id), sinceRequest: TapEntry.duration(part.hasSinceRequestInit, part.sinceRequestInit),
            status: part.httpStatus, headers: TapEntry.fields(part.headers))
    }
}

extension TapEntry.End {
    fileprivate init(_ part: Linkerd2_Tap_TapEvent.Http.ResponseEnd) {
        self.init(
            id: TapEntry.ID(part.id), sinceRequest: TapEntry.duration(part.hasSinceRequestInit, part.sinceRequestInit),
            sinceResponse: TapEntry.duration(part.hasSinceResponseInit, part.sinceResponseInit),
            bytes: part.responseBytes, grpcStatus: nil, resetCode: nil, trailers: TapEntry.fields(part.trailers))
        switch part.eos.end {
        case .grpcStatusCode(let code): grpcStatus = code
        case .resetErrorCode(let code): resetCode = code
        case nil: break
        }
    }
}
