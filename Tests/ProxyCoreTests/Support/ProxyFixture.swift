import Logging
import MeshMetrics
import MeshModel
import NIOCore
import NIOPosix
import ProxyCore
import ProxyInbound
import ProxyOutbound
import Synchronization

/// A whole proxy in this process: inbound, outbound and admin on ports of their own, with a discovery and an
/// original destination that the test decides.
final class ProxyFixture: Sendable {
    let group: MultiThreadedEventLoopGroup
    let runtime: ProxyRuntime
    let discovery = ScriptedDiscovery()
    private let adminGroup: MultiThreadedEventLoopGroup
    private let destination: Destination

    /// Where the next accepted connection was going.
    private final class Destination: Sendable {
        let address = Mutex<SocketAddress?>(nil)
    }

    /// What the access log wrote, when the configuration has one.
    let accessLog: AccessLines?

    /// Lines of an access log, kept.
    final class AccessLines: Sendable {
        private let bytes: Kept
        let writer: LineWriter

        private final class Kept: Sendable {
            let bytes = Mutex<[UInt8]>([])
        }

        init() {
            let kept = Kept()
            bytes = kept
            writer = LineWriter { more in kept.bytes.withLock { $0 += more } }
        }

        var lines: [String] {
            String(decoding: bytes.bytes.withLock { $0 }, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    private init(config: ProxyConfig, log: String) {
        accessLog = config.accessLog.map { _ in AccessLines() }
        group = MultiThreadedEventLoopGroup(numberOfThreads: config.coreCount)
        adminGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        destination = Destination()
        runtime = ProxyRuntime(
            config: config, group: group, adminGroup: adminGroup, environment: ["A": "1"],
            logFilter: LogFilter(log),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, accessLines: accessLog.map(\.writer))
    }

    /// What puts every port on loopback's other address.
    static let onIPv6 = [
        "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "[::1]:0", "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS": "[::1]:0",
        "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "[::1]:0", "LINKERD2_PROXY_CONTROL_LISTEN_ADDR": "[::1]:0",
    ]

    /// Starts a proxy, runs `body`, and ends everything.
    /// - Parameter originalDestination: where connections were going, instead of where the test says.
    static func run(
        _ environment: [String: String] = [:], log: String = "error,linkerd=off",
        originalDestination: OriginalDestinationSource? = nil,
        adjust: (inout ProxyConfig) -> Void = { _ in }, _ body: (ProxyFixture) async throws -> Void
    ) async throws {
        var variables = [
            "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "127.0.0.1:0",
            "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR": "127.0.0.1:0",
            "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "127.0.0.1:0",
            "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8",
            "LINKERD2_PROXY_IDENTITY_DISABLED": "1",
            "LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD": "1s", "LINKERD2_PROXY_SHUTDOWN_ACCEPT_GRACE": "0s",
        ]
        variables.merge(environment) { $1 }
        var config = try ProxyConfig(from: DictionarySource(variables), coresAvailable: 4)
        config.allowsOutboundLoopback = true
        adjust(&config)
        let fixture = ProxyFixture(config: config, log: log)
        do {
            try await fixture.start(config, originalDestination)
            try await body(fixture)
        } catch {
            await fixture.end()
            throw error
        }
        await fixture.end()
    }

    private func start(_ config: ProxyConfig, _ other: OriginalDestinationSource?) async throws {
        let destination = destination
        let source = other ?? { _ in destination.address.withLock { $0 } }
        let (group, discovery) = (group, discovery)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await runtime.start { loops in
            [
                try await InboundProxy(
                    config: config, group: group, proxyLoops: loops, discovery: discovery, originalDestination: source,
                    logger: logger),
                try await OutboundProxy(
                    config: config, group: group, proxyLoops: loops, discovery: discovery,
                    originalDestination: source,
                    logger: logger),
            ]
        }
    }

    private func end() async {
        await runtime.drain()
        // Threads that do not end would only cost a warning at exit.
        try? await group.shutdownGracefully()
        try? await adminGroup.shutdownGracefully()
    }

    /// Connects to the inbound port, as if iptables had redirected a connection to `address`.
    func inbound(to address: SocketAddress) async throws -> TestConnection {
        destination.address.withLock { $0 = address }
        return try await TestConnection.connect(to: runtime.addresses[0], on: group)
    }

    /// Connects to the outbound port, as if the application had connected to `address`.
    func outbound(to address: SocketAddress) async throws -> TestConnection {
        destination.address.withLock { $0 = address }
        return try await TestConnection.connect(to: runtime.addresses[1], on: group)
    }

    /// Asks the admin port; head and body of the answer.
    func admin(_ method: String = "GET", _ path: String, body: String = "") async throws -> (
        head: String, body: String
    ) {
        guard let address = runtime.adminAddress else { throw DeadlineError(description: "no admin") }
        let connection = try await TestConnection.connect(to: address, on: group)
        let length = body.isEmpty ? "" : "content-length: \(body.utf8.count)\r\n"
        try await connection.send(
            "\(method) \(path) HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\(length)\r\n\(body)")
        let text = try await connection.takeToEnd()
        await connection.close()
        guard let split = text.utf8.firstRange(of: Array("\r\n\r\n".utf8)) else { return (text, "") }
        return (String(text[..<split.upperBound]), String(text[split.upperBound...]))
    }

    /// The sum of a family's samples that carry all the labels; zero when there is none. What the admin port
    /// counts about itself is left out, unless `target_port` is asked for.
    func metric(_ name: String, _ labels: [String: String] = [:]) async throws -> Double {
        let bytes = Array(try await admin("/metrics").body.utf8)
        let adminPort = "\(runtime.adminAddress?.port ?? 0)"
        var parser = ExpositionParser()
        var sum = 0.0
        parser.forEachSample(in: bytes) { sample in
            guard ExpositionParser.text(of: sample.name, in: bytes) == name else { return }
            let found = ExpositionParser.labels(of: sample, in: bytes)
            if labels["target_port"] == nil, found["target_port"] == adminPort { return }
            if labels.allSatisfy({ found[$0.key] == $0.value }) { sum += sample.value }
        }
        return sum
    }

    /// The whole scrape as text.
    func scrape() async throws -> String { try await admin("/metrics").body }

    private func admin(_ path: String) async throws -> (head: String, body: String) {
        try await admin("GET", path)
    }
}

/// Discovery by hand.
final class ScriptedDiscovery: DestinationSource {
    private struct Watcher<Update>: Sendable {
        let id: Int
        let path: String
        let loop: any EventLoop
        let update: @Sendable (Update) -> Void
    }

    private struct State: Sendable {
        var nextID = 0
        var profiles: [String: ProfileUpdate] = [:]
        var endpoints: [String: EndpointsUpdate] = [:]
        var profileWatchers: [Watcher<ProfileUpdate>] = []
        var endpointWatchers: [Watcher<EndpointsUpdate>] = []
    }

    private struct Watch: Cancellable {
        let onCancel: @Sendable () -> Void
        func cancel() { onCancel() }
    }

    private let state = Mutex(State())

    /// Answers watches of `path`, now and later.
    func setProfile(_ path: String, _ update: ProfileUpdate) {
        let watchers = state.withLock { state in
            state.profiles[path] = update
            return state.profileWatchers.filter { $0.path == path }
        }
        for watcher in watchers { watcher.loop.execute { watcher.update(update) } }
    }

    /// Answers watches of `path`; the last one is repeated to watches that start later.
    func setEndpoints(_ path: String, _ update: EndpointsUpdate) {
        let watchers = state.withLock { state in
            state.endpoints[path] = update
            return state.endpointWatchers.filter { $0.path == path }
        }
        for watcher in watchers { watcher.loop.execute { watcher.update(update) } }
    }

    /// Watches of endpoints that are running.
    var endpointWatchCount: Int { state.withLock { $0.endpointWatchers.count } }
    var profileWatchCount: Int { state.withLock { $0.profileWatchers.count } }

    func watchProfile(
        path: String, on loop: any EventLoop, _ update: @escaping @Sendable (ProfileUpdate) -> Void
    ) -> any Cancellable {
        let (id, known) = state.withLock { state in
            state.nextID += 1
            state.profileWatchers.append(Watcher(id: state.nextID, path: path, loop: loop, update: update))
            return (state.nextID, state.profiles[path])
        }
        if let known { loop.execute { update(known) } }
        return Watch { [self] in state.withLock { $0.profileWatchers.removeAll { $0.id == id } } }
    }

    func watchEndpoints(
        path: String, on loop: any EventLoop, _ update: @escaping @Sendable (EndpointsUpdate) -> Void
    ) -> any Cancellable {
        let (id, known) = state.withLock { state in
            state.nextID += 1
            state.endpointWatchers.append(Watcher(id: state.nextID, path: path, loop: loop, update: update))
            return (state.nextID, state.endpoints[path])
        }
        if let known { loop.execute { update(known) } }
        return Watch { [self] in state.withLock { $0.endpointWatchers.removeAll { $0.id == id } } }
    }
}

extension Collection where Element: Equatable {
    fileprivate func firstRange(of needle: [Element]) -> Range<Index>? {
        var start = startIndex
        while start != endIndex {
            if self[start...].starts(with: needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
