import MeshWire
import NIOCore

/// Turns a parsed head, and the body bytes that came with it, into what is written to the next hop.
struct HTTP1Emitter {
    /// Body bytes up to this many are copied behind an edited head, so that one buffer leaves instead of two.
    private static let coalescedBytesMax = 2_048

    private var scratch = ByteBuffer()

    /// The message's beginning: a slice of what was read when nothing changes, otherwise the edited copy.
    ///
    /// - Parameters:
    ///   - source: readable bytes start with the parsed bytes; not consumed.
    ///   - start: where the head begins.
    ///   - head: where it ends.
    ///   - body: body bytes that follow it in `source`.
    /// - Returns: what to write, in order.
    mutating func assemble(
        _ source: ByteBuffer, start: Int, head: Int, body: Int, removals: [Range<Int>], fieldsEnd: Int,
        additions: ByteBuffer?
    ) -> (first: ByteBuffer, second: ByteBuffer?) {
        let base = source.readerIndex
        guard !removals.isEmpty || additions != nil else {
            return (source.getSlice(at: base + start, length: head - start + body) ?? source, nil)
        }
        // Reuses the same memory as long as the last message has left the socket's queue.
        scratch.clear()
        HTTP1HeadCopy.append(
            head: source, from: start, removals: removals, fieldsEnd: fieldsEnd, additions: additions,
            to: &scratch)
        guard body > 0 else { return (scratch, nil) }
        if body <= Self.coalescedBytesMax {
            scratch.writeBytes(source.readableBytesSpan.extracting(head..<head + body))
            return (scratch, nil)
        }
        return (scratch, source.getSlice(at: base + head, length: body))
    }
}
