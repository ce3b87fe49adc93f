import Foundation
import MeshBalance
import MeshHTTP2
import MeshTransport
import NIOCore
import ProxyCore
import Testing

@Suite("HTTP/2 under pressure", .timeLimit(.minutes(2)))
struct HTTP2PressureTests {
    @Test("A client that does not read stops the endpoint at the window, and gets every byte later")
    func slowClient() async throws {
        let (atRest, answer) = try await HTTP2Fixture.run(HTTP2ForwardTests.upstream) { fixture in
            fixture.client.takesBody = false
            let answer = fixture.client.open("/large").answer
            return fixture.when { $0.client.receivedBytes >= 65_535 }.flatMap { _ in
                // Whatever could still come would come within these turns.
                fixture.loop.scheduleTask(in: .milliseconds(50)) {}.futureResult
            }.flatMap { () -> EventLoopFuture<(UInt64, HTTP2Answer)> in
                let atRest = fixture.upstreamTransport.readBytes
                fixture.client.takeUntaken()
                return answer.map { (atRest, $0) }
            }
        }
        // One window that the client has, one that waits inside, and heads.
        #expect(atRest < 2 * 65_535 + 4_096)
        #expect(answer.body.readableBytes == 3_000_000)
        #expect(answer.isComplete && answer.reset == nil)
    }

    @Test("An endpoint that does not read stops the client at the window")
    func slowEndpoint() async throws {
        let (atRest, received, answer) = try await HTTP2Fixture.run({ event, peer in
            if case .data(let slot, let chunk) = event {
                peer.notes.owed.append((peer.session.streamID(of: slot), chunk.byteCount))
            }
            if case .end(let slot) = event { peer.respond(slot) }
        }) { fixture in
            let answer = fixture.client.open(
                "/upload", method: "POST", body: ByteBuffer(repeating: 3, count: 1_000_000)
            ).answer
            return fixture.when { $0.notes.owedCount >= 65_535 }.flatMap { _ in
                fixture.loop.scheduleTask(in: .milliseconds(50)) {}.futureResult
            }.flatMap { () -> EventLoopFuture<(UInt64, Int, HTTP2Answer)> in
                let atRest = fixture.inboundTransport.readBytes
                let received = fixture.notes.owedCount
                fixture.onUpstreamEvent = HTTP2ForwardTests.upstream
                for upstream in fixture.upstreams {
                    for owed in fixture.notes.owed {
                        upstream.session.consume(streamID: owed.stream, byteCount: owed.count)
                    }
                    upstream.flush()
                }
                return answer.map { (atRest, received, $0) }
            }
        }
        #expect(received == 65_535)
        #expect(atRest < 2 * 65_535 + 4_096)
        #expect(answer.status == 200)
    }

    @Test("An answer before the end of the request stops the request")
    func earlyAnswer() async throws {
        let (answer, sent) = try await HTTP2Fixture.run(HTTP2ForwardTests.upstream) { fixture in
            let stream = fixture.client.open(
                "/early", method: "POST", body: ByteBuffer(repeating: 1, count: 1_000_000))
            return stream.answer.map { ($0, fixture.inboundTransport.readBytes) }
        }
        #expect(answer.status == 413)
        #expect(answer.isComplete)
        #expect(sent <= 1_048_576)
    }

    @Test("A client that cancels cancels upstream, and is counted as a failure")
    func clientCancels() async throws {
        let (codes, series, pending) = try await HTTP2Fixture.run({ event, peer in
            if case .closed(_, let closure) = event { peer.notes.codes.append(closure.code) }
            HTTP2ForwardTests.upstream(event, peer)
        }) { fixture in
            let stream = fixture.client.open("/hang")
            return fixture.when { $0.upstreams.first?.session.openStreamCount == 1 }.flatMap { _ in
                fixture.client.peer.session.reset(stream.slot, .cancel)
                fixture.client.peer.flush()
                return fixture.when { !$0.notes.codes.isEmpty }
            }.map { _ in (fixture.notes.codes, fixture.series, fixture.endpoint.load.pendingCount) }
        }
        #expect(codes == [.cancel])
        #expect(series == ["0 -1 failure h2(CANCEL) 1"])
        #expect(pending == 0)
    }

