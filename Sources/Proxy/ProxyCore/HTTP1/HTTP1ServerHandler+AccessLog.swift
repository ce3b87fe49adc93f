import MeshWire
import NIOCore

// What the access log says about an HTTP/1 exchange.
extension HTTP1ServerHandler {
    /// Begins the entry of the parsed request, whose bytes are still at the front of the input.
    func beginAccessEntry() {
        guard let source = accessLog else { return }
        let received = input
        func text(_ range: Range<Int>) -> String {
            received.getString(at: received.readerIndex + range.lowerBound, length: range.count) ?? ""
        }
        var request = AccessLogRequest()
        request.client = context?.remoteAddress?.unmapped.endpointText ?? ""
        request.clientID = source.clientID
        request.method = text(parser.methodText)
        request.uri = text(parser.target)
        request.version = parser.isHTTP10 ? "HTTP/1.0" : "HTTP/1.1"
        for line in text(parser.leadingBytes..<parser.headBytes).split(separator: "\r\n").dropFirst() {
            if let field = Self.field(line) { request.take(name: field.name, value: field.value) }
        }
        exchange.access = source.log.begin(request)
    }

    /// The head of the answer is on its way to the client.
    func logAnswer(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser) {
        guard let access = exchange.access else { return }
        let text = source.getString(at: source.readerIndex, length: head.headBytes) ?? ""
        let length = text.split(separator: "\r\n").dropFirst().lazy.compactMap(Self.field).first {
            $0.name == "content-length"
        }
        access.answered(status: head.status, responseBytes: length?.value ?? "")
    }

    private static func field(_ line: Substring) -> (name: String, value: String)? {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        return (line[..<colon].lowercased(), ConfigGrammar.trim(line[line.index(after: colon)...]))
    }
}
