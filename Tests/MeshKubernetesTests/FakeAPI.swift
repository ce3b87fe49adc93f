import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An API server of one kind of object, under the test's control: it answers lists from a table, and keeps
/// watches open until the test writes to them, ends them or cuts them off.
final class FakeAPI: Sendable {
    struct Watch: Sendable {
        let target: String
        let lines: AsyncStream<String?>.Continuation
    }

    private struct State {
        var lists: [String] = []
        var requests: [String] = []
        var headers: [[String: String]] = []
        var watches: [UInt64: Watch] = [:]
        var closedWatchCount = 0
        var nextID: UInt64 = 0
        var fixed: [String: (status: Int, body: String)] = [:]
        var goneWatchCount = 0
    }

    private let state = Mutex(State())

    /// The answers to lists, in turn; the last one stays.
    func lists(_ bodies: [String]) { state.withLock { $0.lists = bodies } }

    /// A fixed answer to `METHOD path`.
    func answer(_ request: String, status: Int, body: String) {
        state.withLock { $0.fixed[request] = (status, body) }
    }

    /// The next watches are refused with 410.
    func refuseWatches(_ count: Int) { state.withLock { $0.goneWatchCount = count } }

    var requests: [String] { state.withLock { $0.requests } }
    var lastHeaders: [String: String] { state.withLock { $0.headers.last ?? [:] } }
    var watches: [Watch] { state.withLock { $0.watches.sorted { $0.key < $1.key }.map(\.value) } }
    var closedWatchCount: Int { state.withLock { $0.closedWatchCount } }

    /// Writes a line to every watch.
    func send(_ line: String) { for watch in watches { watch.lines.yield(line + "\n") } }

    /// Writes bytes that are not a whole line.
    func sendRaw(_ text: String) { for watch in watches { watch.lines.yield(text) } }

    /// Ends every watch in good order.
    func endWatches() { for watch in watches { watch.lines.finish() } }

    /// Closes the connections of every watch in the middle of the body.
    func cutWatches() { for watch in watches { watch.lines.yield(nil) } }

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    /// Runs the server while `body` runs; `body` gets its URL.
    static func run(_ body: @escaping @Sendable (FakeAPI, String) async throws -> Void) async throws {
        let fake = FakeAPI()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        try await server.executeThenClose { connections in
            let port = server.channel.localAddress?.port ?? 0
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await withThrowingDiscardingTaskGroup { group in
                        for try await connection in connections {
                            group.addTask { try? await fake.serve(connection) }  // A lost client is part of the test.
                        }
                    }
                }
                try await body(fake, "http://127.0.0.1:\(port)")
                group.cancelAll()
            }
        }
    }

    private func serve(_ connection: Connection) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            for try await part in inbound {
                if case .head(let received) = part { head = received }
                guard case .end = part, let request = head else { continue }
                let line = "\(request.method) \(request.uri)"
                state.withLock {
                    $0.requests.append(line)
                    $0.headers.append(
                        Dictionary(request.headers.map { ($0.name, $0.value) }) { first, _ in first })
                }
                if request.uri.contains("watch=true") {
                    let isGone = state.withLock { state in
                        defer { state.goneWatchCount -= 1 }
                        return state.goneWatchCount > 0
                    }
                    if isGone {
                        let body = #"{"kind":"Status","code":410,"reason":"Expired","message":"too old"}"#
                        try await write(status: 410, body: body, to: outbound)
                        continue
                    }
                    try await watch(request.uri, outbound, channel: connection.channel)
                } else {
                    let (status, body) = response(to: line, path: String(request.uri.prefix { $0 != "?" }))
                    try await write(status: status, body: body, to: outbound)
                }
            }
        }
    }

    private func response(to line: String, path: String) -> (Int, String) {
        state.withLock { state in
            if let fixed = state.fixed[line] ?? state.fixed[String(line.prefix { $0 != "?" })] {
                return fixed
            }
            guard !state.lists.isEmpty else {
                return (404, #"{"kind":"Status","code":404,"reason":"NotFound"}"#)
            }
            return (200, state.lists.count > 1 ? state.lists.removeFirst() : state.lists[0])
        }
    }

    private func write(
        status: Int, body: String, to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
        head.headers.add(name: "content-length", value: String(body.utf8.count))
        try await outbound.write(.head(head))
        try await outbound.write(.body(.byteBuffer(ByteBuffer(string: body))))
        try await outbound.write(.end(nil))
    }

    private func watch(
        _ target: String, _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>,
        channel: any Channel
    ) async throws {
        let (lines, continuation) = AsyncStream.makeStream(of: String?.self)
        let id = state.withLock { state in
            state.nextID += 1
            state.watches[state.nextID] = Watch(target: target, lines: continuation)
            return state.nextID
        }
        channel.closeFuture.whenComplete { _ in continuation.finish() }
        defer {
            state.withLock {
                $0.watches[id] = nil
                $0.closedWatchCount += 1
            }
        }
        try await outbound.write(.head(HTTPResponseHead(version: .http1_1, status: .ok)))
        for await line in lines {
            guard let line else {
                try await channel.close()
                return
            }
            try await outbound.write(.body(.byteBuffer(ByteBuffer(string: line))))
        }
        try await outbound.write(.end(nil))
    }
}

struct TimedOut: Error {}

/// Waits for a condition; throws when it does not come true within ten seconds.
func eventually(_ condition: @Sendable () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut() }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A pod as the server would send it.
func podJSON(_ name: String, version: Int, phase: String = "Running") -> String {
    #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\#(name)","namespace":"default","resourceVersion":"\#(version)","#
        + #""uid":"uid-\#(name)"},"spec":{"containers":[]},"status":{"phase":"\#(phase)"}}"#
}

/// A list of pods.
func podList(version: Int, next: String? = nil, _ pods: String...) -> String {
    let continued = next.map { #","continue":"\#($0)""# } ?? ""
    return
        #"{"kind":"PodList","metadata":{"resourceVersion":"\#(version)"\#(continued)},"items":[\#(pods.joined(separator: ","))]}"#
}
