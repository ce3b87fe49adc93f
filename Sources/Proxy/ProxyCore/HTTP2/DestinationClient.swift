// Service discovery over gRPC: `io.linkerd.proxy.destination.Destination`, Get and GetProfile
// (`spec/proxy.md` 3.1).
//  Each watch is one server stream. Any end but a refusal starts it again after a back-off, while what was
// known stays known; the first `add` of the new stream then replaces it. InvalidArgument and
// FailedPrecondition are final.

package import Logging
import MeshAPI
package import NIOCore
import SwiftProtobuf
import Synchronization

/// The gRPC client of the destination service. Usable from any loop; its own work happens on one.
package struct DestinationClient: DestinationSource {
    private let watches: NIOLoopBound<DestinationWatches>
    private let loop: any EventLoop

    /// Makes a client on one of the data plane's loops; it connects with the first watch.
    /// - Parameters:
    ///   - contextToken: sent with each request, as it is.
    ///   - metrics: gives the `control_*` counters; called on `loop`.
    package static func make(
        settings: GRPCSettings, contextToken: String, loop: any EventLoop, logger: Logger,
        metrics: @escaping @Sendable () -> RequestMetrics?
    ) -> EventLoopFuture<DestinationClient> {
        loop.submit {
            let client = GRPCClient(settings: settings, loop: loop, metrics: metrics(), logger: logger)
            let watches = DestinationWatches(client: client, contextToken: contextToken)
            return DestinationClient(watches: NIOLoopBound(watches, eventLoop: loop), loop: loop)
        }
    }

    package func watchProfile(
        path: String, on loop: any EventLoop, _ update: @escaping @Sendable (ProfileUpdate) -> Void
    ) -> any Cancellable {
        start { watches, token in
            watches.start(
                .init(method: .profile, path: path, token: token) { answer in
                    guard case .profile(let profile) = answer else { return }
                    loop.execute { if !token.isCancelled { update(profile) } }
                })
        }
    }

    package func watchEndpoints(
        path: String, on loop: any EventLoop, _ update: @escaping @Sendable (EndpointsUpdate) -> Void
    ) -> any Cancellable {
        start { watches, token in
            watches.start(
                .init(method: .endpoints, path: path, token: token) { answer in
                    guard case .endpoints(let endpoints) = answer else { return }
                    loop.execute { if !token.isCancelled { update(endpoints) } }
                })
        }
    }

    /// Ends every watch and closes the connection.
    package func shutDown() {
        let watches = watches
        loop.execute { watches.value.shutDown() }
    }

    private func start(
        _ body: @escaping @Sendable (DestinationWatches, DestinationWatchToken) -> Void
    ) -> any Cancellable {
        let token = DestinationWatchToken(loop: loop, watches: watches)
        let watches = watches
        loop.execute { body(watches.value, token) }
        return token
    }
}

/// The caller's end of one watch.
final class DestinationWatchToken: Cancellable {
    private let loop: any EventLoop
    private let watches: NIOLoopBound<DestinationWatches>
    private let cancelled = Mutex(false)

    init(loop: any EventLoop, watches: NIOLoopBound<DestinationWatches>) {
        self.loop = loop
        self.watches = watches
    }

    var isCancelled: Bool { cancelled.withLock { $0 } }

    func cancel() {
        cancelled.withLock { $0 = true }
        let watches = watches
        loop.execute { watches.value.cancel(self) }
    }
}

/// The watches of one client. Bound to the client's loop.
final class DestinationWatches {
    enum Answer {
        case profile(ProfileUpdate)
        case endpoints(EndpointsUpdate)
    }

    private let client: GRPCClient
    private let contextToken: String
    private var watches: [ObjectIdentifier: DestinationWatch] = [:]

    init(client: GRPCClient, contextToken: String) {
        self.client = client
        self.contextToken = contextToken
    }

    func start(_ watch: DestinationWatch) {
        guard !watch.token.isCancelled else { return }
        watches[ObjectIdentifier(watch.token)] = watch
        watch.subscribe(client, contextToken: contextToken)
    }

    func cancel(_ token: DestinationWatchToken) {
        watches.removeValue(forKey: ObjectIdentifier(token))?.stop()
    }

    func shutDown() {
        for watch in watches.values { watch.stop() }
        watches = [:]
        client.shutDown()
    }
}

/// One watch: the stream it has now, or the timer until its next one.
final class DestinationWatch: GRPCCallObserver {
    enum Method: String {
        case profile = "GetProfile"
        case endpoints = "Get"
    }

    let token: DestinationWatchToken
    private let method: Method
    private let path: String
    private let deliver: (DestinationWatches.Answer) -> Void
    private var call: GRPCCall?
    private var retry: Scheduled<Void>?
    private var isFirst = true
    private var restart: () -> Void = {}

    init(
        method: Method, path: String, token: DestinationWatchToken,
        deliver: @escaping (DestinationWatches.Answer) -> Void
    ) {
        self.method = method
        self.path = path
        self.token = token
        self.deliver = deliver
    }

    func subscribe(_ client: GRPCClient, contextToken: String) {
        isFirst = true
        restart = { [weak self] in
            self?.retry = client.loop.assumeIsolated().scheduleTask(in: client.nextDelay()) {
                self?.subscribe(client, contextToken: contextToken)
            }
        }
        let request = Io_Linkerd_Proxy_Destination_GetDestination.with {
            $0.path = path
            $0.contextToken = contextToken
        }
        // A message of three strings cannot fail to serialise; an empty one would only be refused.
        let bytes: [UInt8] = (try? request.serializedBytes()) ?? []
        call = client.call(
            "/io.linkerd.proxy.destination.Destination/\(method.rawValue)", message: bytes, observer: self)
    }

    func stop() {
        retry?.cancel()
        call?.cancel()
        call = nil
    }

    func received(_ message: ByteBuffer) {
        let bytes = Array(message.readableBytesView)
        do {
            switch method {
            case .profile:
                let profile = try Io_Linkerd_Proxy_Destination_DestinationProfile(serializedBytes: bytes)
                deliver(.profile(ProfileUpdate(profile)))
            case .endpoints:
                let update = try Io_Linkerd_Proxy_Destination_Update(serializedBytes: bytes)
                guard let update = EndpointsUpdate(update, isFirst: isFirst) else { return }
                isFirst = false
                deliver(.endpoints(update))
            }
        } catch {
            // The stream makes no sense any more: start over, as after any other end.
            call?.cancel()
            ended(GRPCStatus(GRPCStatus.Code.internalError, "malformed message"))
        }
    }

    func ended(_ status: GRPCStatus) {
        call = nil
        switch status.code {
        case GRPCStatus.Code.invalidArgument, GRPCStatus.Code.failedPrecondition:
            switch method {
            case .profile: deliver(.profile(.rejected))
            case .endpoints: deliver(.endpoints(.rejected))
            }
        default:
            restart()
        }
    }
}