    @Test("A client that vanishes cancels all its streams upstream")
    func clientVanishes() async throws {
        let (open, failures, clients) = try await HTTP2Fixture.run(HTTP2ForwardTests.upstream) { fixture in
            for _ in 0..<10 { _ = fixture.client.open("/hang") }
            return fixture.when { $0.upstreams.first?.session.openStreamCount == 10 }.flatMap { _ in
                fixture.client.peer.close()
                return fixture.when { $0.upstreams.first?.session.openStreamCount == 0 }
            }.map { _ in
                (
                    fixture.upstreams.first?.session.openStreamCount,
                    fixture.metrics.outcomes.map(\.count).reduce(0, +),
                    fixture.inboundTransport.openCount
                )
            }
        }
        #expect(open == 0)
        #expect(failures == 10)
        #expect(clients == 0)
    }

    @Test("Streams above GOAWAY's last id go to a new connection; the client sees only answers")
    func goAwayResends() async throws {
        let (answers, connections, series) = try await HTTP2Fixture.run({ event, peer in
            if case .head(_, let block, _) = event,
                peer.session.headers.value(of: .path, in: block, equals: "/kill"),
                !peer.notes.isKilled
            {
                // As a server that stops: nothing is taken, the connection goes.
                peer.notes.isKilled = true
                peer.refuseAllAndClose()
                return
            }
            HTTP2ForwardTests.upstream(event, peer)
        }) { fixture in
            let first = fixture.client.open("/kill").answer
            let second = fixture.client.open(
                "/upload", method: "POST", body: ByteBuffer(string: "short body")
            ).answer
            return first.and(second).map { ([$0, $1], fixture.upstreams.count, fixture.series) }
        }
        #expect(answers.map(\.status) == [200, 200])
        #expect(connections == 2)
        #expect(series == ["200 -1 success  2"])
    }

    @Test("An endpoint with few streams gets more connections, then requests wait; every one is counted")
    func manyStreams() async throws {
        var limits = SessionLimits()
        limits.streamsMax = 2
        let (statuses, connections, requests, series) = try await HTTP2Fixture.run(
            upstreamLimits: limits, HTTP2ForwardTests.upstream
        ) { fixture in
            let first = fixture.client.open("/").answer
            return first.flatMap { _ -> EventLoopFuture<[HTTP2Answer]> in
                let answers = (0..<200).map { _ in
                    fixture.client.open("/upload", method: "POST", body: ByteBuffer(string: "x")).answer
                }
                return EventLoopFuture.whenAllSucceed(answers, on: fixture.loop)
            }.map {
                (Set($0.map(\.status)), fixture.upstreams.count, fixture.metrics.requestTotal, fixture.series)
            }
        }
        #expect(statuses == [200])
        #expect(connections <= 8)
        #expect(requests == 201)
        #expect(series == ["200 -1 success  201"])
    }

    @Test("Draining finishes what runs, takes what was under way, and closes")
    func drains() async throws {
        let (answer, goAways, open) = try await HTTP2Fixture.run({ event, peer in
            if case .head(let slot, _, _) = event { peer.notes.held.append((peer, slot)) }
        }) { fixture in
            let answer = fixture.client.open("/slow").answer
            return fixture.when { $0.notes.held.count == 1 }.flatMap { _ in
                let drained = fixture.drain.beginDrain()
                return fixture.when { $0.client.goAways.count == 2 }.flatMap { _ in
                    for (peer, slot) in fixture.notes.held {
                        peer.respond(slot)
                        peer.flush()
                    }
                    return drained.and(answer)
                }
            }.map { ($0.1, fixture.client.goAways, fixture.drain.openCount) }
        }
        #expect(answer.status == 200)
        #expect(goAways.first == Int(Int32.max))
        #expect(goAways.last == 1)
        #expect(open == 0)
    }

    @Test(
        "What h2load sends is what the counters say",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/h2load")))
    func load() async throws {
        let requests = 5_000
        let (total, series, output) = try await HTTP2Fixture.run(HTTP2ForwardTests.upstream) { fixture in
            let port = fixture.address?.port ?? 0
            let process = fixture.loop.makePromise(of: String.self)
            let thread = Thread { process.completeWith(Result { try Self.h2load(requests, port: port) }) }
            thread.start()
            return process.futureResult.map { output in (fixture.metrics.requestTotal, fixture.series, output)
            }
        }
        #expect(output.contains("\(requests) succeeded, 0 failed, 0 errored"), "\(output)")
        #expect(total == UInt64(requests))
        #expect(series == ["200 -1 success  \(requests)"])
    }

    private static func h2load(_ requests: Int, port: Int) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/h2load")
        process.arguments = ["-n", "\(requests)", "-c", "16", "-m", "8", "http://127.0.0.1:\(port)/"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
