// Which requests a tap wants: the predicate of `ObserveRequest.Match`, checked and compiled once for each
// subscription, then asked for each request. Pure.
//
// Source: `spec/proxy.md` 7.2, `spec/wire.md` 3.12. An empty `all` holds, an empty `any` does not; a request
// without a scheme counts as http; the path is compared without its query.

/// A compiled predicate over one request.
package indirect enum TapMatch: Sendable, Equatable {
    case all([TapMatch])
    case any([TapMatch])
    case not(TapMatch)
    case source(TapAddressMatch)
    case destination(TapAddressMatch)
    /// Lower case, as schemes are.
    case scheme([UInt8])
    case method([UInt8])
    case authority(TapTextMatch)
    case path(TapTextMatch)
    case destinationLabel(key: String, value: String)
    case routeLabel(key: String, value: String)

    /// Whether the request on `flow` is wanted.
    ///
    /// - Complexity: O(size of the predicate and of what it compares), no allocation.
    package func matches(_ request: borrowing TapRequest, on flow: TapFlow) -> Bool {
        switch self {
        case .all(let parts):
            for part in parts where !part.matches(request, on: flow) { return false }
            return true
        case .any(let parts):
            for part in parts where part.matches(request, on: flow) { return true }
            return false
        case .not(let part): return !part.matches(request, on: flow)
        case .source(let match): return match.matches(flow.source.address)
        case .destination(let match): return match.matches(flow.destination.address)
        case .scheme(let wanted):
            return request.scheme.isEmpty ? wanted == Self.http : request.equals(request.scheme, wanted)
        case .method(let wanted): return request.equals(request.method, wanted)
        case .authority(let match): return match.matches(request, request.authority)
        case .path(let match): return match.matches(request, request.path)
        case .destinationLabel(let key, let value): return flow.destination.labels[key] == value
        case .routeLabel(let key, let value): return flow.route?.labels[key] == value
        }
    }

    private static let http = Array("http".utf8)
}

/// A text compared whole, or by its beginning.
package enum TapTextMatch: Sendable, Equatable {
    case exact([UInt8])
    case prefix([UInt8])

    func matches(_ request: borrowing TapRequest, _ range: Range<Int>) -> Bool {
        switch self {
        case .exact(let wanted): request.equals(range, wanted)
        case .prefix(let wanted):
            range.count >= wanted.count
                && request.equals(range.lowerBound..<range.lowerBound + wanted.count, wanted)
        }
    }
}

/// An address inside a network, or a port inside a range.
package enum TapAddressMatch: Sendable, Equatable {
    /// `bits` counts from the front of `bytes`; families never mix.
    case network(bytes: [UInt8], bits: Int)
    case ports(ClosedRange<UInt16>)

    func matches(_ address: TapAddress) -> Bool {
        switch self {
        case .ports(let range): return range.contains(address.port)
        case .network(let bytes, let bits):
            guard address.bytes.count == bytes.count else { return false }
            for index in 0..<bytes.count {
                let left = bits - index * 8
                guard left > 0 else { return true }
                let mask = left >= 8 ? UInt8.max : UInt8(truncatingIfNeeded: 0xFF00 >> left)
                if (address.bytes[index] ^ bytes[index]) & mask != 0 { return false }
            }
            return true
        }
    }
}
