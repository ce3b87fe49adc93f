import Glibc

/// The header names that a proxy looks at, found by length and bytes without a hash.
///
/// Pseudo headers come first and in no particular order; everything the proxy does not care about is `other`.
public enum HeaderToken: UInt8, Sendable {
    /// Any name that is not below.
    case other
    /// `:method`
    case method
    /// `:scheme`
    case scheme
    /// `:authority`
    case authority
    /// `:path`
    case path
    /// `:status`
    case status
    /// `host`
    case host
    /// `content-type`
    case contentType
    /// `content-length`
    case contentLength
    /// `grpc-status`
    case grpcStatus
    /// `grpc-message`
    case grpcMessage
    /// Names that only concern one hop: `connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`,
    /// `upgrade`.
    case hop
    /// `l5d-proxy-error`
    case proxyError
    /// `l5d-proxy-connection`
    case proxyConnection
    /// `l5d-orig-proto`
    case origProto
    /// `l5d-dst-override`
    case dstOverride
    /// `l5d-dst-canonical`
    case dstCanonical
    /// `l5d-client-id`
    case clientID
    /// `l5d-require-id`
    case requireID
    /// A name whose values hardly repeat (dates, trace ids, timeouts): indexing it only evicts what does
    /// repeat.
    case volatile

    /// Tells which name `count` bytes at `name` spell; they are lower case, as HTTP/2 demands.
    static func classify(_ name: UnsafePointer<UInt8>, _ count: Int) -> HeaderToken {
        // SAFETY: `name` has `count` readable bytes; each comparison reads exactly that many.
        func spells(_ text: StaticString) -> Bool {
            unsafe text.utf8CodeUnitCount == count && memcmp(name, text.utf8Start, count) == 0
        }
        guard count > 1 else { return .other }
        switch (count, unsafe name[1]) {
        case (2, 0x33): return spells("b3") ? .volatile : .other
        case (4, 0x61): return spells("date") ? .volatile : .other
        case (4, 0x6F): return spells("host") ? .host : .other
        case (5, 0x70): return spells(":path") ? .path : .other
        case (7, 0x6D): return spells(":method") ? .method : .other
        case (7, 0x73): return spells(":scheme") ? .scheme : spells(":status") ? .status : .other
        case (7, 0x70): return spells("upgrade") ? .hop : .other
        case (10, 0x61): return spells(":authority") ? .authority : .other
        case (10, 0x6F): return spells("connection") ? .hop : .other
        case (10, 0x65): return spells("keep-alive") ? .hop : .other
        case (10, 0x72): return spells("tracestate") ? .volatile : .other
        case (11, 0x72):
            return spells("grpc-status") ? .grpcStatus : spells("traceparent") ? .volatile : .other
        case (12, 0x6F): return spells("content-type") ? .contentType : .other
        case (12, 0x72):
            return spells("grpc-message") ? .grpcMessage : spells("grpc-timeout") ? .volatile : .other
        case (11, 0x2D): return spells("x-b3-spanid") ? .volatile : .other
        case (12, 0x2D): return spells("x-request-id") || spells("x-b3-traceid") ? .volatile : .other
        case (14, 0x6F): return spells("content-length") ? .contentLength : .other
        case (14, 0x72): return spells("grpc-trace-bin") ? .volatile : .other
        case (16, 0x72): return spells("proxy-connection") ? .hop : .other
        case (17, 0x72): return spells("transfer-encoding") ? .hop : .other
        case (13, 0x35): return spells("l5d-client-id") ? .clientID : .other
        case (14, 0x35): return spells("l5d-orig-proto") ? .origProto : spells("l5d-require-id") ? .requireID : .other
        case (15, 0x35): return spells("l5d-proxy-error") ? .proxyError : .other
        case (16, 0x35): return spells("l5d-dst-override") ? .dstOverride : .other
        case (17, 0x35): return spells("l5d-dst-canonical") ? .dstCanonical : .other
        case (20, 0x35): return spells("l5d-proxy-connection") ? .proxyConnection : .other
        default: return .other
        }
    }
}
