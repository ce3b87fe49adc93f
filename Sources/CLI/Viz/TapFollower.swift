// The CLI's way to live events: the aggregated Kubernetes API where there is one, else the tap pod's plain gRPC
// door through a port-forward. When a stream breaks it is opened again, with growing pauses, and the user is told.

import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshModel
import MeshWebSocket
import SwiftProtobuf
import Synchronization

/// Why there are no events.
package struct TapFailure: Error, CustomStringConvertible, Equatable {
    /// Whether another try, or the other way, might do better.
    enum Kind: Equatable {
        /// No, and no later try will.
        case refused
        /// Not now: nothing to tap, or a service that has just begun. Said at once, but a tap that ran already waits for it.
        case unready
        /// There is no such API; the other door may be open.
        case absent
        /// The stream broke, or nobody answers.
        case broken
    }

    let kind: Kind
    package let description: String
}

/// Follows one tap.
struct TapFollower: Sendable {
    static let pauseFirst: Duration = .milliseconds(250)
    static let pauseMax: Duration = .seconds(10)
    /// Where the tap pod serves gRPC.
    static let grpcPort = 8_088

    /// What to do with an event; throwing ends the tap.
    typealias Sink = @Sendable (Linkerd2_Tap_TapEvent) async throws -> Void

    let config: KubernetesConfig
    let client: KubernetesClient
    let vizNamespace: String?
    let logger: Logger

    /// What becomes of the stream.
    enum Change: Sendable {
        case started
        case broke(String)
        case resumed(TapInterruption)
    }

