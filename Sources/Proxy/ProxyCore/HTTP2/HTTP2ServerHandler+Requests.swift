import MeshBalance
import MeshHTTP2
import NIOCore

extension HTTP2ServerHandler {
    /// Times a request that the endpoint refused unprocessed is sent, the first time included.
    static let attemptsMax: UInt8 = 3

    func requestHead(_ slot: StreamSlot, _ block: HeaderBlock, isEnd: Bool) {
        while streams.count <= slot { streams.append(HTTP2ServerStream()) }
        let headers = session.headers
        let isGRPC = headers.isGRPC(block)
        streams[slot].isGRPC = isGRPC
        streams[slot].isRequestEnded = isEnd
        beginAccessEntry(slot, block, of: headers)
        guard !block.isTooLarge else {
            return answer(slot, status: 431)
        }
        guard !headers.value(of: .method, in: block, equals: "CONNECT") else {
            return answer(slot, ProxyError(.malformedRequest, "CONNECT is not supported over HTTP/2"))
        }
        let copy = drain.requestCopies.take()
        streams[slot].copy = copy
        copy.begin(block, of: headers, isEnd: isEnd)
        // Only a proxy may say who the client is.
        if stack.direction == .inbound {
            copy.headers.remove(.clientID, from: copy.block)
            takeOrigin(slot, copy)
        } else {
            copy.takeRequiredIdentity()
        }
        guard admit(slot) else { return }
        let name = authority(of: block)
        copy.name = name
        if stack.requestName == .override { copy.headers.remove(.dstOverride, from: copy.block) }
        findRoute(slot, named: name)
        switch stack.route(authority: name, isGRPC: streams[slot].isGRPC) {
        case .forward(let endpoint): start(slot, on: endpoint)
        case .reject(let error): answer(slot, error)
        case .pending(let future): wait(slot, for: future)
        }
    }

    /// The name that the request goes to, as one string for as long as the bytes stay the same.
    private func authority(of block: HeaderBlock) -> String {
        let headers = session.headers
        let token: HeaderToken
        switch stack.requestName {
        case .canonical where headers.contains(.dstCanonical, in: block): token = .dstCanonical
        case .override: token = .dstOverride
        case .canonical, .authority: token = headers.contains(.authority, in: block) ? .authority : .host
        }
        if headers.value(of: token, in: block, equals: memoizedAuthority) { return memoizedAuthority }
        let text = headers.text(of: token, in: block) ?? ""
        let lowered = text.lowercased()
        // Only a spelling that needs no lowering can be compared by its bytes.
        if lowered == text { memoizedAuthority = text }
        return lowered
    }

    private func wait(_ slot: StreamSlot, for future: EventLoopFuture<EndpointHandle>) {
        streams[slot].phase = .routing
        let generation = streams[slot].generation
        future.assumeIsolated().whenComplete { [weak self] result in
            guard let self, self.streams[slot].generation == generation, self.streams[slot].phase == .routing
            else {
                return
            }
            self.nowNanoseconds = NIODeadline.now().uptimeNanoseconds
            switch result {
            case .success(let endpoint):
                if let copy = self.streams[slot].copy { self.findRoute(slot, named: copy.name) }
                self.start(slot, on: endpoint)
            case .failure(let error):
                self.answer(slot, error as? ProxyError ?? ProxyError(.unexpected, "unexpected error"))
            }
            self.wire.flushSoon()
        }
    }

    /// Counts the request and sends it.
    func start(_ slot: StreamSlot, on endpoint: EndpointHandle) {
        if let required = streams[slot].copy?.requiredIdentity, let error = endpoint.mismatch(required: required) {
            return answer(slot, error)
        }
        streams[slot].endpoint = endpoint
        streams[slot].startedAt = nowNanoseconds
        streams[slot].hasFirstByte = false
        streams[slot].isCounted = false
        streams[slot].routed?.attempted()
        if taps.isTapped || streams[slot].tap != nil { tapRequest(slot, endpoint) }
        if let name = endpoint.canonicalName { streams[slot].copy?.setCanonicalName(name) }
        if let id = endpoint.clientID { streams[slot].copy?.setClientID(id) }
        endpoint.requestStarted()
        streams[slot].access?.dispatched()
        send(slot, to: endpoint)
    }

    /// Sends what the copy holds to a connection of the endpoint, for the first time or again.
    func send(_ slot: StreamSlot, to endpoint: EndpointHandle) {
        guard let copy = streams[slot].copy else { return }
        streams[slot].phase = .forwarding
        streams[slot].attempts += 1
        if let origin = streams[slot].origin { return restore(slot, copy, as: origin, to: endpoint) }
        let isWhole = copy.isEnd && copy.body.readableBytes == 0
        guard let upstream = HTTP2Upstream.of(endpoint, limits: limits, memory: drain.http2Memory).connection(to: endpoint),
            let upstreamSlot = upstream.open(
                copy.block, of: copy.headers, isEnd: isWhole, sink: self, stream: slot)
        else {
            return fail(
                slot, with: ProxyError(.loadShed, "too many requests wait for the endpoint"),
                label: "unclassified")
        }
        streams[slot].upstream = upstream
        streams[slot].upstreamSlot = upstreamSlot
        streams[slot].upstreamID = upstream.streamID(of: upstreamSlot)
        guard !isWhole else { return }
        if copy.body.readableBytes > 0 { upstream.sendBody(copy.body, on: upstreamSlot) }
        if copy.isEnd { upstream.finish(upstreamSlot) }
        copy.keepHeld(max: replayBytesMax(slot))
    }

    func requestBody(_ slot: StreamSlot, _ chunk: BodyChunk) {
        streams[slot].requestOwed += chunk.byteCount
        switch streams[slot].phase {
        case .forwarding where streams[slot].upstreamSlot >= 0:
            let bytes = session.bytes(of: chunk)
            if !streams[slot].hasResponseHead {
                streams[slot].copy?.keep(bytes, max: replayBytesMax(slot))
            }
            streams[slot].upstream?.sendBody(bytes, on: streams[slot].upstreamSlot)
        case .routing:
            // Bounded by the stream's window, since nothing is given back meanwhile.
            streams[slot].copy?.hold(session.bytes(of: chunk))
        case .idle, .forwarding, .answered:
            giveBackRequest(slot, chunk.byteCount)
        }
    }

    func requestEnd(_ slot: StreamSlot) {
        streams[slot].isRequestEnded = true
        streams[slot].copy?.isEnd = true
        if streams[slot].upstreamSlot >= 0 { streams[slot].upstream?.finish(streams[slot].upstreamSlot) }
    }

    func requestTrailers(_ slot: StreamSlot, _ block: HeaderBlock) {
        streams[slot].isRequestEnded = true
        if streams[slot].upstreamSlot >= 0 {
            // Rare, so not kept: such a request is not sent twice.
            streams[slot].copy?.drop()
            streams[slot].upstream?.sendTrailers(block, of: session.headers, on: streams[slot].upstreamSlot)
        } else {
            streams[slot].copy?.isEnd = true
        }
    }

    /// Credit for request bytes, to the client.
    func giveBackRequest(_ slot: StreamSlot, _ byteCount: Int) {
        let credit = min(byteCount, streams[slot].requestOwed)
        guard credit > 0 else { return }
        streams[slot].requestOwed -= credit
        session.consume(streamID: session.streamID(of: slot), byteCount: credit)
        wire.flushSoon()
    }
}
