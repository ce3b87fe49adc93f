import MeshBalance
import MeshTransport
import NIOCore
import NIOPosix
import Testing

@testable import ProxyCore

@Suite("Failure table", .timeLimit(.minutes(1))) struct FailureTableTests {
    /// The cells in which a request is sent again; all others answer, or break off when a part was passed on.
    private static let again: [ProxyError.Kind: [RequestProgress: FailureFate]] = [
        .connectFailed: [.nothing: .resendElsewhere],
        .connectTimedOut: [.nothing: .resendElsewhere],
        .upstreamClosed: [.unprocessed: .resend, .crossedClose: .resend],
        .upstreamReset: [.unprocessed: .resend],
    ]

    @Test("Every cell: kind of failure, what was sent, what was received", arguments: ProxyError.Kind.allCases)
    func cells(kind: ProxyError.Kind) {
        for sent in RequestProgress.allCases {
            let expected = Self.again[kind]?[sent] ?? .respond
            #expect(FailureFate.of(kind, sent: sent, received: .nothing) == expected, "\(kind) \(sent)")
            #expect(FailureFate.of(kind, sent: sent, received: .some) == .breakOff, "\(kind) \(sent)")
        }
    }

    @Test("A request that the endpoint may have acted on is never sent again")
    func never() {
        for kind in ProxyError.Kind.allCases {
            #expect(FailureFate.of(kind, sent: .something, received: .nothing) == .respond)
        }
    }
}

@Suite("Breaker of an endpoint", .timeLimit(.minutes(1))) struct EndpointBreakerTests {
    private func endpoint(on loop: any EventLoop, accrual: FailureAccrual.Settings?) throws -> EndpointHandle {
        let backoff = Backoff(minNanoseconds: 1_000_000, maxNanoseconds: 10_000_000, jitter: 0)
        let connect = ConnectSettings(timeout: .seconds(5), backoff: backoff, socket: SocketSettings())
        var settings = EndpointSettings(connect: connect, poolIdleTimeout: .seconds(3), poolIdleMax: 10)
        settings.accrual = accrual
        return EndpointHandle(
            address: try SocketAddress(ipAddress: "127.0.0.1", port: 1), loop: loop,
            metrics: RequestMetrics(labels: ""), transport: TransportMetrics(labels: ""), settings: settings)
    }

    @Test("Failures in a row take the endpoint out, and one request brings it back")
    func breaks() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let states = try await loop.submit { () -> [Bool] in
            let hour = Backoff(minNanoseconds: 3_600_000_000_000, maxNanoseconds: 3_600_000_000_000, jitter: 0)
            let instant = Backoff(minNanoseconds: 0, maxNanoseconds: 0, jitter: 0)
            var states: [Bool] = []
            func fail(_ endpoint: EndpointHandle) {
                endpoint.requestStarted()
                endpoint.responseEnded(status: 500, grpcStatus: nil, isFailure: true)
            }
            let without = try self.endpoint(on: loop, accrual: nil)
            for _ in 0..<100 { fail(without) }
            states.append(without.isReady)  // 0: no policy, no breaker
            let shut = try self.endpoint(on: loop, accrual: .init(failuresMax: 2, backoff: hour))
            fail(shut)
            states.append(shut.isReady)  // 1: one failure is not enough
            shut.requestStarted()
            shut.requestFailed(status: nil, error: "unclassified")
            states.append(shut.isReady)  // 2: two are
            let probing = try self.endpoint(on: loop, accrual: .init(failuresMax: 1, backoff: instant))
            fail(probing)
            states.append(probing.isReady)  // 3: the pause is over
            probing.requestStarted()
            states.append(probing.isReady)  // 4: one at a time
            probing.requestFailed(status: nil, error: "h2(CANCEL)", blamesEndpoint: false)
            states.append(probing.isReady)  // 5: the client left, the next may try
            probing.requestStarted()
            probing.responseEnded(status: 200, grpcStatus: nil, isFailure: false)
            probing.requestStarted()
            states.append(probing.isReady)  // 6: closed again
            return states
        }.get()
        try await group.shutdownGracefully()
        #expect(states == [true, true, false, true, false, true, true])
    }
}
