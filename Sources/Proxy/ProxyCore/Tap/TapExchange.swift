import NIOCore

/// One request that at least one tap took, from its head to the end of its response. Bound to its loop.
///
/// Times are read when the calls come, on the loop that carries the request, so they are those of the request
/// whatever happens to the events later. `ended` says nothing twice; an exchange that is dropped ends by itself.
package final class TapExchange {
    /// Whether a tap wants to see headers and trailers.
    package let wantsHeaders: Bool

    private let prefix: [UInt8]
    private let takers: [Taker]
    private let scratch: TapScratch
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

    /// - Parameter scratch: lent by the loop; empty between events.
    init(flow: TapFlow, takers: [Taker], startedAt: UInt64, scratch: TapScratch) {
        prefix = flow.source.prefix(to: flow.destination, under: flow.route)
        self.takers = takers
        self.startedAt = startedAt
        self.scratch = scratch
        wantsHeaders = takers.contains { $0.subscription.interest.wantsHeaders }
    }

    deinit { ended(.plain) }

    /// The request's head.
    func began(_ request: borrowing TapRequest, fields: TapFields?) {
        for taker in takers {
            send(to: taker, part: 1, isLast: false) { bytes in
                Self.write(method: request, to: &bytes)
                Self.write(scheme: request, to: &bytes)
                ProtoBytes.write(text: request.slice(request.authority), field: 4, to: &bytes)
                ProtoBytes.write(text: request.slice(request.path), field: 5, to: &bytes)
                taker.write(fields, field: 6, to: &bytes)
            }
        }
    }

    private static func write(method request: borrowing TapRequest, to bytes: inout [UInt8]) {
        let number = TapMethods.number(request)
        ProtoBytes.nest(2, in: &bytes) { bytes in
            if let number {
                ProtoBytes.writePresent(number, field: 1, to: &bytes)
            } else {
                ProtoBytes.write(message: request.slice(request.method), field: 2, to: &bytes)
            }
        }
    }

    private static func write(scheme request: borrowing TapRequest, to bytes: inout [UInt8]) {
        guard !request.scheme.isEmpty else { return }
        let isRegistered = request.equals(request.scheme, "http") || request.equals(request.scheme, "https")
        ProtoBytes.nest(3, in: &bytes) { bytes in
            if isRegistered {
                ProtoBytes.writePresent(UInt64(request.scheme.count - 4), field: 1, to: &bytes)
            } else {
                ProtoBytes.write(message: request.slice(request.scheme), field: 2, to: &bytes)
            }
        }
    }

    /// The final response's head. Later ones are ignored: a proxy's own answer may follow an attempt.
    package func answered(status: Int, fields: TapFields?) {
        guard respondedAt == nil, !isEnded else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        respondedAt = now
        for taker in takers {
            send(to: taker, part: 2, isLast: false) { bytes in
                ProtoBytes.write(nanoseconds: now &- startedAt, field: 2, to: &bytes)
                ProtoBytes.write(UInt64(clamping: status), field: 3, to: &bytes)
                taker.write(fields, field: 4, to: &bytes)
            }
        }
    }

    /// Bytes of the response's body.
    package func passed(byteCount: Int) { responseBytes &+= UInt64(clamping: byteCount) }

    /// The response is over, or will never come.
    package func ended(_ end: End, trailers: TapFields? = nil) {
        guard !isEnded else { return }
        isEnded = true
        let now = NIODeadline.now().uptimeNanoseconds
        for taker in takers {
            send(to: taker, part: 3, isLast: true) { bytes in
                ProtoBytes.write(nanoseconds: now &- startedAt, field: 2, to: &bytes)
                if let respondedAt { ProtoBytes.write(nanoseconds: now &- respondedAt, field: 3, to: &bytes) }
                ProtoBytes.write(responseBytes, field: 4, to: &bytes)
                ProtoBytes.nestShort(5, in: &bytes) { bytes in
                    switch end {
                    case .plain: break
                    case .grpc(let status): ProtoBytes.writePresent(UInt64(clamping: status), field: 1, to: &bytes)
                    case .reset(let code): ProtoBytes.writePresent(UInt64(code), field: 2, to: &bytes)
                    }
                }
                taker.write(trailers, field: 6, to: &bytes)
            }
        }
    }

    /// - Parameters:
    ///   - part: 1 for the request's head, 2 for the response's, 3 for the end.
    ///   - write: the part's fields without its id.
    @inline(__always)
    private func send(to taker: Taker, part: UInt8, isLast: Bool, _ write: (inout [UInt8]) -> Void) {
        scratch.bytes.removeAll(keepingCapacity: true)
        ProtoBytes.nest(3, in: &scratch.bytes) { bytes in
            ProtoBytes.nest(part, in: &bytes) { bytes in
                ProtoBytes.nestShort(1, in: &bytes) { bytes in
                    ProtoBytes.write(UInt64(taker.subscription.base), field: 1, to: &bytes)
                    ProtoBytes.write(taker.stream, field: 2, to: &bytes)
                }
                write(&bytes)
            }
        }
        taker.subscription.offer(prefix, scratch.bytes, isLast: isLast)
    }
}

/// Where events are encoded, one after another: kept by its loop, so that no event allocates.
final class TapScratch {
    var bytes: [UInt8] = []
}

extension TapExchange.Taker {
    /// Headers or trailers, for who wants them.
    fileprivate func write(_ fields: TapFields?, field: UInt64, to bytes: inout [UInt8]) {
        guard let fields, subscription.interest.wantsHeaders else { return }
        ProtoBytes.write(message: fields.encoded, field: field, to: &bytes)
    }
}
