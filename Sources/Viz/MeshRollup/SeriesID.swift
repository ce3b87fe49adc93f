import MeshMetrics

/// 128 bits that stand for one series of one pod: a hash of its line up to the value.
///
/// A proxy prints a series with the same label order at each scrape, so equal text means equal series. Two of
/// 5,000 series of a pod share an id with a chance of about 10^-31; they would be counted as one.
public struct SeriesID: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    /// An id from its halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Hashes `bytes[range]`, eight bytes a step.
    ///
    /// Source: multiply and xor-shift mixing in two lanes with the finalizer of MurmurHash3. Not for hostile
    /// input: a pod that forges collisions only spoils its own numbers.
    /// - Complexity: O(range), no allocation.
    public init(hashing bytes: RawSpan, in range: Range<Int>) {
        var first: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(range.count)
        var second: UInt64 = 0xC2B2_AE3D_27D4_EB4F
        var offset = range.lowerBound
        let end = range.upperBound
        while offset < end {
            var word: UInt64 = 0
            if offset &+ 8 <= end {
                word = bytes.word(at: offset)
                offset &+= 8
            } else {
                while offset < end {
                    word = word << 8 | UInt64(bytes.byte(at: offset))
                    offset &+= 1
                }
            }
            first = (first ^ word) &* 0x87C3_7B91_1142_53D5
            first ^= first >> 29
            second = (second << 27 | second >> 37) &+ word
            second = (second &* 0x4CF5_AD43_2745_937F) ^ (first << 17 | first >> 47)
        }
        high = Self.finish(first)
        low = Self.finish(second &+ first)
    }

    /// The same over an array.
    public init(hashing bytes: [UInt8], in range: Range<Int>) {
        // SAFETY: bytes have no padding, and the array outlives the call.
        unsafe self.init(hashing: bytes.span.bytes, in: range)
    }

    /// Stands for no series.
    static let none = SeriesID(high: 0, low: 0)

    private static func finish(_ value: UInt64) -> UInt64 {
        var value = value
        value ^= value >> 33
        value = value &* 0xFF51_AFD7_ED55_8CCD
        value ^= value >> 33
        value = value &* 0xC4CE_B9FE_1A85_EC53
        return value ^ (value >> 33)
    }

    /// Half of the id is hash enough.
    public func hash(into hasher: inout Hasher) { hasher.combine(low) }
}
