import MeshHTTP2
import NIOCore

// What the access log says about a stream.
extension HTTP2ServerHandler {
    /// Begins the entry of a request.
    func beginAccessEntry(_ slot: StreamSlot, _ block: HeaderBlock, of headers: HTTP2Headers) {
        guard let source = accessLog else { return }
        var request = AccessLogRequest()
        request.client = remoteAddress?.unmapped.endpointText ?? ""
        request.clientID = source.clientID
        request.method = headers.text(of: .method, in: block) ?? ""
        request.version = "HTTP/2.0"
        for field in headers.fields(of: block) { request.take(name: field.name, value: field.value) }
        let scheme = headers.text(of: .scheme, in: block) ?? "http"
        request.uri = "\(scheme)://\(request.host)\(headers.text(of: .path, in: block) ?? "")"
        streams[slot].access = source.log.begin(request)
    }

    /// The head of the answer is on its way to the client.
    func logAnswer(_ slot: StreamSlot, _ block: HeaderBlock, of headers: HTTP2Headers) {
        guard let access = streams[slot].access else { return }
        access.answered(
            status: streams[slot].status, responseBytes: headers.text(of: .contentLength, in: block) ?? "")
    }
}
