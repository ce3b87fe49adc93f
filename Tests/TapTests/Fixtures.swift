import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MetricsAPI
import SwiftProtobuf
import Synchronization
import Tap
import Testing

typealias ProxyEvent = Io_Linkerd_Proxy_Tap_TapEvent

/// What a test waited for did not happen in time.
struct DeadlineError: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds, or fails after a deadline that no healthy run comes near.
func eventually(
    _ what: String, within deadline: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + deadline
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw DeadlineError(description: "not in time: \(what)")
}

enum Fixtures {
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func pod(
        _ name: String, ip: String, namespace: String = "emojivoto", deployment: String = "web",
        annotations: [String: String] = ["viz.linkerd.io/tap-enabled": "true"], phase: String = "Running",
        isMeshed: Bool = true
    ) -> Pod {
        let proxy = Container {
            $0.name = "linkerd-proxy"
            $0.ports = [ContainerPort(name: "linkerd-admin", containerPort: 4_191)]
            $0.env = [EnvVar(name: "LINKERD2_PROXY_IDENTITY_LOCAL_NAME", value: "$(_pod_sa).$(_pod_ns).id")]
        }
        return Pod(
            metadata: ObjectMeta {
                $0.namespace = namespace
                $0.name = name
                $0.uid = "uid-\(name)"
                $0.annotations = annotations
                $0.labels = isMeshed ? ["linkerd.io/control-plane-ns": "linkerd", "app": deployment] : ["app": deployment]
                $0.resourceVersion = "1"
                $0.ownerReferences = [
                    OwnerReference(
                        apiVersion: "apps/v1", kind: "Deployment", name: deployment, uid: deployment, controller: true)
                ]
            },
            spec: PodSpec {
                $0.containers = isMeshed ? [proxy] : []
                $0.serviceAccountName = "sa"
            },
            status: PodStatus {
                $0.phase = phase
                $0.podIP = ip
            })
    }

    static func index(_ pods: [Pod]) -> ClusterIndex {
        let names = Set(pods.compactMap { $0.metadata.ownerReferences?.first?.name })
        let deployments = names.map { name in
            Deployment(
                metadata: ObjectMeta {
                    $0.namespace = "emojivoto"
                    $0.name = name
                    $0.labels = ["app": name]
                })
        }
        let namespace = Namespace(metadata: ObjectMeta { $0.name = "emojivoto" })
        return ClusterIndex(pods: pods, namespaces: [namespace], deployments: deployments)
    }

    static func request(_ type: String = "deployment", _ name: String = "web") -> Linkerd2_Tap_TapByResourceRequest {
        .with {
            $0.target.resource.type = type
            $0.target.resource.name = name
            if type != "namespace" { $0.target.resource.namespace = "emojivoto" }
        }
    }

    /// The three events of one exchange.
    static func exchange(
        _ stream: UInt64, status: UInt32 = 200, grpc: UInt32? = nil, reset: UInt32? = nil, millis: Int32 = 1,
        tls: String = "true", headers: [(String, String)] = [], responseHeaders: [(String, String)] = [],
        path: String = "/"
    ) -> [ProxyEvent] {
        func event(_ change: (inout ProxyEvent) -> Void) -> ProxyEvent {
            var event = ProxyEvent()
            event.proxyDirection = .inbound
            event.sourceMeta.labels = ["tls": tls]
            event.source.ip.ipv4 = 0x0A00_0009
            event.source.port = 1_000
            event.destination.ip.ipv4 = 0x0A00_0001
            change(&event)
            return event
        }
        func list(_ fields: [(String, String)]) -> Io_Linkerd_Proxy_HttpTypes_Headers {
            .with { $0.headers = fields.map { field in .with { $0.name = field.0; $0.value = Data(field.1.utf8) } } }
        }
        return [
            event {
                $0.http.requestInit.id.stream = stream
                $0.http.requestInit.path = path
                $0.http.requestInit.headers = list(headers)
            },
            event {
                $0.http.responseInit.id.stream = stream
                $0.http.responseInit.httpStatus = status
                $0.http.responseInit.sinceRequestInit.nanos = 1_000
                $0.http.responseInit.headers = list(responseHeaders)
            },
            event {
                $0.http.responseEnd.id.stream = stream
                $0.http.responseEnd.sinceRequestInit.nanos = millis * 1_000_000
                $0.http.responseEnd.eos = .init()
                if let grpc { $0.http.responseEnd.eos.grpcStatusCode = grpc }
                if let reset { $0.http.responseEnd.eos.resetErrorCode = reset }
            },
        ]
    }
}

/// A proxy whose events a test decides, on an address of its own.
final class FakeProxy: Sendable {
    private struct State {
        var requests: [Io_Linkerd_Proxy_Tap_ObserveRequest] = []
        var requiredIDs: [String] = []
        var streams = 0
        var continuations: [Int: AsyncStream<[ProxyEvent]>.Continuation] = [:]
    }

    private struct Service: Io_Linkerd_Proxy_Tap_Tap.ServiceProtocol {
        let proxy: FakeProxy

