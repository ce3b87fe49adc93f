internal import AsyncHTTPClient
internal import MeshKubernetes
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Runs probes and hooks against pods from the node's network namespace.
package final class Prober: Sendable {
    /// Head of an unhealthy answer that is worth showing.
    static let bodyBytesMax = 1_024

    private let http: HTTPClient

    package init() {
        var configuration = HTTPClient.Configuration()
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .none  // As a kubelet: a probe asks whether it answers, not who it is.
        configuration.tlsConfiguration = tls
        configuration.redirectConfiguration = .follow(max: 5, allowCycles: false)
        configuration.timeout.connect = .seconds(5)
        // A reused connection would hide that the listener is gone.
        configuration.connectionPool.idleTimeout = .milliseconds(1)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        http = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton),
            configuration: configuration)
    }

    /// Ends the probes' client.
    package func shutdown() async {
        try? await http.shutdown()  // Nothing of ours is in flight any more.
    }

    /// `nil` when the probe succeeded, else why it did not.
    func failure(of action: HTTPGetAction, port: Int, address: String, timeoutSeconds: Int) async -> String? {
        let scheme = (action.scheme ?? "HTTP").lowercased()
        let path = action.path ?? "/"
        let host = action.host ?? address
        var request = HTTPClientRequest(
            url: "\(scheme)://\(host):\(port)\(path.hasPrefix("/") ? "" : "/")\(path)")
        request.headers.add(name: "User-Agent", value: "kube-probe/1.31")
        request.headers.add(name: "Connection", value: "close")
        for header in action.httpHeaders ?? [] {
            request.headers.replaceOrAdd(name: header.name, value: header.value)
        }
        do {
            let response = try await http.execute(request, timeout: .seconds(Int64(timeoutSeconds)))
            let status = Int(response.status.code)
            let body = try? await response.body.collect(upTo: Self.bodyBytesMax)  // Larger than worth showing.
            if (200..<400).contains(status) { return nil }
            let text = body.map { String(buffer: $0) } ?? ""
            return "HTTP probe failed with statuscode: \(status)"
                + (text.isEmpty ? "" : " (\(text.prefix(200)))")
        } catch {
            return "Get \"\(request.url)\": \(error)"
        }
    }

    /// `nil` when a gRPC server says that it serves.
    ///
    /// - Parameter service: The service to ask about; empty for the server as a whole.
    package func failure(
        ofHealthCheck service: String, address: String, port: Int, timeoutSeconds: Int
    ) async -> String? {
        do {
            let connected = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(Int64(timeoutSeconds)))
                .channelOption(.autoRead, value: false)
                .connect(host: address, port: port).get()
            // Wrapped once it is there: an asynchronous channel that is dropped unused, because nothing listens, ends
            // the process. Nothing is read before.
            let channel = try await connected.eventLoop.submit {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: connected)
            }.get()
            try? await connected.setOption(.autoRead, value: true).get()  // Closed already: reading below tells.
            // Closing ends the conversation below, and it says so.
            let alarm = channel.channel.eventLoop.scheduleTask(in: .seconds(Int64(timeoutSeconds))) {
                channel.channel.close(promise: nil)
            }
            defer { alarm.cancel() }
            return try await channel.executeThenClose { inbound, outbound in
                let request = GRPCHealthCheck.request(service: service, authority: "\(address):\(port)")
                try await outbound.write(ByteBuffer(bytes: request))
                var check = GRPCHealthCheck()
                for try await piece in inbound {
                    let outcome = check.received(piece.readableBytesView)
                    if !check.outgoing.isEmpty { try await outbound.write(ByteBuffer(bytes: check.outgoing)) }
                    switch outcome {
                    case .pending: continue
                    case .serving: return nil
                    case .failed(let why): return why
                    }
                }
                return "no answer from \(address):\(port) within \(timeoutSeconds)s"
            }
        } catch {
            return "dial tcp \(address):\(port): \(error)"
        }
    }

    /// `nil` when something accepts the connection.
    func failure(ofConnectingTo address: String, port: Int, timeoutSeconds: Int) async -> String? {
        do {
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(Int64(timeoutSeconds)))
                .connect(host: address, port: port).get()
            try? await channel.close().get()  // Closed by the other side already, perhaps.
            return nil
        } catch {
            return "dial tcp \(address):\(port): \(error)"
        }
    }
}
