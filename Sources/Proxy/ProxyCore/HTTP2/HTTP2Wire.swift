import MeshHTTP2
import MeshTransport
import NIOCore

/// The owner of a wire: told when writing made new events.
protocol HTTP2WireOwner: AnyObject {
    /// Handles every event the session has.
    func drainEvents()
    /// The session is finished and its output is written.
    func wireFinished()
}

/// The writing half of an HTTP/2 connection, the same for both ends: decides when output is gathered and
/// written.
///  Output is written once per turn of the event loop, after every connection that had something to read was
/// read: streams that many clients open on one upstream connection leave in one write. While the socket takes
/// no more, nothing is gathered, so what waits is bounded by the windows we granted.
final class HTTP2Wire {
    let session: HTTP2Session
    private let transport: TransportMetrics
    /// Held from `attach` to `detach`, and not weakly: a weak reference makes every retain of the owner, on every
    /// frame, take the slow way.
    private var owner: (any HTTP2WireOwner)?
    private var context: ChannelHandlerContext?
    private var isFlushScheduled = false
    private var isFlushing = false

    init(session: HTTP2Session, transport: TransportMetrics) {
        self.session = session
        self.transport = transport
    }

    /// Whether the channel is there and active.
    var isAttached: Bool { context != nil }

    func attach(_ context: ChannelHandlerContext, owner: any HTTP2WireOwner) {
        self.context = context
        self.owner = owner
    }

    func detach() {
        context = nil
        owner = nil
    }

    /// Closes the channel without waiting for anything.
    func close() { context?.close(mode: .all, promise: nil) }

    /// Writes at the end of this turn of the loop, if there is anything to write.
    func flushSoon() {
        guard !isFlushScheduled, let context, session.wantsWrite else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute { self.flush() }
    }

    /// Writes what there is, as far as the socket takes it.
    func flush() {
        isFlushScheduled = false
        // Writing can close the channel, which makes the owner reset streams, which asks for a flush.
        guard !isFlushing else { return }
        isFlushing = true
        defer { isFlushing = false }
        while let context, context.channel.isWritable {
            let count = session.produce { context.write(NIOAny($0), promise: nil) }
            if count > 0 {
                transport.wrote(count)
                context.flush()
            }
            owner?.drainEvents()
            if count == 0 { break }
        }
        session.detachPending()
        if context != nil, session.isFinished { owner?.wireFinished() }
    }
}
