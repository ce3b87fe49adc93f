// What becomes of a request whose endpoint failed: one table over the kind of failure, what of the request had
// left, and what of the answer had come. Sending a request twice is safe only when the endpoint cannot have
// acted on the first, or when acting twice is the same as once. Source: RFC 9110 section 9.2.2, RFC 9113 section
// 8.7; `spec/proxy.md` 5.2.

/// What is known about the request at the endpoint.
package enum RequestProgress: Sendable, CaseIterable {
    /// No byte left: there was no connection.
    case nothing
    /// Bytes left, and the endpoint says that it acted on none (REFUSED_STREAM, or above GOAWAY's last stream).
    case unprocessed
    /// Bytes left over a connection that had idled and was closed without a byte of answer, and the method is
    /// idempotent: the close most likely crossed the request.
    case crossedClose
    /// Bytes left, and the endpoint may have acted on them.
    case something
}

/// What the client has of the answer.
package enum ResponseProgress: Sendable, CaseIterable {
    case nothing, some
}

/// What to do.
package enum FailureFate: Sendable, Equatable {
    /// Send it again, to another endpoint; if none is ready, or the request is not all here, respond.
    case resendElsewhere
    /// Send it again, to the same endpoint if it is still there; if the request is not all here, respond.
    case resend
    /// Answer with what `ErrorResponses` derives from the error.
    case respond
    /// Break off: the client has a part, and only a reset (or for gRPC, trailers) says that the rest is missing.
    case breakOff

    /// Times one request goes to another endpoint because the one before could not be connected to. Each such
    /// endpoint is left alone for a while, so that the next try finds one fewer of them.
    static let redispatchesMax = 16

    /// The table.
    package static func of(
        _ kind: ProxyError.Kind, sent: RequestProgress, received: ResponseProgress
    ) -> FailureFate {
        if received == .some { return .breakOff }
        switch (kind, sent) {
        case (.connectFailed, .nothing), (.connectTimedOut, .nothing): return .resendElsewhere
        case (.upstreamClosed, .unprocessed), (.upstreamReset, .unprocessed): return .resend
        case (.upstreamClosed, .crossedClose): return .resend
        case (.connectFailed, _), (.connectTimedOut, _), (.upstreamClosed, _), (.upstreamReset, _): return .respond
        // What the endpoint said is its answer, or it was we who gave up: once more would not be better.
        case (.malformedRequest, _), (.headTimedOut, _), (.upstreamMalformed, _), (.failFast, _), (.loadShed, _),
            (.responseTimedOut, _), (.unauthorized, _), (.notFound, _), (.loop, _), (.tlsDetectTimedOut, _),
            (.identityMismatch, _), (.gatewayDomain, _),
            (.unexpected, _):
            return .respond
        }
    }
}
