import MeshBalance
package import MeshHTTP2
package import NIOCore

extension HTTP2ServerHandler: HTTP2ResponseSink {
    package func responseInformational(stream slot: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        session.submitInformational(block, of: headers, on: slot)
        wire.flushSoon()
    }

    package func responseHead(stream slot: Int, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) {
        streams[slot].hasResponseHead = true
        streams[slot].status = headers.number(of: .status, in: block) ?? 0
        streams[slot].copy?.drop()
        if isEnd { streams[slot].grpcStatus = headers.number(of: .grpcStatus, in: block) }
        session.submitResponse(block, of: headers, isEnd: isEnd, on: slot)
        if isEnd { responseComplete(slot) }
        wire.flushSoon()
    }

    package func responseBody(stream slot: Int, _ bytes: ByteBuffer) {
        firstByte(slot)
        streams[slot].responseOwed += bytes.readableBytes
        session.sendBody(bytes, on: slot)
        wire.flushSoon()
    }

    package func responseTrailers(stream slot: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        streams[slot].grpcStatus = headers.number(of: .grpcStatus, in: block)
        session.sendTrailers(block, of: headers, on: slot)
        responseComplete(slot)
        wire.flushSoon()
    }

    package func responseEnd(stream slot: Int) {
        session.finish(slot)
        responseComplete(slot)
        wire.flushSoon()
    }

    package func requestSent(stream slot: Int, byteCount: Int) { giveBackRequest(slot, byteCount) }

    package func requestEnded(stream slot: Int, failure: HTTP2StreamFailure?) {
        streams[slot].upstreamSlot = -1
        guard let failure else {
            // A whole response before the whole request: the rest of the request has nowhere to go.
            streams[slot].phase = .answered
            giveBackRequest(slot, streams[slot].requestOwed)
            if !session.isOpen(slot) { return }
            return streams[slot].isRequestEnded ? () : stopRequestIfWritten(slot)
        }
        if case .refused = failure, resend(slot) { return }
        failed(slot, failure)
    }

    // MARK: Telemetry

    private func firstByte(_ slot: StreamSlot) {
        guard !streams[slot].hasFirstByte, let endpoint = streams[slot].endpoint else { return }
        streams[slot].hasFirstByte = true
        let now = streams[slot].upstream?.nowNanoseconds ?? nowNanoseconds
        let latency = now >= streams[slot].startedAt ? now - streams[slot].startedAt : 0
        endpoint.metrics.responseHead(status: streams[slot].status, latencyNanoseconds: latency)
        endpoint.load.answered(latencyNanoseconds: latency, at: now)
    }

    private func responseComplete(_ slot: StreamSlot) {
        firstByte(slot)
        streams[slot].isResponseEnded = true
        guard let endpoint = streams[slot].endpoint, !streams[slot].isCounted else { return }
        streams[slot].isCounted = true
        let classification = Classification.of(
            status: streams[slot].status, grpcStatus: streams[slot].grpcStatus)
        endpoint.metrics.responseEnded(
            status: streams[slot].status, grpcStatus: streams[slot].grpcStatus,
            isFailure: classification == .failure)
    }

    /// Credit for response bytes, to the endpoint's connection.
    func responseSent(_ slot: StreamSlot, _ byteCount: Int) {
        let credit = min(byteCount, streams[slot].responseOwed)
        guard credit > 0 else { return }
        streams[slot].responseOwed -= credit
        streams[slot].upstream?.consume(streamID: streams[slot].upstreamID, byteCount: credit)
    }
}
