/// The last minutes of one key, packed: some 30 bytes for a busy bucket and none for a quiet one.
///
/// Appending and reading from the end are cheap; adding to an old bucket rebuilds the series.
public struct HotSeries: Sendable {
    struct Mark: Sendable {
        /// Bucket number: its start in units of 10 s since 1970.
        let bucket: Int32
        let offset: Int32
    }

    private var marks: [Mark] = []
    private var bytes: [UInt8] = []

    /// An empty series.
    public init() {}

    /// Whether no bucket is held.
    public var isEmpty: Bool { marks.isEmpty }

    /// Start of the newest bucket held.
    public var newest: UnixTime? { marks.last.map { Self.time($0.bucket) } }

    /// Start of the oldest bucket held that does not start before `limit`.
    public func oldest(from limit: UnixTime) -> UnixTime? {
        let number = Self.number(limit)
        return marks.first { $0.bucket >= number }.map { Self.time($0.bucket) }
    }

    /// Bytes held, for budgets and metrics.
    public var byteCount: Int { bytes.count + marks.count * 8 }

    /// Adds to the bucket that starts at `bucket`.
    ///
    /// - Complexity: O(1) for the newest bucket or a newer one, else O(buckets).
    public mutating func add(_ rollup: Rollup, at bucket: UnixTime) {
        let number = Self.number(bucket)
        if let last = marks.last, last.bucket >= number {
            if last.bucket > number { return insert(rollup, at: number) }
            var merged = decoded(last.offset)
            merged.append(rollup)
            bytes.removeSubrange(Int(last.offset)...)
            marks.removeLast()
            return push(merged, number)
        }
        push(rollup, number)
    }

    /// Adds what lies in `window` to `total`, oldest first.
    ///
    /// - Returns: Whether anything was there.
    @discardableResult
    public func accumulate(_ window: Window, into total: inout Rollup) -> Bool {
        let from = Self.number(window.from.ceiled(to: Tier.tenSeconds.bucketMilliseconds))
        let to = Self.number(window.to.ceiled(to: Tier.tenSeconds.bucketMilliseconds))
        var first = marks.count
        while first > 0, marks[first - 1].bucket >= from { first -= 1 }
        guard first < marks.count, marks[first].bucket < to else { return false }
        var reader = ByteReader(bytes, from: Int(marks[first].offset))
        var position = first
        while position < marks.count, marks[position].bucket < to {
            // Records were written by this process, so they decode; a failure would only end the sum early.
            guard (try? total.appendEncoded(from: &reader)) != nil else { return true }
            position += 1
        }
        return true
    }

    /// Calls `body` with each bucket of `window`, oldest first.
    public func forEachBucket(in window: Window, _ body: (UnixTime, Rollup) -> Void) {
        for mark in marks {
            let time = Self.time(mark.bucket)
            if window.contains(time) { body(time, decoded(mark.offset)) }
        }
    }

    /// Forgets the buckets that start before `limit`.
    public mutating func trim(before limit: UnixTime) {
        let number = Self.number(limit)
        guard let first = marks.first, first.bucket < number else { return }
        guard let kept = marks.firstIndex(where: { $0.bucket >= number }) else {
            self = HotSeries()
            return
        }
        let cut = marks[kept].offset
        bytes.removeSubrange(..<Int(cut))
        marks = marks[kept...].map { Mark(bucket: $0.bucket, offset: $0.offset - cut) }
    }

    /// Arrays double when they are full; of thousands of them that would be half for nothing.
    private mutating func makeRoom() {
        if marks.count == marks.capacity { marks.reserveCapacity(marks.count + max(4, marks.count / 8)) }
        if bytes.capacity - bytes.count < Self.recordBytes {
            bytes.reserveCapacity(bytes.count + max(4 * Self.recordBytes, bytes.count / 8))
        }
    }

    /// Most records take less.
    private static let recordBytes = 48

    private mutating func push(_ rollup: Rollup, _ number: Int32) {
        makeRoom()
        marks.append(Mark(bucket: number, offset: Int32(bytes.count)))
        var writer = ByteWriter()
        swap(&writer.bytes, &bytes)
        rollup.encode(to: &writer)
        swap(&writer.bytes, &bytes)
    }

    private mutating func insert(_ rollup: Rollup, at number: Int32) {
        var rebuilt = HotSeries()
        var isAdded = false
        for mark in marks {
            if !isAdded, mark.bucket >= number {
                isAdded = true
                if mark.bucket == number {
                    var merged = decoded(mark.offset)
                    merged.append(rollup)
                    rebuilt.push(merged, number)
                    continue
                }
                rebuilt.push(rollup, number)
            }
            rebuilt.push(decoded(mark.offset), mark.bucket)
        }
        self = rebuilt
    }

    private func decoded(_ offset: Int32) -> Rollup {
        var reader = ByteReader(bytes, from: Int(offset))
        // Written by `push`, so it decodes.
        return (try? Rollup(from: &reader)) ?? Rollup()
    }

    private static func number(_ time: UnixTime) -> Int32 {
        let start = time.floored(to: Tier.tenSeconds.bucketMilliseconds).milliseconds
        return Int32(clamping: start / Tier.tenSeconds.bucketMilliseconds)
    }

    private static func time(_ number: Int32) -> UnixTime {
        UnixTime(milliseconds: Int64(number) * Tier.tenSeconds.bucketMilliseconds)
    }
}
