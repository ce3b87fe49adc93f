// Which exchanges a caller wants by what became of them. Linkerd's tap cannot ask this: its proxies match
// requests only. Each part says yes, no, or not yet while an exchange is under way, so that most are decided
// before they end. Pure.

package import MeshAPI
import SwiftProtobuf

/// Whether an exchange is wanted, as far as is known.
package enum Verdict: Sendable, Equatable {
    case pass, fail, undecided

    /// Both must hold.
    func and(_ other: Verdict) -> Verdict {
        if self == .fail || other == .fail { return .fail }
        return self == .pass ? other : self
    }
}

/// The parts of a filter; every one that is set must hold.
package struct ResponseFilter: Sendable, Equatable {
    package typealias Event = Io_Linkerd_Proxy_Tap_TapEvent
    private typealias Header = Io_Linkerd_Proxy_HttpTypes_Headers.Header

    package let statuses: [ClosedRange<UInt32>]
    package let grpcCodes: Set<UInt32>
    /// `true` for failures, `false` for successes; `nil` for both.
    package let wantsFailure: Bool?
    /// Nanoseconds from the request to the response's end; 0 asks for nothing.
    package let latencyAbove: UInt64
    /// Empty asks for nothing.
    package let tls: String
    package let headers: [Linkerd2_Tap_Live_Filter.HeaderTest]

    /// Headers that can be asked for at most.
    package static let headersMax = 16

    /// Lets everything pass.
    package static let none = ResponseFilter()

    private init() {
        statuses = []
        grpcCodes = []
        wantsFailure = nil
        latencyAbove = 0
        tls = ""
        headers = []
    }

    /// Checks the parts.
    ///
    /// - Throws: `invalidArgument` for a range or word that cannot be meant.
    package init(_ message: Linkerd2_Tap_Live_Filter) throws(TapRefusal) {
        var ranges: [ClosedRange<UInt32>] = []
        for range in message.statuses {
            guard range.min <= range.max, range.max <= 999 else {
                throw TapRefusal(.invalidArgument, "status range \(range.min)-\(range.max) cannot be")
            }
            ranges.append(range.min...range.max)
        }
        switch message.classification {
        case "": wantsFailure = nil
        case "success": wantsFailure = false
        case "failure": wantsFailure = true
        default:
            throw TapRefusal(.invalidArgument, "classification must be success or failure")
        }
        guard message.headers.count <= Self.headersMax, message.headers.allSatisfy({ !$0.name.isEmpty }) else {
            throw TapRefusal(.invalidArgument, "at most \(Self.headersMax) headers, each with a name")
        }
        statuses = ranges
        grpcCodes = Set(message.grpcCodes)
        latencyAbove = message.latencyAboveUs.multipliedReportingOverflow(by: 1_000).partialValue
        tls = message.tls
        headers = message.headers
    }

    /// Whether everything passes.
    package var isEmpty: Bool { self == .none }

    /// Whether proxies must send headers for this filter.
    package var needsHeaders: Bool { !headers.isEmpty }

    // MARK: Asking

    /// What is known after the events so far: the request's head, then the response's, then the end.
    package func verdict(_ exchange: borrowing Exchange) -> Verdict {
        tlsVerdict(exchange)
            .and(headersVerdict(exchange))
            .and(statusVerdict(exchange))
            .and(grpcVerdict(exchange))
            .and(classVerdict(exchange))
            .and(latencyVerdict(exchange))
    }

    private func tlsVerdict(_ exchange: borrowing Exchange) -> Verdict {
        guard !tls.isEmpty else { return .pass }
        let holds = tls == "false" ? exchange.tls != "true" : exchange.tls == tls
        return holds ? .pass : .fail
    }

    private func statusVerdict(_ exchange: borrowing Exchange) -> Verdict {
        guard !statuses.isEmpty else { return .pass }
        guard let status = exchange.status else { return exchange.isEnded ? .fail : .undecided }
        return statuses.contains { $0.contains(status) } ? .pass : .fail
    }

    private func grpcVerdict(_ exchange: borrowing Exchange) -> Verdict {
        guard !grpcCodes.isEmpty else { return .pass }
        guard exchange.isEnded else { return .undecided }
        return exchange.grpcStatus.map(grpcCodes.contains) ?? false ? .pass : .fail
    }

    private func classVerdict(_ exchange: borrowing Exchange) -> Verdict {
        guard let wantsFailure else { return .pass }
        if !exchange.isEnded, (exchange.status ?? 0) < 500 { return .undecided }
        return exchange.isFailure == wantsFailure ? .pass : .fail
    }

    private func latencyVerdict(_ exchange: borrowing Exchange) -> Verdict {
        guard latencyAbove > 0 else { return .pass }
        if exchange.latestNanoseconds > latencyAbove { return .pass }
        return exchange.isEnded ? .fail : .undecided
    }

    private func headersVerdict(_ exchange: borrowing Exchange) -> Verdict {
        var verdict = Verdict.pass
        for test in headers {
            guard let list = test.isResponse ? exchange.responseHeaders : exchange.requestHeaders else {
                verdict = verdict.and(exchange.isEnded ? .fail : .undecided)
                continue
            }
            let holds = list.headers.contains { header in
                header.name.lowercased() == test.name.lowercased()
                    && (!test.hasValue_p || header.value.elementsEqual(test.value.utf8))
            }
            verdict = verdict.and(holds ? .pass : .fail)
        }
        return verdict
    }
}

/// What is known of one exchange.
package struct Exchange: Sendable {
    package var tls = ""
    package var requestHeaders: Io_Linkerd_Proxy_HttpTypes_Headers?
    package var responseHeaders: Io_Linkerd_Proxy_HttpTypes_Headers?
    /// HTTP status, once the response's head came.
    package var status: UInt32?
    package var grpcStatus: UInt32?
    package var isReset = false
    package var isEnded = false
    /// The longest time since the request's head that an event told.
    package var latestNanoseconds: UInt64 = 0

    package init() {}

    /// By the rule of `stat`: a 5xx or a reset fails, and so do these gRPC codes.
    package var isFailure: Bool {
        if isReset || (status ?? 0) >= 500 { return true }
        switch grpcStatus {
        case 2, 4, 7, 13, 14, 15: return true
        default: return false
        }
    }

    /// Takes in what one event tells.
    package mutating func take(_ event: ResponseFilter.Event) {
        switch event.http.event {
        case .requestInit(let part):
            let meta = event.proxyDirection == .outbound ? event.destinationMeta : event.sourceMeta
            tls = meta.labels["tls"] ?? ""
            requestHeaders = part.hasHeaders ? part.headers : .init()
        case .responseInit(let part):
            status = part.httpStatus
            responseHeaders = part.hasHeaders ? part.headers : .init()
            latestNanoseconds = Self.nanoseconds(part.sinceRequestInit)
        case .responseEnd(let part):
            isEnded = true
            latestNanoseconds = max(latestNanoseconds, Self.nanoseconds(part.sinceRequestInit))
            switch part.eos.end {
            case .grpcStatusCode(let code): grpcStatus = code
            case .resetErrorCode: isReset = true
            case nil: break
            }
        case nil: break
        }
    }

    private static func nanoseconds(_ duration: Google_Protobuf_Duration) -> UInt64 {
        guard duration.seconds >= 0, duration.nanos >= 0 else { return 0 }
        return UInt64(duration.seconds) &* 1_000_000_000 &+ UInt64(duration.nanos)
    }
}
