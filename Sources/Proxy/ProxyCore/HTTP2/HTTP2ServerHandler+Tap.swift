import MeshHTTP2
import NIOCore

// What taps see of a stream. Called only for streams that a tap took, or when somebody taps at all.
extension HTTP2ServerHandler {
    /// The request is about to be sent to its endpoint, or to another one; its head is in the copy.
    func tapRequest(_ slot: StreamSlot, _ endpoint: EndpointHandle) {
        // Each attempt is a request of its own to taps.
        streams[slot].tap?.ended(.plain)
        streams[slot].tap = nil
        guard let copy = streams[slot].copy else { return }
        let source: TapSource
        if let tapSource {
            source = tapSource
        } else {
            source = TapSource(direction: stack.direction, address: remoteAddress, labels: stack.tapLabels)
            tapSource = source
        }
        let (headers, block) = (copy.headers, copy.block)
        let flow = TapFlow(
            source: source, destination: endpoint.tapDestination, route: streams[slot].routed?.route.tapRoute)
        streams[slot].tap = taps.begin(on: flow) { request in
            request.setMethod { headers.write(.method, of: block, to: &$0) }
            request.setScheme { headers.write(.scheme, of: block, to: &$0) }
            request.setAuthority {
                headers.write(headers.contains(.authority, in: block) ? .authority : .host, of: block, to: &$0)
            }
            request.setPath { headers.write(.path, of: block, to: &$0) }
        } fields: {
            TapFields(block, of: headers)
        }
    }

    /// The proxy answers by itself what the endpoint could not.
    func tapAnswered(_ slot: StreamSlot, with error: ProxyError) {
        guard let tap = streams[slot].tap else { return }
        streams[slot].tap = nil
        let response = error.kind.response
        if streams[slot].isGRPC {
            tap.answered(status: 200, fields: nil)
            tap.ended(.grpc(status: response.grpcStatus))
        } else {
            tap.answered(status: response.status, fields: nil)
            tap.ended(.plain)
        }
    }

    /// The endpoint's side broke, and so does the client's.
    func tapFailed(_ slot: StreamSlot, _ failure: HTTP2StreamFailure) {
        tapReset(slot, failure.resetCode)
    }

    /// The endpoint's answer is not passed on: the request is sent again.
    func tapRetried(_ slot: StreamSlot, status: Int, grpcStatus: Int?) {
        guard let tap = streams[slot].tap else { return }
        streams[slot].tap = nil
        tap.answered(status: status, fields: nil)
        tap.ended(grpcStatus.map { .grpc(status: $0) } ?? .plain)
    }

    func tapReset(_ slot: StreamSlot, _ code: HTTP2ErrorCode) {
        guard let tap = streams[slot].tap else { return }
        streams[slot].tap = nil
        tap.ended(.reset(code: code.rawValue))
    }
}

extension TapExchange {
    /// The head of the response from the endpoint.
    func answered(_ block: HeaderBlock, of headers: HTTP2Headers, status: Int) {
        answered(status: status, fields: wantsHeaders ? TapFields(block, of: headers) : nil)
    }

    /// The trailers of the response.
    func ended(_ block: HeaderBlock, of headers: HTTP2Headers) {
        let end = headers.number(of: .grpcStatus, in: block).map { End.grpc(status: $0) } ?? .plain
        ended(end, trailers: wantsHeaders ? TapFields(block, of: headers) : nil)
    }
}

extension TapFields {
    /// The list as it came, pseudo headers first.
    init(_ block: HeaderBlock, of headers: HTTP2Headers) {
        self.init()
        for field in headers.rawFields(of: block) { append(name: field.name, value: field.value) }
    }
}
