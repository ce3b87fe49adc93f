// What routes do to a stream: counting, time-outs, retries, and the bound on requests in flight.

import MeshBalance
import MeshHTTP2
import NIOCore

/// A response head that is kept back until the next frame says whether the response failed after all.
final class HeldHead {
    let headers = HTTP2Headers(byteCapacity: 256, fieldCapacity: 8)
    let block: HeaderBlock

    init(_ head: HeaderBlock, of source: HTTP2Headers) { block = headers.append(copying: head, of: source) }
}

extension HTTP2ServerHandler {
    /// Counts the request in, or answers that there are too many.
    func admit(_ slot: StreamSlot) -> Bool {
        guard let inFlight else { return true }
        guard inFlight.admit() else {
            answer(slot, InFlightLimit.refusal)
            return false
        }
        streams[slot].isInFlight = true
        return true
    }

    /// The request has its answer, or is gone.
    func settle(_ slot: StreamSlot) {
        guard streams[slot].isInFlight else { return }
        streams[slot].isInFlight = false
        inFlight?.release()
    }

    /// Finds the route of the request whose head is kept in the copy, unless it has one.
    func findRoute(_ slot: StreamSlot, named name: String) {
        guard streams[slot].routed == nil, let routes = stack.routes(authority: name), let copy = streams[slot].copy
        else { return }
        let headers = copy.headers
        let found = headers.withValue(of: .method, in: copy.block) { method in
            headers.withValue(of: .path, in: copy.block) { routes.route(method: method, target: $0) }
        }
        guard let route = found ?? nil else { return }
        let routed = RoutedRequest(route, at: nowNanoseconds)
        streams[slot].routed = routed
        let generation = streams[slot].generation
        guard let loop else { return }
        routed.limit(on: loop) { [weak self] error in self?.routeExpired(slot, generation, error) }
    }

    private func routeExpired(_ slot: StreamSlot, _ generation: Int, _ error: ProxyError) {
        guard streams[slot].generation == generation, !streams[slot].hasResponseHead else { return }
        dropUpstream(slot)
        fail(slot, with: error, label: "timeout")
        wire.flushSoon()
    }

    private func dropUpstream(_ slot: StreamSlot) {
        streams[slot].heldHead = nil
        guard streams[slot].upstreamSlot >= 0 else { return }
        streams[slot].upstream?.cancel(streams[slot].upstreamSlot, .cancel)
        streams[slot].upstreamSlot = -1
    }

    /// Bytes of the request's body that are kept in case it is sent again.
    func replayBytesMax(_ slot: StreamSlot) -> Int {
        max(RequestCopy.replayBytesMax, streams[slot].routed?.keptBytesMax ?? 0)
    }

    /// Where the request may be sent again, if all of it is still here.
    private func replayTarget(_ slot: StreamSlot, avoiding failed: EndpointHandle? = nil) -> EndpointHandle? {
        guard let copy = streams[slot].copy, copy.isComplete, !streams[slot].hasResponseHead else { return nil }
        return stack.reroute(authority: copy.name, avoiding: failed)
    }

    // MARK: Retries

    /// Looks at the head of an answer before the client sees it.
    /// - Returns: whether it goes no further: it is dropped and the request sent again, or kept back for a while.
    func intercepts(_ slot: StreamSlot, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) -> Bool {
        guard let routed = streams[slot].routed, routed.route.retries != nil, !streams[slot].hasResponseHead else {
            return false
        }
        let status = headers.number(of: .status, in: block) ?? 0
        let grpcStatus = headers.number(of: .grpcStatus, in: block)
        if !isEnd, grpcStatus == nil, streams[slot].isGRPC, streams[slot].copy?.isEnd == true,
            !routed.route.classify(status: status, grpcStatus: nil).isFailure
        {
            // A gRPC status may come in the very next frame, and then it decides.
            streams[slot].heldHead = HeldHead(block, of: headers)
            return true
        }
        return retries(slot, routed, status: status, grpcStatus: grpcStatus)
    }

