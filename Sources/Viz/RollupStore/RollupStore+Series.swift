import Foundation
import GRDB
public import MeshRollup

extension RollupStore {
    /// Buckets of a chart, evenly spaced.
    public struct Series: Sendable {
        /// Start of the first bucket.
        public let start: UnixTime
        /// Width of each bucket.
        public let stepMilliseconds: Int64
        /// In time order; `nil` where nothing was scraped.
        public let buckets: [Rollup?]
    }

    /// Largest number of buckets in one answer.
    public static let seriesBucketsMax = 2_000

    /// Sums the matching keys of one family, bucket by bucket.
    ///
    /// - Parameters:
    ///   - window: Grown to whole steps.
    ///   - step: Width of a bucket; raised to what the tier that reaches back that far can tell apart, and so
    ///     that there are at most `seriesBucketsMax`.
    ///   - keepsPods: Whether pods are told apart; then only the last 6 hours are there.
    public func series(
        _ family: KeyFamily, in window: Window, step: Int64, now: UnixTime, keepsPods: Bool,
        matching isWanted: (RollupKey) -> Bool
    ) async throws -> Series {
        let tier = tier(for: window, family, step: step, now: now, keepsPods: keepsPods)
        var step = max(step, tier.bucketMilliseconds)
        step = (step + tier.bucketMilliseconds - 1) / tier.bucketMilliseconds * tier.bucketMilliseconds
        while window.milliseconds / step >= Int64(Self.seriesBucketsMax) { step *= 2 }
        let window = window.aligned(to: step)
        let count = Int(window.milliseconds / step)
        var buckets = [Rollup?](repeating: nil, count: count)
        let ids = Set(groups(family) { isWanted($0) ? true : nil }.keys)
        let cut = memoryCut(for: window)
        if window.from < cut {
            let stored = Window(from: window.from, to: cut)
            try await addStored(stored, tier, step: step, from: window.from, family, ids, to: &buckets)
        }
        addMemory(Window(from: cut, to: window.to), step: step, from: window.from, ids, to: &buckets)
        return Series(start: window.from, stepMilliseconds: step, buckets: buckets)
    }

    private func tier(for window: Window, _ family: KeyFamily, step: Int64, now: UnixTime, keepsPods: Bool) -> Tier {
        if keepsPods { return .tenSeconds }
        // A window that memory holds needs no tier, only its finest step.
        if window.from >= hotFrom { return .tenSeconds }
        return Tier.allCases.last { tier in
            tier.bucketMilliseconds <= step
        }.map { fitting in
            Tier.allCases.first { tier in
                tier.rawValue >= fitting.rawValue
                    && window.from >= keptFrom(tier, family, now: now)
            } ?? .hour
        } ?? .tenSeconds
    }

    private func addMemory(
        _ window: Window, step: Int64, from: UnixTime, _ ids: Set<Int>, to buckets: inout [Rollup?]
    ) {
        guard !window.isEmpty else { return }
        var sums: [Int: Rollup] = [:]
        for id in ids where id < hot.count {
            var own: [Int: Rollup] = [:]
            hot[id].forEachBucket(in: window) { bucket, rollup in
                own[Int(bucket.since(from) / step), default: Rollup()].append(rollup)
            }
            for (index, rollup) in own { sums[index, default: Rollup()].combine(rollup) }
        }
        Self.append(sums, to: &buckets)
    }

    private func addStored(
        _ window: Window, _ tier: Tier, step: Int64, from: UnixTime, _ family: KeyFamily, _ ids: Set<Int>,
        to buckets: inout [Rollup?]
    ) async throws {
        let spans = window.aligned(to: tier.spanMilliseconds)
        let read = StoredRead(tier: tier, spans: spans, clip: window)
        let condition = Self.spanCondition(read, ids)
        let (sums, corruptCount) = try await pool.read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT key_id, totals, body, span_ms FROM chunk
                    WHERE tier = ? AND family = ? AND \(condition) ORDER BY span_ms
                    """,
                arguments: [tier.rawValue, family.rawValue])
            var fold = SeriesFold(window: window, tier: tier, step: step, from: from)
            while let row = try rows.next() {
                guard ids.contains(row[0]) else { continue }
                fold.add(
                    span: UnixTime(milliseconds: row[3]), totals: [UInt8](row[1] as Data),
                    body: [UInt8](row[2] as Data))
            }
            return fold.finish()
        }
        status.corruptChunks += corruptCount
        Self.append(sums, to: &buckets)
    }

    private static func append(_ sums: [Int: Rollup], to buckets: inout [Rollup?]) {
        for (index, rollup) in sums where buckets.indices.contains(index) {
            var total = buckets[index] ?? Rollup()
            total.append(rollup)
            buckets[index] = total
        }
    }
}

/// Folds chunk rows into steps: rows of one span are siblings, spans follow each other in time.
private struct SeriesFold {
    let window: Window
    let tier: Tier
    let step: Int64
    let from: UnixTime
    private var span: UnixTime?
    private var current: [Int: Rollup] = [:]
    private var sums: [Int: Rollup] = [:]
    private var corruptCount = 0

    init(window: Window, tier: Tier, step: Int64, from: UnixTime) {
        self.window = window
        self.tier = tier
        self.step = step
        self.from = from
    }

    mutating func add(span: UnixTime, totals: [UInt8], body: [UInt8]) {
        if span != self.span { finishSpan() }
        self.span = span
        guard let chunk = try? Chunk(body: body, totals: totals, bucketsMax: tier.bucketsPerSpan) else {
            corruptCount += 1
            return
        }
        var own: [Int: Rollup] = [:]
        for bucket in chunk.buckets {
            let start = span.advanced(by: Int64(bucket.index) * tier.bucketMilliseconds)
            guard window.contains(start) else { continue }
            own[Int(start.since(from) / step), default: Rollup()].append(bucket.rollup)
        }
        for (index, rollup) in own { current[index, default: Rollup()].combine(rollup) }
    }

    mutating func finish() -> ([Int: Rollup], Int) {
        finishSpan()
        return (sums, corruptCount)
    }

    private mutating func finishSpan() {
        for (index, rollup) in current { sums[index, default: Rollup()].append(rollup) }
        current = [:]
    }
}
