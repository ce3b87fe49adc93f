import MeshAPI
import NIOCore
import SwiftProtobuf

extension TapInterest {
    /// A window shorter than this would cost more wake-ups than it is worth.
    static let windowMillisecondsMin: UInt32 = 10

    /// Reads `ObserveRequest`, and our extension of it if it is there.
    init(message: ByteBuffer) throws(TapRequestError) {
        let bytes = Array(message.readableBytesView)
        let request: Io_Linkerd_Proxy_Tap_ObserveRequest
        let more: Linkerd2_Tap_Live_ObserveExtension
        do {
            request = try Io_Linkerd_Proxy_Tap_ObserveRequest(serializedBytes: bytes)
            more = try Linkerd2_Tap_Live_ObserveExtension(serializedBytes: bytes)
        } catch {
            throw TapRequestError(message: "malformed request")
        }
        guard request.limit > 0 else { throw TapRequestError(message: "limit must be positive") }
        guard request.hasMatch else { throw .missing }
        let window = more.windowMs == 0 ? nil : UInt64(max(more.windowMs, Self.windowMillisecondsMin)) * 1_000_000
        var wantsHeaders = false
        if case .http(let http)? = request.extract.extract, case .headers? = http.extract { wantsHeaders = true }
        self.init(
            match: try TapMatch(request.match), wantsHeaders: wantsHeaders, limit: request.limit,
            windowNanoseconds: window)
    }
}
