import NIOCore

/// One request that at least one tap took, from its head to the end of its response. Bound to its loop.
///
/// Times are read when the calls come, on the loop that carries the request, so they are those of the request
/// whatever happens to the events later. `ended` says nothing twice; an exchange that is dropped ends by itself.
package final class TapExchange {
    /// Whether a tap wants to see headers and trailers.
    package let wantsHeaders: Bool

    private let flow: TapFlow
    private let takers: [Taker]
    private let startedAt: UInt64
    private var respondedAt: UInt64?
    private var responseBytes: UInt64 = 0
    private var isEnded = false

    struct Taker {
        let subscription: TapSubscription
        let stream: UInt64
    }

    /// How a stream ended, as `Eos` says it.
    package enum End: Sendable, Equatable {
        /// Without gRPC, or in a way that HTTP/1 has no number for.
        case plain
        case grpc(status: Int)
        /// The code of an HTTP/2 reset.
        case reset(code: UInt32)
    }

    init(flow: TapFlow, takers: [Taker], startedAt: UInt64) {
        self.flow = flow
        self.takers = takers
        self.startedAt = startedAt
        wantsHeaders = takers.contains { $0.subscription.interest.wantsHeaders }
    }

    deinit { ended(.plain) }

    /// The request's head.
    func began(_ request: borrowing TapRequest, fields: TapFields?) {
        var head = ByteBuffer()
        var method = ByteBuffer()
        if let number = TapMethods.number(request) {
            ProtoBytes.writePresent(number, field: 1, to: &method)
        } else {
            ProtoBytes.writePresent(text: request.slice(request.method), field: 2, to: &method)
        }
        ProtoBytes.write(message: method, field: 2, to: &head)
        if !request.scheme.isEmpty {
            var scheme = ByteBuffer()
            if request.equals(request.scheme, "http") || request.equals(request.scheme, "https") {
                ProtoBytes.writePresent(UInt64(request.scheme.count - 4), field: 1, to: &scheme)
            } else {
                ProtoBytes.writePresent(text: request.slice(request.scheme), field: 2, to: &scheme)
            }
            ProtoBytes.write(message: scheme, field: 3, to: &head)
        }
        ProtoBytes.write(text: request.slice(request.authority), field: 4, to: &head)
        ProtoBytes.write(text: request.slice(request.path), field: 5, to: &head)
        send(head, part: 1, fields: fields, fieldsAt: 6, isLast: false)
    }

    /// The final response's head. Later ones are ignored: a proxy's own answer may follow an attempt.
    package func answered(status: Int, fields: TapFields?) {
        guard respondedAt == nil, !isEnded else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        respondedAt = now
        var event = ByteBuffer()
        ProtoBytes.write(nanoseconds: now &- startedAt, field: 2, to: &event)
        ProtoBytes.write(UInt64(clamping: status), field: 3, to: &event)
        send(event, part: 2, fields: fields, fieldsAt: 4, isLast: false)
    }

    /// Bytes of the response's body.
    package func passed(byteCount: Int) { responseBytes &+= UInt64(clamping: byteCount) }

    /// The response is over, or will never come.
    package func ended(_ end: End, trailers: TapFields? = nil) {
        guard !isEnded else { return }
        isEnded = true
        let now = NIODeadline.now().uptimeNanoseconds
        var event = ByteBuffer()
        ProtoBytes.write(nanoseconds: now &- startedAt, field: 2, to: &event)
        if let respondedAt { ProtoBytes.write(nanoseconds: now &- respondedAt, field: 3, to: &event) }
        ProtoBytes.write(responseBytes, field: 4, to: &event)
        var eos = ByteBuffer()
        switch end {
        case .plain: break
        case .grpc(let status): ProtoBytes.writePresent(UInt64(clamping: status), field: 1, to: &eos)
        case .reset(let code): ProtoBytes.writePresent(UInt64(code), field: 2, to: &eos)
        }
        ProtoBytes.write(message: eos, field: 5, to: &event)
        send(event, part: 3, fields: trailers, fieldsAt: 6, isLast: true)
    }

    /// - Parameters:
    ///   - body: the part's fields without its id.
    ///   - part: 1 for the request's head, 2 for the response's, 3 for the end.
    private func send(_ body: ByteBuffer, part: UInt64, fields: TapFields?, fieldsAt: UInt64, isLast: Bool) {
        for taker in takers {
            var id = ByteBuffer()
            ProtoBytes.write(UInt64(taker.subscription.base), field: 1, to: &id)
            ProtoBytes.write(taker.stream, field: 2, to: &id)
            var message = ByteBuffer()
            ProtoBytes.write(message: id, field: 1, to: &message)
            message.writeImmutableBuffer(body)
            if let fields, taker.subscription.interest.wantsHeaders {
                ProtoBytes.write(message: fields.encoded, field: fieldsAt, to: &message)
            }
            var http = ByteBuffer()
            ProtoBytes.write(message: message, field: part, to: &http)
            var event = ByteBuffer()
            ProtoBytes.write(message: http, field: 3, to: &event)
            taker.subscription.offer(flow, event, isLast: isLast)
        }
    }
}
