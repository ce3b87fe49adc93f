/// Every bound of one HTTP/2 connection, by name.
///  What happens at a bound is said beside it. The defaults suit a sidecar: little memory for each
/// connection, and room for a burst that an honest peer makes.
public struct SessionLimits: Sendable, Equatable {
    /// Streams the peer may have open at once; more are refused with REFUSED_STREAM, which is safe to send
    /// again.
    public var streamsMax = 256
    /// Streams that a server is taken to allow before it has said so (client). Too low costs a round trip,
    /// too high costs refused streams.
    public var assumedPeerStreamsMax = 100
    /// Bytes of one received header list, counted as RFC 9113 section 6.5.2 does (32 for each field on top).
    /// A list that grows past it is decoded, to keep HPACK in step, but not kept, and is reported as too
    /// large.
    public var headerListBytesMax = 65_536
    /// Flow-control window of each stream, in bytes; with `connectionWindowBytes` it bounds what a peer can
    /// make us hold while the other side does not read.
    public var streamWindowBytes = 65_535
    /// Flow-control window of the connection, in bytes.
    public var connectionWindowBytes = 1_048_576
    /// CONTINUATION frames in one header block; the connection ends past it.
    public var continuationsMax = 8
    /// Entries in one SETTINGS frame; the connection ends past it.
    public var settingsEntriesMax = 32
    /// PING and SETTINGS acknowledgements that wait to be written; the connection ends past it.
    public var acksQueuedMax = 1_000
    /// RST_STREAM frames the peer may send at once (rapid reset); the connection ends when the bucket is
    /// empty.
    public var peerResets = Rate(burst: 1_000, perSecond: 100)
    /// Streams the peer may make us reset by breaking the protocol (the "MadeYouReset" way round
    /// `peerResets`).
    public var causedResets = Rate(burst: 200, perSecond: 20)
    /// SETTINGS frames; the connection ends when the bucket is empty.
    public var settingsFrames = Rate(burst: 100, perSecond: 10)
    /// PING frames; the connection ends when the bucket is empty. Honest clients that measure round trips send many
    /// while they download, so this is generous: it only bounds the work that pings make.
    public var pingFrames = Rate(burst: 5_000, perSecond: 500)
    /// DATA frames with neither bytes nor END_STREAM, which cost work and carry nothing.
    public var emptyDataFrames = Rate(burst: 1_000, perSecond: 100)
    /// HPACK dynamic table that we use towards the peer, in bytes. A search of it was the top of a naive
    /// profile.
    public var encoderTableBytesMax = 4_096
    /// Output gathered before it is handed over, in bytes; the rest waits until the socket took that.
    public var outputBytesMax = 131_072

    /// A token bucket's two numbers.
    public struct Rate: Sendable, Equatable {
        /// Tokens available at the start, and the most that are ever saved up.
        public var burst: Int
        /// Tokens that come back each second.
        public var perSecond: Int

        /// Makes a rate of `perSecond` that lets `burst` through at once.
        public init(burst: Int, perSecond: Int) {
            self.burst = burst
            self.perSecond = perSecond
        }
    }

    /// Makes the default limits.
    public init() {}
}

/// A token bucket over a clock that the caller reads.
struct TokenBucket {
    /// Thousandths of a token, so that slow rates refill in small steps.
    private var milliTokens: Int
    private let burst: Int32
    private let perSecond: Int32
    /// 0 before the first token was taken.
    private var updatedAtNanoseconds: UInt64 = 0

    init(_ rate: SessionLimits.Rate) {
        burst = Int32(clamping: rate.burst)
        perSecond = Int32(clamping: rate.perSecond)
        milliTokens = Int(burst) * 1_000
    }

    /// Takes one token; false when none is left.
    mutating func take(nowNanoseconds now: UInt64) -> Bool {
        let before = updatedAtNanoseconds
        if before > 0, now > before {
            // A long silence fills the bucket; the bound keeps the product far from overflow.
            let elapsedMilliseconds = Int(min((now - before) / 1_000_000, 3_600_000))
            if elapsedMilliseconds > 0 {
                milliTokens = min(Int(burst) * 1_000, milliTokens + elapsedMilliseconds * Int(perSecond))
                updatedAtNanoseconds = now
            }
        } else {
            updatedAtNanoseconds = now
        }
        guard milliTokens >= 1_000 else { return false }
        milliTokens -= 1_000
        return true
    }
}
