import MeshHTTP2
import NIOCore

// What an accepted HTTP/2 connection does differently with a request that a peer proxy carried.
extension HTTP2ServerHandler {
    /// Notes what a carried request was. A version nobody knows leaves it as HTTP/2.
    func takeOrigin(_ slot: StreamSlot, _ copy: RequestCopy) {
        guard let origin = copy.headers.withValue(of: .origProto, in: copy.block, { OrigProto($0) }) else { return }
        copy.headers.remove(.origProto, from: copy.block)
        streams[slot].origin = origin
        // Whatever its content type: its client would not understand an answer in trailers.
        if origin != nil { streams[slot].isGRPC = false }
    }

    /// Sends what the copy holds to the application as HTTP/1.
    func restore(_ slot: StreamSlot, _ copy: RequestCopy, as origin: OrigProto, to endpoint: EndpointHandle) {
        let restorer = streams[slot].restorer ?? HTTP1Restorer()
        streams[slot].restorer = restorer
        streams[slot].upstream = restorer
        streams[slot].upstreamSlot = slot
        streams[slot].upstreamID = 0
        let generation = streams[slot].generation
        guard restorer.begin(self, slot, copy, as: origin, to: endpoint) else {
            streams[slot].upstreamSlot = -1
            return fail(
                slot, with: ProxyError(.malformedRequest, "the request cannot be HTTP/1"), label: "unclassified")
        }
        // An endpoint that cannot be connected to may have ended the stream: the copy is another's then.
        guard streams[slot].generation == generation else { return }
        // What came while discovery had no answer.
        if copy.body.readableBytes > 0 { restorer.sendBody(copy.body, on: slot) }
        if copy.isEnd, restorer.isRequestOpen { restorer.finish(slot) }
        copy.drop()
    }
}
