import MeshBalance
package import MeshHTTP2
package import NIOCore

extension HTTP2ServerHandler: HTTP2ResponseSink {
    package func responseInformational(stream slot: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        session.submitInformational(block, of: headers, on: slot)
        wire.flushSoon()
    }

    package func responseHead(stream slot: Int, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) {
        if intercepts(slot, block, of: headers, isEnd: isEnd) { return }
        passHead(slot, block, of: headers, isEnd: isEnd)
    }

    /// Sends the head of the answer to the client.
    func passHead(_ slot: StreamSlot, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) {
        settle(slot)
        streams[slot].routed?.headPassed()
        streams[slot].hasResponseHead = true
        streams[slot].status = headers.number(of: .status, in: block) ?? 0
        logAnswer(slot, block, of: headers)
        streams[slot].copy?.drop()
        if let tap = streams[slot].tap { tap.answered(block, of: headers, status: streams[slot].status) }
        if isEnd { streams[slot].grpcStatus = headers.number(of: .grpcStatus, in: block) }
        if stack.direction == .outbound, headers.contains(.proxyConnection, in: block) {
            // The peer's proxy says that what failed there is not worth another try (`spec/proxy.md` 3.10).
            let isClose = headers.value(of: .proxyConnection, in: block, equals: "close")
            headers.remove(.proxyConnection, from: block)
            if isClose { beginDrain() }
        }
        if dropsProxyErrors { headers.remove(.proxyError, from: block) }
        session.submitResponse(block, of: headers, isEnd: isEnd, on: slot)
        if isEnd { responseComplete(slot) }
        wire.flushSoon()
    }

    package func responseBody(stream slot: Int, _ bytes: ByteBuffer) {
        releaseHead(slot)
        firstByte(slot)
        streams[slot].tap?.passed(byteCount: bytes.readableBytes)
        streams[slot].responseOwed += bytes.readableBytes
        session.sendBody(bytes, on: slot)
        wire.flushSoon()
    }

    package func responseTrailers(stream slot: Int, _ block: HeaderBlock, of headers: HTTP2Headers) {
        if interceptsTrailers(slot, block, of: headers) { return }
        streams[slot].grpcStatus = headers.number(of: .grpcStatus, in: block)
        if let tap = streams[slot].tap { tap.ended(block, of: headers) }
        session.sendTrailers(block, of: headers, on: slot)
        responseComplete(slot)
        wire.flushSoon()
    }

    package func responseEnd(stream slot: Int) {
        releaseHead(slot)
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
        if resend(slot, after: failure) { return }
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
        streams[slot].routed?.firstByte(status: streams[slot].status, at: now)
    }

    private func responseComplete(_ slot: StreamSlot) {
        firstByte(slot)
        streams[slot].isResponseEnded = true
        if let tap = streams[slot].tap {
            tap.ended(streams[slot].grpcStatus.map { .grpc(status: $0) } ?? .plain)
            streams[slot].tap = nil
        }
        guard let endpoint = streams[slot].endpoint, !streams[slot].isCounted else { return }
        streams[slot].isCounted = true
        let (status, grpcStatus) = (streams[slot].status, streams[slot].grpcStatus)
        if let routed = streams[slot].routed {
            let outcome = routed.route.classify(status: status, grpcStatus: grpcStatus)
            endpoint.responseEnded(
                status: status, grpcStatus: outcome.grpcStatus, isFailure: outcome.isFailure)
            let now = streams[slot].upstream?.nowNanoseconds ?? nowNanoseconds
            return routed.completed(status: status, grpcStatus: grpcStatus, at: now)
        }
        let classification = Classification.of(status: status, grpcStatus: grpcStatus)
        endpoint.responseEnded(
            status: status, grpcStatus: grpcStatus, isFailure: classification == .failure)
    }

    /// Credit for response bytes, to the endpoint's connection.
    func responseSent(_ slot: StreamSlot, _ byteCount: Int) {
        let credit = min(byteCount, streams[slot].responseOwed)
        guard credit > 0 else { return }
        streams[slot].responseOwed -= credit
        streams[slot].upstream?.consume(streamID: streams[slot].upstreamID, byteCount: credit)
    }
}
