// The proxy's own gRPC client, for its control plane: one connection, calls that wait while there is none,
// reconnection with back-off for as long as somebody waits. Everything is bound to one event loop.
//  Two manners towards servers: streams that are given up are reset at a pace (a server may end the
// connection of a client that resets too often), and a GOAWAY is a plan, not a failure: streams go on, the
// next call connects anew.

package import Logging
import MeshBalance
import MeshHTTP2
package import MeshTLS
import MeshTransport
package import NIOCore
import NIOPosix

/// What a gRPC client needs to know.
package struct GRPCSettings: Sendable {
    /// Name or address of the server; a name is resolved anew for each connection.
    package var host: String
    /// Its port.
    package var port: Int
    /// Time-out, back-off and socket options of a connection attempt.
    package var connect: ConnectSettings
    /// Ping a connection that was silent for so long.
    package var keepAliveInterval = TimeAmount.seconds(10)
    /// Close it when nothing comes for so long after that.
    package var keepAliveTimeout = TimeAmount.seconds(3)
    /// How the server proves who it is; `nil` in plaintext.
    package var tls: ControlPlaneTLS?

    /// Settings for `host:port`.
    package init(host: String, port: Int, connect: ConnectSettings) {
        self.host = host
        self.port = port
        self.connect = connect
    }
}

/// Mesh TLS towards a controller.
package struct ControlPlaneTLS: Sendable {
    /// Who the server must be, and the name asked for.
    package var serverIdentity: String
    /// What a connection is made with now; `nil` when there is no certificate yet, and then it fails.
    package var context: @Sendable () -> TLSContext?

    package init(serverIdentity: String, context: @escaping @Sendable () -> TLSContext?) {
        self.serverIdentity = serverIdentity
        self.context = context
    }
}

