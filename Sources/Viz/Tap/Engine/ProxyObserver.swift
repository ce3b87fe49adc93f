// One proxy, observed for one caller for as long as both are there: connects, asks, follows, and begins again
// with growing pauses when the stream breaks. The tap pod's own proxy makes the connection mTLS and checks who
// answers (`l5d-require-id`).

import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import MeshAPI
import MeshGRPC
import NIOCore
import SwiftProtobuf
import Synchronization

/// What all observers of one tap share.
struct TapRun: Sendable {
    let question: TapQuestion
    let tapPort: Int
    let queue: EventQueue<Linkerd2_Tap_TapEvent>
    let ledger: LossLedger
    let totals: TapTotals
    let gate: RateGate?
    let translator: @Sendable () -> EventTranslator
    let logger: Logger
}

/// Observes one proxy.
struct ProxyObserver: Sendable {
    /// Pauses between attempts; each is taken between half and all of its length.
    static let pauseFirst: Duration = .milliseconds(200)
    static let pauseMax: Duration = .seconds(10)

    /// Bytes that one proxy may send before somebody reads them: the library's 8 MB, for each of many proxies, would be
    /// memory that a caller who stands still could fill. HTTP/2's own size, and no less: a stream that begins before the
    /// other side has acknowledged our settings takes a smaller one off twice, and would never open again.
    static let windowBytes = 65_535

    /// Bytes of one read. An event that waits keeps the whole buffer that it was read into, and the library's grow to 64 KB.
    static let readBytes = 4_096

    let run: TapRun
    let target: TapTarget
    let rate: ObserveRate
    private let gap = ObservationGap()

    init(run: TapRun, target: TapTarget, rate: ObserveRate) {
        self.run = run
        self.target = target
        self.rate = rate
    }

    private typealias Client = Io_Linkerd_Proxy_Tap_Tap.Client<HTTP2ClientTransport.Posix>