    /// Looks at the trailers of an answer whose head was kept back.
    func interceptsTrailers(_ slot: StreamSlot, _ block: HeaderBlock, of headers: HTTP2Headers) -> Bool {
        guard let held = streams[slot].heldHead else { return false }
        if let routed = streams[slot].routed,
            retries(
                slot, routed, status: held.headers.number(of: .status, in: held.block) ?? 0,
                grpcStatus: headers.number(of: .grpcStatus, in: block))
        {
            return true
        }
        releaseHead(slot)
        return false
    }

    /// Passes on a head that was kept back.
    func releaseHead(_ slot: StreamSlot) {
        guard let held = streams[slot].heldHead else { return }
        streams[slot].heldHead = nil
        passHead(slot, held.block, of: held.headers, isEnd: false)
    }

    private func retries(_ slot: StreamSlot, _ routed: RoutedRequest, status: Int, grpcStatus: Int?) -> Bool {
        var next: EndpointHandle?
        let now = streams[slot].upstream?.nowNanoseconds ?? nowNanoseconds
        let isRetried = routed.retries(status: status, grpcStatus: grpcStatus, at: now) {
            guard streams[slot].copy?.isEnd == true else { return false }
            next = replayTarget(slot)
            return next != nil
        }
        guard isRetried, let next else { return false }
        if let endpoint = streams[slot].endpoint {
            let latency = now >= streams[slot].startedAt ? now - streams[slot].startedAt : 0
            endpoint.metrics.responseHead(status: status, latencyNanoseconds: latency)
            endpoint.load.answered(latencyNanoseconds: latency, at: now)
            endpoint.responseEnded(status: status, grpcStatus: grpcStatus, isFailure: true)
        }
        tapRetried(slot, status: status, grpcStatus: grpcStatus)
        dropUpstream(slot)
        streams[slot].attempts = 0
        nowNanoseconds = now
        start(slot, on: next)
        return true
    }

    /// Sends a request again that failed without an answer, when the table allows it.
    func resend(_ slot: StreamSlot, after failure: HTTP2StreamFailure) -> Bool {
        let sent: RequestProgress
        let kind: ProxyError.Kind
        switch failure {
        case .connect(let error): (kind, sent) = (error.kind, .nothing)
        case .refused: (kind, sent) = (.upstreamReset, .unprocessed)
        case .reset: (kind, sent) = (.upstreamReset, .something)
        case .malformed: (kind, sent) = (.upstreamMalformed, .something)
        case .connectionLost: (kind, sent) = (.upstreamClosed, .something)
        }
        guard let endpoint = streams[slot].endpoint, let copy = streams[slot].copy, copy.isComplete else { return false }
        let attempts = Int(streams[slot].attempts)
        let received: ResponseProgress = streams[slot].hasResponseHead ? .some : .nothing
        switch FailureFate.of(kind, sent: sent, received: received) {
        case .respond, .breakOff: return false
        case .resend:
            guard attempts < Self.attemptsMax else { return false }
            if endpoint.isRetired, let next = replayTarget(slot, avoiding: endpoint) {
                return restart(slot, on: next, failure)
            }
            guard !endpoint.isRetired else { return false }
            send(slot, to: endpoint)
            return true
        case .resendElsewhere:
            guard attempts <= FailureFate.redispatchesMax, let next = replayTarget(slot, avoiding: endpoint) else { return false }
            return restart(slot, on: next, failure)
        }
    }

    private func restart(_ slot: StreamSlot, on endpoint: EndpointHandle, _ failure: HTTP2StreamFailure) -> Bool {
        streams[slot].heldHead = nil
        countAttempt(slot, failedAs: failure.metricLabel)
        streams[slot].routed?.attemptFailed(error: failure.metricLabel)
        nowNanoseconds = NIODeadline.now().uptimeNanoseconds
        start(slot, on: endpoint)
        return true
    }
}