/// Calls to one gRPC service. Bound to `loop`.
package final class GRPCClient {
    /// Calls that may wait for a connection; more fail at once with Unavailable.
    package static let waitingMax = 4_096
    /// Streams reset at once when watches end together, and after that in one second. Kept under the 200 in
    /// 30 seconds that a grpc-swift server takes as an attack.
    static let resetsBurst = 32
    static let resetsPerSecond = 4

    /// Where everything happens.
    package let loop: any EventLoop
    let settings: GRPCSettings
    let metrics: RequestMetrics?
    private let logger: Logger
    private var connection: HTTP2ClientHandler?
    private var isConnecting = false
    private var isShutDown = false
    private var retry: Scheduled<Void>?
    private var failureCount = 0
    private var random = XorShift(seed: .random(in: 1...UInt64.max))
    private var waiting: CircularBuffer<GRPCCall> = []
    private var resets: CircularBuffer<(HTTP2ClientHandler, StreamSlot, Int)> = []
    private var resetTokens = GRPCClient.resetsBurst
    private var isResetTimerSet = false
    private let transport = TransportMetrics(labels: "")

    /// Makes a client; it connects when it is first used.
    package init(settings: GRPCSettings, loop: any EventLoop, metrics: RequestMetrics?, logger: Logger) {
        self.settings = settings
        self.loop = loop
        self.metrics = metrics
        self.logger = logger
    }

    /// Starts a call with one request message. `observer` gets every message and, last, the status.
    package func call(
        _ path: String, message: some Collection<UInt8>, observer: any GRPCCallObserver
    ) -> GRPCCall {
        let call = GRPCCall(
            path: path, message: GRPCMessageReader.frame(message), client: self, observer: observer)
        if let connection, connection.takesRequests {
            call.open(on: connection)
        } else if waiting.count >= Self.waitingMax || isShutDown {
            loop.assumeIsolated().execute {
                call.finish(GRPCStatus(GRPCStatus.Code.unavailable, "too many calls wait"))
            }
        } else {
            waiting.append(call)
            connectIfNeeded()
        }
        return call
    }

    /// One request, one answer.
    /// - Parameter timeout: after which the call fails with DeadlineExceeded.
    package func unary(
        _ path: String, message: some Collection<UInt8>, timeout: TimeAmount
    ) -> EventLoopFuture<ByteBuffer> {
        let observer = GRPCUnaryObserver(loop.makePromise())
        let call = call(path, message: message, observer: observer)
        let timer = loop.assumeIsolated().scheduleTask(in: timeout) {
            observer.ended(GRPCStatus(GRPCStatus.Code.deadlineExceeded, "no answer in time"))
            call.cancel()
        }
        observer.answer.assumeIsolated().whenComplete { _ in timer.cancel() }
        return observer.answer
    }

    /// Closes the connection; calls end with Unavailable.
    package func shutDown() {
        isShutDown = true
        retry?.cancel()
        connection?.close()
        while let call = waiting.popFirst() {
            call.finish(GRPCStatus(GRPCStatus.Code.unavailable, "shut down"))
        }
    }

    // MARK: Connection

    private func connectIfNeeded() {
        guard !isConnecting, retry == nil, connection?.takesRequests != true, !isShutDown else { return }
        isConnecting = true
        let keepAlive = HTTP2KeepAlive(
            interval: settings.keepAliveInterval, timeout: settings.keepAliveTimeout)
        let handler = HTTP2ClientHandler(
            limits: HTTP2Limits(), transport: transport, owner: self, keepAlive: keepAlive)
        let bound = NIOLoopBound(handler, eventLoop: loop)
        let secure = NIOLoopBound({ [self] in try addTLS($0) }, eventLoop: loop)
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(settings.connect.timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try secure.value(channel)
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(host: absoluteHost, port: settings.port)
        connecting.assumeIsolated().whenComplete { [weak self] result in
            guard let self else { return handler.close() }
            self.isConnecting = false
            switch result {
            case .success: self.connected(handler)
            case .failure(let error): self.connectFailed(error)
            }
        }
    }

    private func addTLS(_ channel: any Channel) throws {
        guard let tls = settings.tls else { return }
        guard let context = tls.context() else {
            throw ProxyError(.connectFailed, "no certificate yet")
        }
        let session = try TLSSession(context, TLSClientOptions(serverIdentity: tls.serverIdentity))
        let wait = TLSWait { [logger, settings] result, _ in
            guard case .failure(let error) = result else { return }
            logger.warning(
                "TLS with the control plane failed",
                metadata: [
                    "addr": "\(settings.host):\(settings.port)", "id": "\(tls.serverIdentity)",
                    "error": "\(TLSWait.reason(error))",
                ])
        }
        let handshakeTimeout = max(settings.connect.timeout, .seconds(5))
        try channel.pipeline.syncOperations.addHandlers([
            TLSHandler(session, handshakeTimeout: handshakeTimeout), wait,
        ])
    }

    /// A name with dots is taken as complete: no search list is tried before it.
    private var absoluteHost: String {
        // Not an address means a name, nothing else.
        let isAddress = (try? SocketAddress(ipAddress: settings.host, port: settings.port)) != nil
        guard !isAddress, settings.host.contains("."), !settings.host.hasSuffix(".") else {
            return settings.host
        }
        return settings.host + "."
    }

    private func connected(_ handler: HTTP2ClientHandler) {
        guard handler.takesRequests, !isShutDown else { return retryLater() }
        logger.debug("Control plane connected", metadata: ["addr": "\(settings.host):\(settings.port)"])
        connection = handler
        for call in waiting { call.open(on: handler) }
        waiting.removeAll()
    }

    private func connectFailed(_ error: any Error) {
        logger.debug(
            "Control plane not reachable",
            metadata: ["addr": "\(settings.host):\(settings.port)", "error": "\(error)"])
        retryLater()
    }

    private func retryLater() {
        guard !waiting.isEmpty, retry == nil, !isShutDown else { return }
        retry = loop.assumeIsolated().scheduleTask(in: nextDelay()) { [weak self] in
            guard let self else { return }
            self.retry = nil
            self.connectIfNeeded()
        }
    }

    /// The delay before trying again; grows with each failure until `succeeded`.
    func nextDelay() -> TimeAmount {
        let delay = settings.connect.backoff.nanoseconds(afterFailures: failureCount, using: &random)
        failureCount += 1
        return .nanoseconds(Int64(clamping: delay))
    }

    /// The server answered a call: the next failure starts from the shortest delay.
    func succeeded() { failureCount = 0 }

    /// Takes a call that never got a stream out of the queue.
    func forget(_ call: GRPCCall) { waiting.removeAll { $0 === call } }

    // MARK: Paced resets

    /// Resets a stream now or, when many were reset lately, a little later. `streamID` tells whether the slot
    /// still is the same stream then.
    func reset(_ slot: StreamSlot, on connection: HTTP2ClientHandler) {
        resets.append((connection, slot, connection.streamID(of: slot)))
        resetNext()
    }

    private func resetNext() {
        while resetTokens > 0, let (connection, slot, streamID) = resets.popFirst() {
            guard !connection.isClosed, connection.streamID(of: slot) == streamID else { continue }
            resetTokens -= 1
            connection.reset(slot, .cancel)
        }
        guard !isResetTimerSet, resetTokens < Self.resetsBurst else { return }
        isResetTimerSet = true
        _ = loop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
            guard let self else { return }
            self.isResetTimerSet = false
            self.resetTokens = min(Self.resetsBurst, self.resetTokens + Self.resetsPerSecond)
            self.resetNext()
        }
    }
}

extension GRPCClient: HTTP2ClientOwner {
    func connectionRetired(_ retired: HTTP2ClientHandler) {
        guard retired === connection else { return }
        connection = nil
        if !waiting.isEmpty { connectIfNeeded() }
    }

    func streamsMaxChanged(connection: HTTP2ClientHandler) {}
}
