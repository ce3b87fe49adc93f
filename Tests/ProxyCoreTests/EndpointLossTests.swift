// Endpoints that go away properly, and endpoints that just fall silent, with peers that nobody here wrote.

import Foundation
import NIOCore
import ProxyCore
import Testing

/// `PORT NOTES`: unary and streaming calls, on connections that are told to end every 300 ms.
private let server = #"""
    import grpc, sys, time
    from concurrent import futures

    def unary(request, context): return request
    def both(requests, context):
        for request in requests: yield request

    calls = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary), "Both": grpc.stream_stream_rpc_method_handler(both)}
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[
        ("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 20000)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.Test", calls),))
    assert server.add_insecure_port("127.0.0.1:" + sys.argv[1])
    server.start()
    server.wait_for_termination()
    """#

/// `PORT`: calls `server` from four threads while streams of more than a second are open, over several GOAWAYs.
private let client = #"""
    import grpc, sys, threading, time
    channel = grpc.insecure_channel("127.0.0.1:" + sys.argv[1])
    failures, counts = [], []
    end = time.time() + 3

    def unary():
        call, count = channel.unary_unary("/t.Test/Unary"), 0
        try:
            while time.time() < end:
                body = b"%d" % count
                assert call(body, timeout=20) == body
                count += 1
        except Exception as error: failures.append(error)
        counts.append(count)

    def stream():
        def slowly():
            for index in range(60):
                time.sleep(0.02)
                yield b"%d" % index
        try:
            while time.time() < end:
                got = list(channel.stream_stream("/t.Test/Both")(slowly(), timeout=20))
                assert got == [b"%d" % index for index in range(60)], got
        except Exception as error: failures.append(error)

    threads = [threading.Thread(target=work) for work in [unary] * 4 + [stream] * 4]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failures, failures[:3]
    assert min(counts) > 20, counts
    print("OK")
    """#

@Suite("Endpoints that go away", .timeLimit(.minutes(3))) struct EndpointLossTests {
    @Test("A gRPC server that ends its connections again and again fails no call, and cuts no stream short")
    func goAway() async throws {
        try await Matrix.run(server: Matrix.python(server)) { matrix in
            try await matrix.check(client)
            // Three seconds of connections that live for 300 ms, less a share of chance.
            let upstream = ["direction": "inbound", "peer": "dst"]
            let connections = try await matrix.pair.far.metric("tcp_open_total", upstream)
            #expect(connections >= 6)
            for proxy in [matrix.pair.near, matrix.pair.far] {
                #expect(try await proxy.metric("response_total", ["classification": "failure"]) == 0)
                #expect(
                    try await proxy.metric("response_total", ["classification": "success", "grpc_status": "0"])
                        == proxy.metric("request_total"))
            }
            // Between the proxies nothing had to be given up.
            #expect(try await matrix.pair.near.metric("tcp_open_total", ["direction": "outbound", "peer": "dst"]) == 1)
        }
    }

    @Test(
        "A connection whose endpoint fell silent is found by its pings and closed, with requests on it or without",
        arguments: [true, false])
    func silent(isIdle: Bool) async throws {
        let serve = Matrix.nginx(isHTTP2: true)
        try await PeerProgram.inFolder { folder in
            try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
                let port = try await PeerProgram.freePort(on: proxy.group)
                let log = folder.appending(path: "server.log")
                let process = try PeerProgram.start(await serve(port, folder), log: log, folder: folder)
                defer { PeerProgram.stop(process) }
                try await PeerProgram.listening(port, by: process, log: log, on: proxy.group)
                let service = try RoutedService()
                proxy.discovery.setProfile(
                    service.address.endpointText, .profile(
                        DestinationProfile(
                            endpoint: DiscoveredEndpoint(
                                address: try SocketAddress(ipAddress: "127.0.0.1", port: port),
                                keepAlive: .init(interval: .milliseconds(200), timeout: .milliseconds(300), isWhileIdle: isIdle)))))
                try await proxy.outbound(to: service.address).close()
                let get = [
                    "curl", "-sS", "--http2-prior-knowledge", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}",
                    "http://127.0.0.1:\(proxy.runtime.addresses[1].port ?? 0)/index.html",
                ]
                #expect(try await PeerProgram.run(get, folder: folder).text == "200")
                let upstream = ["direction": "outbound", "peer": "dst"]
                // Stopped, not ended: its kernel goes on acknowledging.
                kill(process.processIdentifier, SIGSTOP)
                let stoppedAt = ContinuousClock.now
                if !isIdle { #expect(try await PeerProgram.run(get, folder: folder).text == "502") }
                try await eventually("the connection is given up") {
                    try await proxy.metric("tcp_open_connections", upstream) == 0
                }
                // Interval, and time-out, and what a busy machine takes on top.
                #expect(ContinuousClock.now - stoppedAt < .seconds(5))
                kill(process.processIdentifier, SIGCONT)
                #expect(try await PeerProgram.run(get, folder: folder).text == "200")
                #expect(try await proxy.metric("tcp_open_total", upstream) == 2)
                #expect(try await proxy.metric("outbound_http_errors_total") == (isIdle ? 0 : 1))
            }
        }
    }
}
