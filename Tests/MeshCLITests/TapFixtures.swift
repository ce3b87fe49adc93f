import MeshAPI
import MeshCLI

/// One request of emojivoto's web to voting, as both proxies tell it.
enum TapFixtures {
    static let outbound = TapEntry(
        source: .init(ip: "10.0.0.1", port: 40_000, labels: ["deployment": "web", "pod": "web-1", "tls": "loopback"]),
        destination: .init(
            ip: "10.0.0.2", port: 8_080,
            labels: ["deployment": "voting", "pod": "voting-1", "server_id": "voting.emojivoto", "tls": "true"]),
        routeLabels: ["route": "VoteDoughnut"], direction: .outbound,
        part: .request(
            .init(
                id: .init(base: 3, stream: 7), method: "POST", scheme: "HTTP", authority: "voting:8080",
                path: "/VotingService/VoteDoughnut", headers: [.init(name: "te", value: .text("trailers"))])))

    static func response(_ status: UInt32 = 200) -> TapEntry {
        with(.response(.init(id: .init(base: 3, stream: 7), sinceRequest: .microseconds(1_234), status: status, headers: [])))
    }

    static func end(grpc: UInt32? = 2, reset: UInt32? = nil) -> TapEntry {
        with(
            .end(
                .init(
                    id: .init(base: 3, stream: 7), sinceRequest: .seconds(2) + .microseconds(34),
                    sinceResponse: .seconds(1) + .microseconds(21), bytes: 5, grpcStatus: grpc, resetCode: reset,
                    trailers: [.init(name: "x-bin", value: .bytes([0xFF, 0]))])))
    }

    static func with(_ part: TapEntry.Part) -> TapEntry {
        var entry = outbound
        entry.part = part
        return entry
    }

    static let inboundV6 = TapEntry(
        source: .init(ip: "fd00::1", port: 1), destination: .init(ip: "fd00::2", port: 2), direction: .inbound,
        part: .end(
            .init(
                id: .init(base: 0, stream: 0), sinceRequest: nil, sinceResponse: nil, bytes: 0, grpcStatus: nil,
                resetCode: nil, trailers: [])))

    static let all = [
        outbound, response(), end(), end(grpc: nil, reset: 8), end(grpc: 666), end(grpc: nil), inboundV6,
        with(.unknown),
    ]
}
