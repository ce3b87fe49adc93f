// What routes do to an exchange: counting, time-outs, retries, and another endpoint for a request that could not
// be sent. A retry puts the request's own bytes back in front of the input, as if they had just come: whatever
// the next endpoint speaks, they are sent to it like any other request.

import MeshRoutes
import MeshWire
import NIOCore

extension HTTP1ServerHandler {
    /// Finds the route of the parsed request, unless it has one.
    func findRoute(named name: String) {
        guard exchange.routed == nil, let routes = stack.routes(authority: name), let context else { return }
        let received = input
        let bytes = received.readableBytesUInt8Span
        let route = routes.route(
            method: bytes.extracting(parser.methodText), target: bytes.extracting(parser.target))
        let routed = RoutedRequest(route, at: NIODeadline.now().uptimeNanoseconds)
        exchange.routed = routed
        exchange.keepRequest(bodyBytesMax: routed.keptBytesMax, head: parser.headBytes, in: drain.replays)
        let generation = exchange.generation
        routed.limit(on: context.eventLoop) { [weak self] error in self?.routeExpired(generation, error) }
    }

    /// Why the parsed request, which says whom it must reach, cannot go to an endpoint.
    func mismatch(of endpoint: EndpointHandle) -> ProxyError? {
        let received = input
        let required = HTTP1HeadCopy.text(parser.requiredID, of: received)
        return endpoint.mismatch(required: required)
    }

    private func routeExpired(_ generation: UInt64, _ error: ProxyError) {
        guard exchange.generation == generation, exchange.status == 0, phase == .routing || phase == .streaming else {
            return
        }
        exchange.upstream?.close()
        carrier?.cancel()
        exchange.gaveUp(error: "timeout")
        respond(with: error)
    }

    /// Decides about an answer whose head came, before any of it is passed on.
    ///
    /// - Returns: what sends the request again, to be called once the connection is let go; `nil` when the answer
    ///   is to be passed on.
    func retry(after status: Int) -> (() -> Void)? {
        guard let routed = exchange.routed else { return nil }
        var next: EndpointHandle?
        let isRetried = routed.retries(status: status, grpcStatus: nil, at: NIODeadline.now().uptimeNanoseconds) {
            guard exchange.isRequestDone, exchange.kept != nil else { return false }
            next = stack.reroute(authority: authority.known, avoiding: nil)
            return next != nil
        }
        guard isRetried, let next else { return nil }
        return { [self] in
            exchange.attemptAnswered(status: status)
            rewind()
            dispatch(to: next)
        }
    }

    /// Puts the kept request back in front of the input.
    private func rewind() {
        guard var bytes = exchange.takeKept() else { return }
        bytes.writeBuffer(&input)
        input = bytes
        body = HTTP1BodyReader(parser.framing)
        exchange.isRequestDone = false
        exchange.replay = nil
        exchange.upstream = nil
        let bodyBytesMax = exchange.routed?.keptBytesMax ?? 0
        exchange.keepRequest(bodyBytesMax: bodyBytesMax, head: parser.headBytes, in: drain.replays)
    }

    /// Sends a request elsewhere whose endpoint could not be connected to: none of it has left the input.
    func redispatch() -> Bool {
        // Still waiting for a connection: later, the input's beginning is no longer this request.
        guard phase == .routing, exchange.replay == nil, exchange.redispatchCount < FailureFate.redispatchesMax,
            let failed = exchange.endpoint,
            let next = stack.reroute(authority: authority.known, avoiding: failed)
        else { return false }
        exchange.attemptFailed(error: "unclassified")
        dispatch(to: next)
        return true
    }
}
