import MeshWire
import NIOCore

// What taps see of an HTTP/1 exchange.
extension HTTP1ServerHandler {
    /// Shows the parsed request, whose bytes are still at the front of the input.
    func tapRequest(_ endpoint: EndpointHandle, _ taps: LoopTaps) -> TapExchange? {
        let source: TapSource
        if let tapSource {
            source = tapSource
        } else {
            source = TapSource(
                direction: stack.direction, address: context?.remoteAddress, labels: stack.tapLabels)
            tapSource = source
        }
        let received = input
        let target = targetParts()
        let flow = TapFlow(
            source: source, destination: endpoint.tapDestination, route: exchange.routed?.route.tapRoute)
        let (methodText, authority, head) = (parser.methodText, parser.authority, parser.headBytes)
        let leading = parser.leadingBytes
        return taps.begin(on: flow) { request in
            request.borrow(
                received, method: methodText, scheme: target.scheme, authority: authority, target: target.path)
        } fields: {
            TapFields(head: received, from: leading, to: head)
        }
    }

    /// Header fields of a response's head, when a tap wants to see them.
    /// - Parameter range: where the head lies, from the first readable byte.
    func tapFields(_ source: ByteBuffer, _ range: Range<Int>) -> TapFields? {
        guard let tap = exchange.tap, tap.wantsHeaders else { return nil }
        return TapFields(head: source, from: range.lowerBound, to: range.upperBound)
    }

    /// The scheme of an absolute target, and the path of any. CONNECT has neither.
    private func targetParts() -> (scheme: Range<Int>, path: Range<Int>) {
        let target = parser.target
        let none = target.upperBound..<target.upperBound
        if exchange.method == .connect { return (none, none) }
        let authority = parser.authority
        // The authority stands in the target only in its absolute form; otherwise it is the Host field's.
        guard target.contains(authority.lowerBound), authority.lowerBound >= target.lowerBound + 3 else {
            return (none, target)
        }
        return (target.lowerBound..<authority.lowerBound - 3, authority.upperBound..<target.upperBound)
    }
}

extension TapFields {
    /// The field lines of a head that was parsed, so every line is `name: value` and ends in CR LF.
    init(head: ByteBuffer, from start: Int, to end: Int) {
        self.init()
        guard let slice = head.getSlice(at: head.readerIndex + start, length: end - start) else { return }
        let lines = slice.readableBytesView.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[line.index(after: colon)...].drop { Self.isBlank($0) }
            let trailing = value.reversed().prefix { Self.isBlank($0) }.count
            append(name: line[..<colon], value: value.dropLast(trailing))
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == UInt8(ascii: "\r")
    }
}
