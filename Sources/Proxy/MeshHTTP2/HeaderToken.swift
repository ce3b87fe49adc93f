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
            guard text.utf8CodeUnitCount == count else { return false }
            for index in 0..<count where unsafe name[index] != text.utf8Start[index] { return false }
            return true
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
        case (12, 0x2D), (11, 0x2D): return unsafe classifyTracing(name, count)
        case (14, 0x6F): return spells("content-length") ? .contentLength : .other
        case (14, 0x72): return spells("grpc-trace-bin") ? .volatile : .other
        case (16, 0x72): return spells("proxy-connection") ? .hop : .other
        case (17, 0x72): return spells("transfer-encoding") ? .hop : .other
        case (13...20, 0x35): return unsafe classifyMesh(name, count)
        default: return .other
        }
    }

    private static func classifyMesh(_ name: UnsafePointer<UInt8>, _ count: Int) -> HeaderToken {
        // SAFETY: as in `classify`.
        let text = unsafe UnsafeBufferPointer(start: name, count: count)
        if unsafe text.elementsEqual("l5d-orig-proto".utf8) { return .origProto }
        if unsafe text.elementsEqual("l5d-client-id".utf8) { return .clientID }
        if unsafe text.elementsEqual("l5d-require-id".utf8) { return .requireID }
        if unsafe text.elementsEqual("l5d-proxy-error".utf8) { return .proxyError }
        if unsafe text.elementsEqual("l5d-dst-override".utf8) { return .dstOverride }
        if unsafe text.elementsEqual("l5d-dst-canonical".utf8) { return .dstCanonical }
        if unsafe text.elementsEqual("l5d-proxy-connection".utf8) { return .proxyConnection }
        return .other
    }

    private static func classifyTracing(_ name: UnsafePointer<UInt8>, _ count: Int) -> HeaderToken {
        // SAFETY: as in `classify`.
        let text = unsafe UnsafeBufferPointer(start: name, count: count)
        if unsafe text.elementsEqual("x-request-id".utf8) || text.elementsEqual("x-b3-spanid".utf8)
            || text.elementsEqual("x-b3-traceid".utf8)
        {
            return .volatile
        }
        return .other
    }
}