    /// Follows until `sink` throws or the task is cancelled. A stream that breaks is asked for again, for as long as it takes.
    ///
    /// - Parameter onChange: called when the first stream is open, when one breaks, and when another is open after it.
    /// - Throws: `TapFailure` when the tap is refused or cannot be had at all; what `sink` throws.
    func follow(
        _ call: TapCall, onChange: @escaping @Sendable (Change) -> Void, sink: @escaping Sink
    ) async throws {
        let history = StreamHistory()
        let opened: @Sendable () -> Void = { onChange(history.opened()) }
        var pause = Self.pauseFirst
        while true {
            let began = ContinuousClock.now
            do {
                try await followOnce(call, opened, sink)
                guard history.hasStarted else { throw TapFailure(kind: .broken, description: "the tap ended") }
                if history.broke() { onChange(.broke("tap stream ended; asking again")) }
            } catch let failure as TapFailure {
                guard failure.kind != .refused, history.hasStarted else { throw failure }
                // Further attempts are not told one by one.
                if history.broke() { onChange(.broke("tap stream interrupted, asking again: \(failure)")) }
            }
            if ContinuousClock.now - began > Self.pauseMax { pause = Self.pauseFirst }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    private func followOnce(_ call: TapCall, _ onStart: @escaping @Sendable () -> Void, _ sink: @escaping Sink) async throws {
        do {
            try await followAggregated(call, onStart, sink)
        } catch let failure as TapFailure where failure.kind == .absent {
            try await followPlain(call, onStart, sink)
        }
    }

    // MARK: The aggregated API

    private func followAggregated(
        _ call: TapCall, _ onStart: @escaping @Sendable () -> Void, _ sink: Sink
    ) async throws {
        let reader = Mutex(FrameReader())
        let head = Mutex<StreamHead?>(nil)
        do {
            try await client.stream("POST", path: call.path, body: try call.bytes()) { answer in
                head.withLock { $0 = answer }
                if answer.status == 200, answer.header("linkerd-error") == nil { onStart() }
            } onBytes: { bytes in
                let frames = try reader.withLock { try $0.take(bytes, isEvents: head.withLock { Self.isEvents($0) }) }
                for frame in frames { try await sink(try Linkerd2_Tap_TapEvent(serializedBytes: frame)) }
            }
        } catch let error as KubernetesError {
            throw TapFailure(kind: head.withLock { $0 } == nil ? .absent : .broken, description: error.message)
        }
        let rest = reader.withLock { $0.rest }
        if let answer = head.withLock({ $0 }), !Self.isEvents(answer) { throw Self.failure(answer, rest) }
    }

    private static func isEvents(_ head: StreamHead?) -> Bool {
        head?.status == 200 && (head?.header("linkerd-error") ?? "").isEmpty
    }

    /// The failure that an answer without events stands for.
    static func failure(_ head: StreamHead, _ body: [UInt8]) -> TapFailure {
        if let marker = head.header("linkerd-error"), !marker.isEmpty {
            // The frame's length says nothing new.
            let message = try? Linkerd2_Viz_ApiError(serializedBytes: Array(body.dropFirst(4)))
            return TapFailure(kind: marker == "Bad Request" ? .refused : .unready, description: message?.error ?? marker)
        }
        // Whatever is no JSON is quoted as it is.
        let json = try? JSONValue(parsing: body)
        let text = json?["error"]?.stringValue ?? json?["message"]?.stringValue ?? String(decoding: body.prefix(300), as: UTF8.self)
        switch head.status {
        // No such API, or nobody behind it: the other door may be open.
        case 404, 502, 503, 504: return TapFailure(kind: .absent, description: text)
        // An API server that has just begun may not know yet who is asking.
        case 401, 429, 500: return TapFailure(kind: .unready, description: "HTTP error, status code [\(head.status)]: \(text)")
        case 403: return TapFailure(kind: .refused, description: text.isEmpty ? "403 Forbidden" : text)
        default: return TapFailure(kind: .refused, description: "HTTP error, status code [\(head.status)]: \(text)")
        }
    }

    // MARK: The plain door

    private func followPlain(_ call: TapCall, _ onStart: @escaping @Sendable () -> Void, _ sink: @escaping Sink) async throws {
        let forwarder: PortForwarder
        do {
            let pod = try await TapPod.find(client, namespace: vizNamespace)
            forwarder = try await TapPod.forward(config: config, pod: pod, port: Self.grpcPort, logger: logger)
        } catch {
            throw TapFailure(kind: .broken, description: "\(error)")
        }
        let token = TapPod.bearerToken(config) ?? ""
        do {
            try await withGRPCClient(
                transport: .http2NIOPosix(
                    target: .ipv4(address: "127.0.0.1", port: forwarder.localPort), transportSecurity: .plaintext)
            ) { client in
                var message = call.request
                try message.merge(serializedBytes: try call.more.serializedBytes() as [UInt8])
                var request = ClientRequest(message: message)
                request.metadata.addString("Bearer \(token)", forKey: "authorization")
                try await Linkerd2_Tap_Tap.Client(wrapping: client).tapByResource(request: request) { response in
                    if case .failure(let error) = response.accepted { throw error }
                    onStart()
                    for try await event in response.messages { try await sink(event) }
                }
            }
        } catch let error as RPCError {
            await forwarder.close()
            throw TapFailure(kind: Self.kind(error.code), description: error.message)
        } catch {
            await forwarder.close()
            throw error
        }
        await forwarder.close()
    }
}

extension TapFollower {
    private static func kind(_ code: RPCError.Code) -> TapFailure.Kind {
        switch code {
        case .unavailable, .cancelled, .unknown, .internalError: .broken
        case .notFound, .unauthenticated: .unready
        default: .refused
        }
    }
}

/// When streams of one tap were open.
private final class StreamHistory: Sendable {
    private struct State {
        var hasStarted = false
        var brokeAt: (instant: ContinuousClock.Instant, date: Date)?
    }

    private let state = Mutex(State())

    var hasStarted: Bool { state.withLock { $0.hasStarted } }

    func opened() -> TapFollower.Change {
        state.withLock { state in
            defer {
                state.hasStarted = true
                state.brokeAt = nil
            }
            guard let brokeAt = state.brokeAt else { return .started }
            return .resumed(TapInterruption(began: brokeAt.date, length: ContinuousClock.now - brokeAt.instant))
        }
    }

    /// There is no stream any more.
    /// - Returns: whether there was one before.
    func broke() -> Bool {
        state.withLock { state in
            guard state.brokeAt == nil else { return false }
            state.brokeAt = (.now, .now)
            return true
        }
    }
}

/// Cuts the aggregated API's body into messages: each behind four bytes of length, the least first.
struct FrameReader: Sendable {
    /// Longer messages are no events.
    static let frameBytesMax = 16 << 20
    private var bytes: [UInt8] = []

    /// What is left over; the whole body when it holds no events.
    var rest: [UInt8] { bytes }

    /// Adds bytes and takes the messages that are complete.
    mutating func take(_ more: [UInt8], isEvents: Bool) throws -> [[UInt8]] {
        bytes += more
        guard isEvents else {
            guard bytes.count <= Self.frameBytesMax else { throw TapFailure(kind: .broken, description: "answer too long") }
            return []
        }
        var frames: [[UInt8]] = []
        var start = 0
        while bytes.count - start >= 4 {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[start + $1]) << (8 * $1) }
            guard length <= Self.frameBytesMax else { throw TapFailure(kind: .broken, description: "no tap event") }
            guard bytes.count - start - 4 >= length else { break }
            frames.append(Array(bytes[start + 4..<start + 4 + length]))
            start += 4 + length
        }
        bytes.removeFirst(start)
        return frames
    }
}
