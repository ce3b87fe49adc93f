// Port-forwarding over SPDY, raw or inside WebSocket messages. For each connection the client opens two
// streams with the same `requestid`: first `error`, then `data`, both naming the port.

import Logging
import NIOCore

/// Keeps the session's state and writes its frames, one caller at a time.
actor SPDYConnection {
    private var session: SPDYSession
    private let write: @Sendable (ByteBuffer) async throws -> Void

    init(write: @escaping @Sendable (ByteBuffer) async throws -> Void) throws {
        session = try SPDYSession()
        self.write = write
    }

    func received(_ bytes: ByteBuffer) async throws -> [SPDYSession.Event] {
        let events = try session.received(bytes)
        try await flush()
        return events
    }

    func reply(to stream: UInt32) async throws {
        try session.reply(to: stream)
        try await flush()
    }

    func send(_ bytes: ByteBuffer, on stream: UInt32, isLast: Bool) async throws {
        session.send(bytes, on: stream, isLast: isLast)
        try await flush()
    }

    func reset(_ stream: UInt32) async throws {
        session.reset(stream)
        try await flush()
    }

    private func flush() async throws {
        let output = session.takeOutput()
        if output.readableBytes > 0 { try await write(output) }
    }
}

/// Serves the port-forwards of one SPDY connection.
struct SPDYForwarding: Sendable {
    /// Connections through one session at a time; further ones are reset.
    static let tunnelsMax = 256

    let podUID: String
    let node: NodeSocket
    let logger: Logger

    /// Runs until the client leaves. A pod that does not take its bytes holds up the other connections of
    /// the same session, since SPDY is read here without windows.
    func run<Input: AsyncSequence>(
        _ input: Input, write: @escaping @Sendable (ByteBuffer) async throws -> Void
    ) async throws where Input.Element == ByteBuffer {
        let connection = try SPDYConnection(write: write)
        var streams = Streams()
        try await withThrowingDiscardingTaskGroup { group in
            for try await bytes in input {
                for event in try await connection.received(bytes) {
                    switch event {
                    case .opened(let stream, let headers):
                        guard let tunnel = try await open(stream, headers, &streams, connection) else {
                            continue
                        }
                        group.addTask { await run(tunnel, connection) }
                    case .data(let stream, let bytes): await streams.pipes[stream]?.send(bytes)
                    case .ended(let stream): streams.pipes.removeValue(forKey: stream)?.finish()
                    case .reset(let stream): streams.pipes.removeValue(forKey: stream)?.cancel()
                    case .goAway: break
                    }
                }
            }
            group.cancelAll()
        }
    }

    private struct Streams {
        /// Error streams that wait for their data stream, by request.
        var errors: [String: UInt32] = [:]
        var pipes: [UInt32: BytePipe] = [:]
    }

    private struct Tunnel: Sendable {
        let port: Int
        let data: UInt32
        let error: UInt32
        let pipe: BytePipe
    }

    /// Accepts a stream; gives a tunnel once both of its streams are there.
    private func open(
        _ stream: UInt32, _ headers: [String: String], _ streams: inout Streams, _ connection: SPDYConnection
    ) async throws -> Tunnel? {
        let request = headers["requestid"] ?? headers["port"] ?? ""
        guard let port = headers["port"].flatMap({ Int($0) }), (1...65_535).contains(port),
            streams.pipes.count < Self.tunnelsMax, streams.errors.count < Self.tunnelsMax
        else {
            try await connection.reset(stream)
            return nil
        }
        switch headers["streamtype"] {
        case "error":
            streams.errors[request] = stream
            try await connection.reply(to: stream)
            return nil
        case "data":
            guard let error = streams.errors.removeValue(forKey: request) else {
                try await connection.reset(stream)
                return nil
            }
            try await connection.reply(to: stream)
            let pipe = BytePipe()
            streams.pipes[stream] = pipe
            return Tunnel(port: port, data: stream, error: error, pipe: pipe)
        default:
            try await connection.reset(stream)
            return nil
        }
    }

    /// Runs one tunnel and ends its two streams: an error stream that ends empty means success.
    private func run(_ tunnel: Tunnel, _ connection: SPDYConnection) async {
        var report = ByteBuffer()
        do {
            try await PodTunnel(node: node, podUID: podUID, port: tunnel.port).run(from: tunnel.pipe) {
                bytes in
                try await connection.send(bytes, on: tunnel.data, isLast: false)
            }
        } catch {
            let text = (error as? StatusError)?.message ?? "\(error)"
            report.writeString("error forwarding port \(tunnel.port) to pod \(podUID): \(text)")
            logger.debug("Port-forward failed", metadata: ["port": "\(tunnel.port)", "cause": "\(text)"])
        }
        do {
            try await connection.send(ByteBuffer(), on: tunnel.data, isLast: true)
            try await connection.send(report, on: tunnel.error, isLast: true)
        } catch {
            // The client has gone, and with it whoever would want to know.
            logger.debug("Port-forward ended without its client", metadata: ["cause": "\(error)"])
        }
    }
}
