import Dashboard
import HummingbirdTesting
import MeshAPI
import MeshModel
import MeshWebSocket
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization
import Testing

@Suite("Live requests in the dashboard", .timeLimit(.minutes(1))) struct TapSocketTests {
    private let taps = FakeTaps()

    private func run<Value: Sendable>(
        taps: FakeTaps?, _ body: @escaping @Sendable (Int) async throws -> Value
    ) async throws -> Value {
        var dashboard = DashboardFixture()
        dashboard.taps = taps
        return try await dashboard.run(.live) { client in
            try await body(try #require(client.port))
        }
    }

    /// Sends a request as it is, and gives the answer's head and as much of a body as the head names.
    private func ask(_ port: Int, _ fields: [String], path: String = "/api/tap") async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            let text = (["GET \(path) HTTP/1.1"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
            // Byte by byte at first: what decides may come in pieces.
            for byte in text.utf8.prefix(20) { try await outbound.write(ByteBuffer(bytes: [byte])) }
            try await outbound.write(ByteBuffer(bytes: text.utf8.dropFirst(20)))
            var answer = ""
            for try await bytes in inbound {
                answer += String(buffer: bytes)
                if Self.isWhole(answer) { break }
            }
            return answer
        }
    }

    private static func isWhole(_ answer: String) -> Bool {
        guard let end = answer.firstRange(of: "\r\n\r\n") else { return false }
        let length = answer[..<end.lowerBound].lowercased().firstMatch(of: /content-length: *([0-9]+)/).flatMap { Int($0.1) }
        return answer[end.upperBound...].utf8.count >= length ?? 0
    }

    private static let upgrade = [
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]

    @Test("A page of another site gets no WebSocket, and a page of ours does")
    func origin() async throws {
        try await run(taps: taps) { port in
            let host = "Host: localhost:\(port)"
            let foreign = try await ask(port, [host, "Origin: https://evil.example"] + Self.upgrade)
            #expect(foreign.hasPrefix("HTTP/1.1 403 "), "\(foreign)")
            #expect(foreign.contains("own origin"))
            let rebound = try await ask(port, ["Host: evil.example", "Origin: http://evil.example"] + Self.upgrade)
            #expect(rebound.hasPrefix("HTTP/1.1 400 "), "\(rebound)")
            let own = try await ask(port, [host, "Origin: http://localhost:\(port)"] + Self.upgrade)
            #expect(own.hasPrefix("HTTP/1.1 101 "), "\(own)")
        }
        #expect(taps.requests.isEmpty)
    }

    @Test("Without an upgrade the path says what it is, and turned off it says so")
    func plain() async throws {
        try await run(taps: taps) { port in
            let answer = try await ask(port, ["Host: localhost:\(port)"])
            #expect(answer.hasPrefix("HTTP/1.1 426 "), "\(answer)")
            let other = try await ask(port, ["Host: localhost:\(port)", "Connection: close"], path: "/api/taps")
            #expect(other.hasPrefix("HTTP/1.1 404 "), "\(other)")
        }
        try await run(taps: nil) { port in
            let answer = try await ask(port, ["Host: localhost:\(port)"] + Self.upgrade)
            #expect(answer.hasPrefix("HTTP/1.1 403 ") && answer.contains("turned off"), "\(answer)")
        }
    }

    @Test("A page gets an event a message, and is told what was lost; its leaving ends the tap")
    func events() async throws {
        try await run(taps: taps) { port in
            let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:\(port)"))
            let stream = try await client.connect(path: "/api/tap")
            try await stream.executeThenClose { inbound, outbound in
                try await outbound.write(
                    .text(#"{"resource":"deploy/web","namespace":"emojivoto","maxRps":20,"path":"/api","status":"5xx","news":true}"#))
                var texts = inbound.makeAsyncIterator()
                #expect(try await texts.next() == .text(#"{"open":true}"#))
                var event = Linkerd2_Tap_TapEvent()
                event.http.requestInit.path = "/api/vote"
                event.http.requestInit.id.stream = 7
                let more = Linkerd2_Tap_Live_EventExtension.with { $0.losses.limited = 3 }
                try event.merge(serializedBytes: try more.serializedBytes() as [UInt8])
                taps.send(event)
                let losses = try await texts.next().map { String(buffer: $0.payload) }
                #expect(losses == #"{"losses":{"limited":"3"}}"#)
                let json = try JSONValue(parsing: String(buffer: try #require(try await texts.next()).payload))
                #expect(json.value(at: ["http", "requestInit", "path"])?.stringValue == "/api/vote")
                #expect(json.value(at: ["http", "requestInit", "id", "stream"])?.stringValue == "7")
            }
            // The deadline is the suite's.
            while taps.openCount > 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
        let request = try #require(taps.requests.first)
        #expect(request.target.resource.type == "deployment" && request.target.resource.name == "web")
        #expect(request.maxRps == 20)
        let more = try Linkerd2_Tap_Live_RequestExtension(serializedBytes: try request.serializedBytes() as [UInt8])
        #expect(more.wantsLosses && more.filter.statuses.first?.min == 500 && more.filter.statuses.first?.max == 599)
    }

    @Test("Linkerd's own page gets events and nothing else")
    func linkerds() async throws {
        try await run(taps: taps) { port in
            let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:\(port)"))
            let stream = try await client.connect(path: "/api/tap")
            try await stream.executeThenClose { inbound, outbound in
                try await outbound.write(.text(#"{"id":"tap-web","Resource":"namespace/emojivoto","extract":true}"#))
                while taps.openCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
                var event = Linkerd2_Tap_TapEvent()
                event.http.responseEnd.responseBytes = 5
                taps.send(event)
                for try await message in inbound {
                    #expect(try JSONValue(parsing: String(buffer: message.payload)).value(at: ["http", "responseEnd"]) != nil)
                    break
                }
            }
        }
    }

    @Test("What is refused closes the socket with its reason", arguments: ["{\"resource\":\"widgets/a\"}", "{", "{\"resource\":\"po\",\"status\":\"99xx\"}"])
    func refused(first: String) async throws {
        try await run(taps: taps) { port in
            let answer = try await ask(
                port, ["Host: localhost:\(port)"] + Self.upgrade)
            #expect(answer.hasPrefix("HTTP/1.1 101 "))
            let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:\(port)"))
            let stream = try await client.connect(path: "/api/tap")
            try await stream.executeThenClose { inbound, outbound in
                try await outbound.write(.text(first))
                for try await message in inbound { Issue.record("\(message)") }
            }
        }
        #expect(taps.requests.isEmpty)
    }

    @Test("The first message is checked", arguments: [
        (#"{"resource":"deploy/web","maxRps":-1}"#, "maxRps"), (#"[]"#, "JSON object"), (#"{"resource":"x/y"}"#, "is no resource"),
        (#"{"resource":"po","status":"700-600"}"#, "status must be"), (#"{"resource":"po","toResource":"x"}"#, "is no resource"),
    ])
    func mistakes(json: String, words: String) {
        #expect {
            try TapAsk(json: Array(json.utf8))
        } throws: { error in
            (error as? DashboardError)?.kind == .badRequest && "\(error)".contains(words)
        }
    }

    @Test("Everything a page may ask for reaches the tap service")
    func asks() throws {
        let json = #"""
            {"resource":"ns","namespace":"emojivoto","toResource":"svc/voting","scheme":"http","method":"POST","authority":"a",
             "path":"/b","labelSelector":"app=web","maxRps":"5"}
            """#
        let ask = try TapAsk(json: Array(json.utf8))
        #expect(ask.request.target.resource.type == "namespace" && ask.request.target.resource.name == "emojivoto")
        #expect(ask.request.target.labelSelector == "app=web" && ask.request.maxRps == 5)
        #expect(ask.request.match.all.matches.count == 5)
        #expect(ask.request.match.all.matches[0].destinations.resource.namespace == "emojivoto")
        #expect(!ask.wantsNews && ask.request.unknownFields.data.isEmpty)
    }
}

/// A tap service whose events a test decides.
final class FakeTaps: TapSource {
    private struct State {
        var requests: [Linkerd2_Tap_TapByResourceRequest] = []
        var open: [Int: AsyncStream<Linkerd2_Tap_TapEvent>.Continuation] = [:]
    }

    private let state = Mutex(State())

    var requests: [Linkerd2_Tap_TapByResourceRequest] { state.withLock { $0.requests } }
    var openCount: Int { state.withLock { $0.open.count } }
    func send(_ event: Linkerd2_Tap_TapEvent) { for one in state.withLock({ Array($0.open.values) }) { one.yield(event) } }

    func tap(
        _ request: Linkerd2_Tap_TapByResourceRequest, onOpen: @escaping @Sendable () async throws -> Void,
        sink: @escaping @Sendable (Linkerd2_Tap_TapEvent) async throws -> Void
    ) async throws {
        let (events, continuation) = AsyncStream<Linkerd2_Tap_TapEvent>.makeStream()
        let id = state.withLock { state in
            state.requests.append(request)
            state.open[state.requests.count] = continuation
            return state.requests.count
        }
        defer { state.withLock { _ = $0.open.removeValue(forKey: id) } }
        try await onOpen()
        for await event in events { try await sink(event) }
        try Task.checkCancellation()
    }
}