    /// Observes until cancelled.
    func observe() async {
        var pause = Self.pauseFirst
        // What is still open when the pod goes away is a gap that is over.
        defer { gap.end(run.ledger) }
        while !Task.isCancelled {
            let began = ContinuousClock.now
            do {
                try await withGRPCClient(transport: transport()) { client in
                    try await observe(through: Client(wrapping: client))
                }
            } catch {
                if Task.isCancelled { return }
                gap.begin(run.ledger)
                run.logger.debug(
                    "Proxy not observed", metadata: ["pod": "\(target.namespace)/\(target.pod)", "error": "\(error)"])
            }
            if ContinuousClock.now - began > Self.pauseMax { pause = Self.pauseFirst }
            // Cancelled: the loop ends.
            try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    private func transport() throws -> HTTP2ClientTransport.Posix {
        let port = run.tapPort
        let address: any ResolvableTarget =
            target.ip.contains(":") ? .ipv6(address: target.ip, port: port) : .ipv4(address: target.ip, port: port)
        return try .http2NIOPosix(
            target: address, transportSecurity: .plaintext,
            config: .defaults { config in
                config.http2.targetWindowSize = Self.windowBytes
                config.channelDebuggingCallbacks.onCreateTCPConnection = { channel in
                    channel.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
                }
            })
    }

    /// One stream after another on one connection. Proxies of ours keep a stream open; Linkerd's end it when the
    /// window's number is used up, and are asked again when the window is over.
    private func observe(through client: Client) async throws {
        while !Task.isCancelled {
            let began = ContinuousClock.now
            var options = CallOptions.defaults
            options.waitForReady = false
            try await client.observe(request: try request(), options: options) { response in
                try await follow(response)
            }
            let left = .milliseconds(rate.windowMilliseconds) - (ContinuousClock.now - began)
            if left > .zero { try await Task.sleep(for: left) }
        }
    }

    private func request() throws -> ClientRequest<Io_Linkerd_Proxy_Tap_ObserveRequest> {
        var message = Io_Linkerd_Proxy_Tap_ObserveRequest()
        message.limit = rate.requests
        message.match = run.question.match
        if run.question.wantsHeaders || run.question.filter.needsHeaders { message.extract.http.headers = .init() }
        let more = Linkerd2_Tap_Live_ObserveExtension.with { $0.windowMs = rate.windowMilliseconds }
        try message.merge(serializedBytes: try more.serializedBytes() as [UInt8])
        var request = ClientRequest(message: message)
        if !target.identity.isEmpty { request.metadata.addString(target.identity, forKey: "l5d-require-id") }
        return request
    }

    // MARK: A stream

    /// The part of one stream that ends with it.
    private struct Stream {
        var table: ExchangeTable
        var losses = Linkerd2_Tap_Live_Losses()
        var counted = (filtered: UInt64(0), dropped: UInt64(0))
    }

    private func follow(_ response: StreamingClientResponse<Io_Linkerd_Proxy_Tap_TapEvent>) async throws {
        var stream = Stream(table: ExchangeTable(run.question.filter))
        if case .success = response.accepted { gap.end(run.ledger) }
        run.totals.observers(1)
        // Shown requests whose ends will never come now.
        defer {
            run.totals.observers(-1)
            let open = UInt64(stream.table.openCount)
            if open > 0 { run.ledger.add { $0.cut += open } }
        }
        for try await event in response.messages { try await take(event, &stream) }
    }

    private func take(_ event: Io_Linkerd_Proxy_Tap_TapEvent, _ stream: inout Stream) async throws {
        if !event.unknownFields.data.isEmpty { countLosses(event, &stream) }
        var shown = stream.table.take(event)
        if let gate = run.gate, case .requestInit(let begin)? = shown.first?.http.event,
            !gate.take(at: .now)
        {
            stream.table.suppress(begin.id.stream)
            run.ledger.add { $0.limited += 1 }
            shown = []
        }
        countTable(&stream)
        guard !shown.isEmpty else { return }
        let translator = run.translator()
        for event in shown {
            var translated = translator.translated(event)
            if let losses = run.ledger.unreported() { try translated.add(losses) }
            try await run.queue.send(translated)
            let isBegin = if case .requestInit = event.http.event { true } else { false }
            run.ledger.add {
                $0.events += 1
                if isBegin { $0.requests += 1 }
            }
        }
    }

    /// Proxies tell totals of the stream; what is new since the last word is added.
    private func countLosses(_ event: Io_Linkerd_Proxy_Tap_TapEvent, _ stream: inout Stream) {
        // Fields of somebody else's extension are no losses.
        guard let more = try? Linkerd2_Tap_Live_EventExtension(serializedBytes: Array(event.unknownFields.data)),
            more.hasLosses
        else { return }
        let (before, now) = (stream.losses, more.losses)
        stream.losses = now
        run.ledger.add {
            $0.limited += now.limited &- before.limited
            $0.droppedRequests += now.droppedRequests &- before.droppedRequests
            $0.droppedEvents += now.droppedEvents &- before.droppedEvents
        }
    }

    private func countTable(_ stream: inout Stream) {
        let now = (filtered: stream.table.filteredCount, dropped: stream.table.droppedCount)
        let before = stream.counted
        guard now != before else { return }
        stream.counted = now
        run.ledger.add {
            $0.filtered += now.filtered - before.filtered
            $0.droppedRequests += now.dropped - before.dropped
        }
    }
}

/// The time that one proxy is not observed, from the break to the next stream. Attempts in between are no gaps of their own.
private final class ObservationGap: Sendable {
    private let since = Mutex<ContinuousClock.Instant?>(nil)

    func begin(_ ledger: LossLedger) {
        let isNew = since.withLock { since in
            defer { since = since ?? .now }
            return since == nil
        }
        if isNew { ledger.add { $0.gaps += 1 } }
    }

    func end(_ ledger: LossLedger) {
        let begun = since.withLock { since in
            defer { since = nil }
            return since
        }
        guard let begun else { return }
        let length = (ContinuousClock.now - begun) / .milliseconds(1)
        ledger.add { $0.unseenMilliseconds += UInt64(max(1, length)) }
    }
}

extension Linkerd2_Tap_TapEvent {
    /// Puts losses beside what the event tells.
    mutating func add(_ losses: Linkerd2_Tap_Live_Losses) throws {
        let more = Linkerd2_Tap_Live_EventExtension.with { $0.losses = losses }
        try merge(serializedBytes: try more.serializedBytes() as [UInt8])
    }
}
