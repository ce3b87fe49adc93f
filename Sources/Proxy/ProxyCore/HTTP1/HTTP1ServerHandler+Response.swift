// The response side: what the client handler calls, and what the proxy answers by itself.

import MeshTransport
import MeshWire
import NIOCore

private enum ConnectionField {
    static let close = ByteBuffer(string: "connection: close\r\n")
    static let keepAlive = ByteBuffer(string: "connection: keep-alive\r\n")
}

extension HTTP1ServerHandler: HTTP1ResponseSink {
    // MARK: Calls from the client handler

    var tap: TapExchange? { exchange.tap }
    var wantsUpgrade: Bool { exchange.wantsUpgrade }

    /// Passes on a 1xx response; the final one follows.
    func forwardInformational(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser) {
        forward(source, head, bodyBytes: 0, additions: nil)
    }

    /// Passes on the answer that ends HTTP on this connection: 101, or 2xx to CONNECT.
    func forwardSwitch(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser) {
        logAnswer(source, head)
        exchange.answered(status: head.status, fields: tapFields(source, 0..<head.headBytes))
        forward(source, head, bodyBytes: 0, additions: nil)
    }

    /// Passes on the head of the final response and the body bytes that came with it.
    func forwardHead(
        _ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser, bodyBytes: Int, isUntilClose: Bool
    ) {
        logAnswer(source, head)
        exchange.answered(status: head.status, fields: tapFields(source, 0..<head.headBytes))
        if isUntilClose || isDraining || head.endsClientConnection { exchange.closeAfterwards() }
        forward(source, head, bodyBytes: bodyBytes, additions: connectionField)
    }

    /// What the response's head says about the client's connection.
    var connectionField: ByteBuffer? {
        if !exchange.keepsConnection { return ConnectionField.close }
        return exchange.isHTTP10 ? ConnectionField.keepAlive : nil
    }

    /// Queues body bytes of the response.
    func write(_ buffer: ByteBuffer) {
        writeGathered()
        queue(buffer)
    }

    /// Queues what was gathered.
    func writeGathered() {
        if let bytes = gathered.take() { queue(bytes) }
    }

    private func queue(_ buffer: ByteBuffer) {
        guard let context else { return }
        transport.wrote(buffer.readableBytes)
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    /// Sends what was queued.
    func flush() {
        writeGathered()
        context?.flush()
    }

    /// The whole response was passed on.
    func responseEnded(from connection: HTTP1ClientHandler, isReusable: Bool) {
        let isRequestDone = exchange.isRequestDone
        let keepsConnection = exchange.keepsConnection && isRequestDone && !isInputClosed
        exchange.completed()
        if isReusable, isRequestDone {
            if !isClientWritable { connection.setReading(true) }
            connection.finish()
        } else {
            connection.close()
        }
        flush()
        nextExchange(keepsConnection: keepsConnection)
    }

    /// Goes on with the connection behind a whole response.
    func nextExchange(keepsConnection: Bool) {
        guard keepsConnection else { return close(afterFlush: .output) }
        phase = .head
        if input.readableBytes > 0 { process() }
        updateReading()
    }

    /// The endpoint's connection failed, or could not be made.
    func upstreamFailed(_ error: ProxyError) {
        var sent = RequestProgress.nothing
        if let upstream = exchange.upstream {
            sent = !upstream.hasResponseBytes && exchange.replay != nil ? .crossedClose : .something
        }
        exchange.upstream = nil
        upstreamFailed(error, sent: sent)
    }

    /// The same, with what is known about the request at the endpoint. `nothing` means that all of it is in the input.
    func upstreamFailed(_ error: ProxyError, sent: RequestProgress) {
        switch FailureFate.of(error.kind, sent: sent, received: exchange.status == 0 ? .nothing : .some) {
        case .respond: break
        case .resend: if let endpoint = exchange.endpoint, exchange.takeRetry() { return connect(endpoint) }
        case .resendElsewhere: if redispatch() { return }
        case .breakOff:
            exchange.broke()
            stack.failed(with: error)
            phase = .closing
            context?.close(promise: nil)
            return
        }
        exchange.failedBeforeHead(answering: error.kind.response.status)
        respond(with: error)
    }

    /// Leaves HTTP: both connections become opaque sides.
    func becomeTunnel(from connection: HTTP1ClientHandler, received rest: ByteBuffer) {
        guard let context, let endpoint = exchange.endpoint else { return connection.close() }
        let drain = drain
        let tunnel = HeldDrain()
        let near = OpaqueSide(transport: transport) { drain.remove(tunnel) }
        let far = OpaqueSide(transport: endpoint.transport)
        do {
            try connection.detach(to: far)
            try context.pipeline.syncOperations.addHandler(near, position: .after(self))
        } catch {
            connection.close()
            context.close(promise: nil)
            return
        }
        drain.add(tunnel)
        drain.remove(self)
        exchange.completed()
        phase = .detached
        self.context = nil
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
        if rest.readableBytes > 0 { near.write(rest) }
        if input.readableBytes > 0 { far.write(input) }
        input = ByteBuffer()
        OpaqueSide.join(near, far)
    }

    // MARK: The proxy's own answers

    /// Answers the current request with an error; the connection goes on when the error allows it.
    func respond(with error: ProxyError) {
        stack.failed(with: error)
        let closes = error.kind.response.closesConnection || !exchange.keepsConnection || isDraining
        exchange.routed?.failed(status: nil, error: "unclassified")
        exchange.abandoned()
        write(error.http1Response(isInformational: stack.emitsInformationalHeaders, closes: closes))
        flush()
        guard !closes else { return close(afterFlush: .output) }
        if phase != .streaming {
            input.moveReaderIndex(forwardBy: min(parser.headBytes, input.readableBytes))
        }
        phase = body.isDone ? .head : .discarding
    }

    /// Answers 400 to bytes that are no request, and closes.
    func refuse(_ error: ProxyError) {
        stack.failed(with: error)
        if exchange.status == 0 {
            write(error.http1Response(isInformational: stack.emitsInformationalHeaders, closes: true))
            flush()
        }
        close(afterFlush: .output)
    }

    /// Drops what runs: the endpoint's connection cannot be used again.
    func cancelExchange() {
        exchange.upstream?.close()
        carrier?.cancel()
        exchange.abandoned()
    }

    /// Closes behind everything queued. After closing the output alone, waits a little for the client to
    /// close, because closing with unread input would reset the connection and could destroy our last answer.
    func close(afterFlush mode: CloseMode) {
        guard let context, phase != .detached else { return }
        writeGathered()
        phase = .closing
        input = ByteBuffer()
        updateReading()
        let mode: CloseMode = isInputClosed ? .all : mode
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { _ in channel.close(mode: mode, promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
        guard mode == .output else { return }
        linger = context.eventLoop.scheduleTask(in: Self.lingerMax) { channel.close(promise: nil) }
    }

    private func forward(
        _ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser, bodyBytes: Int, additions: ByteBuffer?
    ) {
        let message = emitter.assemble(
            source, start: 0, head: head.headBytes, body: bodyBytes, removals: head.removals,
            fieldsEnd: head.fieldsEnd, additions: additions)
        write(message.first)
        if let second = message.second { write(second) }
    }
}
