import NIOCore

/// The authority of the last request as a string, so that a busy connection builds it once.
struct AuthorityMemo {
    private var bytes: [UInt8] = []
    /// The name that was asked for last.
    private(set) var known = ""

    mutating func text(_ buffer: ByteBuffer, _ range: Range<Int>) -> String {
        let span = buffer.readableBytesUInt8Span
        if range.count == bytes.count {
            var isSame = true
            for offset in 0..<bytes.count where span[range.lowerBound + offset] != bytes[offset] {
                isSame = false
                break
            }
            if isSame { return known }
        }
        bytes = range.map { span[$0] }
        known = String(decoding: bytes, as: UTF8.self).lowercased()
        return known
    }
}

extension ProxyError {
    /// The error itself, or `unexpected` for one that is not ours.
    init(wrapping error: any Error) {
        self = error as? ProxyError ?? ProxyError(.unexpected, "unexpected error")
    }
}
