import MeshBalance
import MeshHTTP2
import NIOCore

// How a stream stops before its time, from either side.
extension HTTP2ServerHandler {
    /// The client's stream is gone, whole or not: stop the upstream side and settle every account.
    func streamClosed(_ slot: StreamSlot, code: HTTP2ErrorCode) {
        // A head that broke the protocol resets its stream before anything was said about it.
        guard slot < streams.count else { return }
        giveBackRequest(slot, streams[slot].requestOwed)
        responseSent(slot, streams[slot].responseOwed)
        if streams[slot].upstreamSlot >= 0 {
            streams[slot].upstream?.cancel(streams[slot].upstreamSlot, .cancel)
        }
        count(slot, failedAs: code.description, blamesEndpoint: false)
        settle(slot)
        tapReset(slot, code)
        if let copy = streams[slot].reset() { drain.requestCopies.giveBack(copy) }
    }

    /// Records that the request which was counted did not complete; nothing if its outcome is known.
    private func count(_ slot: StreamSlot, failedAs label: String, blamesEndpoint: Bool = true) {
        streams[slot].routed?.failed(
            status: streams[slot].hasResponseHead ? streams[slot].status : nil, error: label)
        countAttempt(slot, failedAs: label, blamesEndpoint: blamesEndpoint)
    }

    /// The same for the endpoint alone: the request itself goes on elsewhere.
    func countAttempt(_ slot: StreamSlot, failedAs label: String, blamesEndpoint: Bool = true) {
        guard let endpoint = streams[slot].endpoint, !streams[slot].isCounted else { return }
        streams[slot].isCounted = true
        let status = streams[slot].hasResponseHead ? streams[slot].status : nil
        endpoint.requestFailed(status: status, error: label, blamesEndpoint: blamesEndpoint)
        if !streams[slot].hasFirstByte {
            streams[slot].hasFirstByte = true
            endpoint.load.abandoned()
        }
    }

    /// The upstream stream failed, and is not sent again.
    func failed(_ slot: StreamSlot, _ failure: HTTP2StreamFailure) {
        streams[slot].heldHead = nil
        if !streams[slot].hasResponseHead, let error = failure.proxyError {
            return fail(slot, with: error, label: failure.metricLabel)
        }
        count(slot, failedAs: failure.metricLabel)
        tapFailed(slot, failure)
        streams[slot].phase = .answered
        giveBackRequest(slot, streams[slot].requestOwed)
        if streams[slot].isGRPC, let error = failure.proxyError {
            breakOffGRPC(slot, error)
        } else {
            // A reset overtakes what is queued: what came before it leaves first, as far as it can.
            wire.flush()
            session.reset(slot, failure.resetCode)
        }
        wire.flushSoon()
    }

    /// A gRPC client gets a status even when the answer broke off: trailers behind what was sent.
    private func breakOffGRPC(_ slot: StreamSlot, _ error: ProxyError) {
        stack.failed(with: error)
        scratch.removeAll()
        var fields = [("grpc-status", "\(error.kind.response.grpcStatus)")]
        if stack.emitsInformationalHeaders { fields.append(("grpc-message", error.headerText)) }
        session.sendTrailers(scratch.append(fields), of: scratch, on: slot)
        streams[slot].isResponseEnded = true
        stopRequestIfWritten(slot)
    }

    /// The request was counted and failed: records it, and answers.
    func fail(_ slot: StreamSlot, with error: ProxyError, label: String) {
        count(slot, failedAs: label)
        tapAnswered(slot, with: error)
        answer(slot, error)
    }

    /// Answers with the response that the error maps to.
    func answer(_ slot: StreamSlot, _ error: ProxyError) {
        stack.failed(with: error)
        streams[slot].routed?.failed(status: nil, error: "unclassified")
        let response = error.kind.response
        let isInformational = stack.emitsInformationalHeaders
        var fields: [(String, String)]
        if streams[slot].isGRPC {
            fields = [
                (":status", "200"), ("content-type", "application/grpc"), ("content-length", "0"),
                ("grpc-status", "\(response.grpcStatus)"),
            ]
            if isInformational { fields.append(("grpc-message", error.headerText)) }
        } else {
            fields = [(":status", "\(response.status)"), ("content-length", "0")]
        }
        if isInformational {
            fields.append(("l5d-proxy-error", error.headerText))
            if response.closesConnection { fields.append(("l5d-proxy-connection", "close")) }
        }
        answer(slot, fields)
        if response.closesConnection { beginDrain() }
    }

    /// Answers with a bare status.
    func answer(_ slot: StreamSlot, status: Int) {
        answer(slot, [(":status", "\(status)"), ("content-length", "0")])
    }

    private func answer(_ slot: StreamSlot, _ fields: [(String, String)]) {
        settle(slot)
        streams[slot].phase = .answered
        streams[slot].hasResponseHead = true
        streams[slot].isResponseEnded = true
        giveBackRequest(slot, streams[slot].requestOwed)
        scratch.removeAll()
        session.submitResponse(scratch.append(fields), of: scratch, isEnd: true, on: slot)
        // RFC 9113 section 8.1: NO_ERROR behind a whole response asks the client to stop sending.
        stopRequestIfWritten(slot)
        wire.flushSoon()
    }

    /// Our side of the stream is written to its end.
    func responseWritten(_ slot: StreamSlot) {
        if streams[slot].phase == .answered, !streams[slot].isRequestEnded { session.reset(slot, .noError) }
    }

    /// Asks the client to stop sending, once the response is written; `responseWritten` does it if it is not
    /// yet.
    func stopRequestIfWritten(_ slot: StreamSlot) {
        guard session.isLocalEndWritten(slot), !streams[slot].isRequestEnded else { return }
        // A reset drops what is queued before it, the response's head too. Where the socket takes no more, the rest of
        // the request is read and dropped instead.
        let generation = streams[slot].generation
        wire.flush()
        guard !session.wantsWrite, streams[slot].generation == generation else { return }
        session.reset(slot, .noError)
        wire.flushSoon()
    }
}