        func observe(
            request: ServerRequest<Io_Linkerd_Proxy_Tap_ObserveRequest>, context: ServerContext
        ) async throws -> StreamingServerResponse<ProxyEvent> {
            let (id, events) = proxy.opened(request)
            return StreamingServerResponse { writer in
                defer { proxy.closed(id) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for await batch in events { try await writer.write(contentsOf: batch) } }
                    group.addTask { try await context.cancellation.cancelled }
                    defer { group.cancelAll() }
                    try await group.next()
                }
                return [:]
            }
        }
    }

    private let state = Mutex(State())
    private let box = Mutex<GRPCServer<HTTP2ServerTransport.Posix>?>(nil)

    /// Runs proxies on these loopback addresses, all on one port, while `body` runs.
    static func run(
        _ ips: [String], _ body: @Sendable ([FakeProxy], Int) async throws -> Void
    ) async throws {
        let proxies = ips.map { _ in FakeProxy() }
        let port = try await proxies[0].bind(ips[0], 0)
        for (proxy, ip) in zip(proxies, ips).dropFirst() { _ = try await proxy.bind(ip, port) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for proxy in proxies { group.addTask { try await proxy.serve() } }
            defer {
                for proxy in proxies { proxy.stop() }
                group.cancelAll()
            }
            try await body(proxies, port)
        }
    }

    private func bind(_ ip: String, _ port: Int) async throws -> Int {
        let wanted = port == 0 ? Int.random(in: 20_000..<30_000) : port
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: ip, port: wanted), transportSecurity: .plaintext)
        box.withLock { $0 = GRPCServer(transport: transport, services: [Service(proxy: self)]) }
        return wanted
    }

    private func serve() async throws {
        guard let server = box.withLock({ $0 }) else { return }
        try await server.serve()
    }

    private func stop() {
        let open = state.withLock { Array($0.continuations.values) }
        for continuation in open { continuation.finish() }
        box.withLock { $0 }?.beginGracefulShutdown()
    }

    private func opened(_ request: ServerRequest<Io_Linkerd_Proxy_Tap_ObserveRequest>) -> (Int, AsyncStream<[ProxyEvent]>) {
        let (stream, continuation) = AsyncStream<[ProxyEvent]>.makeStream()
        let id = state.withLock { state in
            state.requests.append(request.message)
            state.requiredIDs += Array(request.metadata[stringValues: "l5d-require-id"])
            state.streams += 1
            state.continuations[state.streams] = continuation
            return state.streams
        }
        return (id, stream)
    }

    private func closed(_ id: Int) { state.withLock { _ = $0.continuations.removeValue(forKey: id) } }

    /// Sends to every open stream.
    func send(_ events: [ProxyEvent]) {
        for continuation in state.withLock({ Array($0.continuations.values) }) { continuation.yield(events) }
    }

    /// Ends every open stream, as a proxy that goes away does.
    func breakStreams() { for continuation in state.withLock({ Array($0.continuations.values) }) { continuation.finish() } }

    var openCount: Int { state.withLock { $0.continuations.count } }
    var streamCount: Int { state.withLock { $0.streams } }
    var requests: [Io_Linkerd_Proxy_Tap_ObserveRequest] { state.withLock { $0.requests } }
    var requiredIDs: [String] { state.withLock { $0.requiredIDs } }
}

/// A cluster whose pods a test changes.
final class FakeCluster: Sendable {
    private struct State {
        var index = ClusterIndex()
        var listeners: [AsyncStream<Void>.Continuation] = []
    }

    private let state = Mutex(State())

    init(_ pods: [Pod]) { set(pods) }

    func set(_ pods: [Pod]) {
        let listeners = state.withLock { state in
            state.index = Fixtures.index(pods)
            return state.listeners
        }
        for listener in listeners { listener.yield() }
    }

    var cluster: TapCluster {
        TapCluster(
            index: { [self] in state.withLock { $0.index } }, isSynced: { true },
            changes: { [self] in
                let (stream, continuation) = AsyncStream<Void>.makeStream()
                state.withLock { $0.listeners.append(continuation) }
                continuation.yield()
                return stream
            })
    }
}

/// What a caller got.
final class Caller: Sendable {
    private struct State {
        var events: [Linkerd2_Tap_TapEvent] = []
        var losses = Linkerd2_Tap_Live_Losses()
        var isStalled = false
    }

    private let state = Mutex(State())

    var events: [Linkerd2_Tap_TapEvent] { state.withLock { $0.events } }
    var losses: Linkerd2_Tap_Live_Losses { state.withLock { $0.losses } }
    var isStalled: Bool {
        get { state.withLock { $0.isStalled } }
        set { state.withLock { $0.isStalled = newValue } }
    }

    func take(_ events: [Linkerd2_Tap_TapEvent]) async throws {
        while isStalled { try await Task.sleep(for: .milliseconds(2)) }
        state.withLock { state in
            for event in events {
                let bytes = Array(event.unknownFields.data)
                if let more = try? Linkerd2_Tap_Live_EventExtension(serializedBytes: bytes), more.hasLosses {
                    state.losses = more.losses
                }
                if event.http.event != nil { state.events.append(event) }
            }
        }
    }
}
