// One call of grpc.health.v1.Health/Check over plaintext HTTP/2, without a library: what is sent is fixed but for
// two names, and of the answer only the message matters. Headers are written as HPACK literals that enter no table
// (RFC 7541 section 6.2.2), and those of the answer are not read at all: a call that fails carries no message.
//
// Source: RFC 9113 for frames; gRPC over HTTP/2 for the message's prefix; the health checking protocol for both
// messages (service = 1; status = 1, where SERVING is 1).

/// The bytes of one check, and what its answer means.
package struct GRPCHealthCheck: Sendable {
    /// How a check came out.
    package enum Outcome: Sendable, Equatable {
        /// More bytes are needed.
        case pending
        case serving
        /// Why it is not healthy, in words.
        case failed(String)
    }

    /// Bytes of an answer that are looked at; a health check's takes a hundred.
    static let answerBytesMax = 64 * 1_024

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private static let statusNames = [0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"]

    private enum FrameType {
        static let data: UInt8 = 0, headers: UInt8 = 1, reset: UInt8 = 3, settings: UInt8 = 4, goAway: UInt8 = 7
    }
    private static let endStream: UInt8 = 1
    private static let padded: UInt8 = 8

    private var pending: [UInt8] = []
    private var message: [UInt8] = []
    private var receivedCount = 0
    /// What is to be sent next: acknowledgements of settings.
    package private(set) var outgoing: [UInt8] = []

    package init() {}

    /// Everything that is sent at first.
    ///
    /// - Parameters:
    ///   - service: The service that is asked about; empty for the server as a whole.
    ///   - authority: Host and port, as the call names them.
    package static func request(service: String, authority: String) -> [UInt8] {
        let name = Array(service.utf8.prefix(120))  // One byte of length each, here and in the frame.
        let check = name.isEmpty ? [] : [0x0A, UInt8(name.count)] + name
        let headers: [(String, String)] = [
            (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority), ("content-type", "application/grpc"), ("te", "trailers"),
            ("user-agent", "kube-probe/1.31"),
        ]
        let block = headers.flatMap { literal($0.0, $0.1) }
        return preface + frame(FrameType.settings, flags: 0, stream: 0, [])
            + frame(FrameType.headers, flags: 4, stream: 1, block)
            + frame(FrameType.data, flags: endStream, stream: 1, [0, 0, 0, 0, UInt8(check.count)] + check)
    }

    private static func literal(_ name: String, _ value: String) -> [UInt8] {
        func text(_ text: String) -> [UInt8] {
            let bytes = Array(text.utf8.prefix(126))  // A length of one byte; an authority is shorter.
            return [UInt8(bytes.count)] + bytes
        }
        return [0] + text(name) + text(value)
    }

    private static func frame(_ type: UInt8, flags: UInt8, stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), type, flags, 0, 0, 0, stream] + payload
    }

    /// Takes what has arrived.
    package mutating func received(_ bytes: some Sequence<UInt8>) -> Outcome {
        pending += bytes
        outgoing = []
        while pending.count >= 9 {
            let length = Int(pending[0]) << 16 | Int(pending[1]) << 8 | Int(pending[2])
            guard receivedCount + length <= Self.answerBytesMax else { return .failed("the answer is too long") }
            guard pending.count >= 9 + length else { return .pending }
            let (type, flags) = (pending[3], pending[4])
            let payload = Array(pending[9..<9 + length])
            pending.removeFirst(9 + length)
            receivedCount += length
            if let outcome = take(type, flags, payload) { return outcome }
        }
        return .pending
    }

    private mutating func take(_ type: UInt8, _ flags: UInt8, _ payload: [UInt8]) -> Outcome? {
        switch type {
        case FrameType.settings:
            if flags & 1 == 0 { outgoing += Self.frame(FrameType.settings, flags: 1, stream: 0, []) }
            return nil
        case FrameType.data:
            let padding = flags & Self.padded != 0 ? Int(payload.first ?? 0) + 1 : 0
            guard payload.count >= padding else { return .failed("the answer is malformed") }
            message += padding > 0 ? payload.dropFirst().dropLast(padding - 1) : payload[...]
            return verdict(isLast: flags & Self.endStream != 0)
        case FrameType.headers:
            return flags & Self.endStream != 0 ? verdict(isLast: true) : nil
        case FrameType.reset: return .failed("the call was reset")
        case FrameType.goAway: return .failed("the server is going away")
        default: return nil
        }
    }

    /// `nil` while the message is not whole.
    private func verdict(isLast: Bool) -> Outcome? {
        guard message.count >= 5 else { return isLast ? .failed("the server does not serve the health protocol") : nil }
        let length = Int(message[1]) << 24 | Int(message[2]) << 16 | Int(message[3]) << 8 | Int(message[4])
        guard message.count >= 5 + length else { return isLast ? .failed("the answer ended early") : nil }
        guard message[0] == 0 else { return .failed("the answer is compressed") }
        // An enumeration's default, UNKNOWN, is not written at all.
        let body = message[5..<5 + length]
        let status = body.starts(with: [0x08]) && body.count >= 2 ? Int(body[body.startIndex + 1]) : 0
        if status == 1 { return .serving }
        return .failed("service unhealthy (responded with \"\(Self.statusNames[status] ?? "\(status)")\")")
    }
}
