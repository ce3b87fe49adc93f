import NIOCore

/// Small pieces of output that leave as one buffer: one write instead of several, in memory that is used again.
struct GatheredOutput {
    /// A longer piece leaves by itself: copying it would cost more than it saves.
    static let pieceBytesMax = 2_048
    /// Once this much is gathered, it is handed on.
    static let bytesMax = 16_384
    private static let startBytes = 512
    /// Memory kept while nothing is gathered.
    private static let keptBytesMax = 4_096

    /// What was gathered; append to it behind `begin`.
    var buffer = ByteBuffer()

    var isEmpty: Bool { buffer.readableBytes == 0 }

    /// Makes ready for more. What was taken may still wait for the socket: then the memory is new.
    mutating func begin() {
        guard isEmpty else { return }
        buffer.clear(minimumCapacity: Self.startBytes)
    }

    /// Takes back what was gathered from an offset on, from the first readable byte.
    mutating func drop(from start: Int) { buffer.moveWriterIndex(to: buffer.readerIndex + start) }

    /// Hands over everything gathered; `nil` when there is nothing.
    mutating func take() -> ByteBuffer? {
        guard !isEmpty else { return nil }
        let taken = buffer
        if buffer.storageCapacity > Self.keptBytesMax {
            buffer = ByteBuffer()
        } else {
            buffer.moveReaderIndex(to: buffer.writerIndex)
        }
        return taken
    }
}
