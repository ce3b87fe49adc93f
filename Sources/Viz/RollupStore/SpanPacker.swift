import MeshRollup

/// Packs one span of what memory holds, beside the store: half a second at scale, in which queries go on.
struct SpanPacker: Sendable {
    let hot: [HotSeries]
    let keys: KeyTable
    let window: Window

    /// Minute and hour buckets of one workload-level key, from one closed span.
    struct Fold: Sendable {
        let family: KeyFamily
        let keyID: Int
        let minutes: [(index: Int, rollup: Rollup)]
        let hour: Rollup
    }

    /// Chunks of the finest tier, of the keys numbered `ids`: a part at a time, so that all of them never take
    /// memory at once.
    @concurrent
    func chunks(of ids: Range<Int>) async -> [ChunkTable.Encoded] {
        ids.compactMap { id in
            guard id < hot.count, !hot[id].isEmpty, let key = keys.keys[id] else { return nil }
            let chunk = chunk(of: id)
            guard !chunk.buckets.isEmpty else { return nil }
            return ChunkTable.Encoded(
                family: key.family, keyID: id, totals: chunk.totals.encoded(), body: chunk.encodedBody())
        }
    }

    /// What the span adds to the coarser tiers.
    @concurrent
    func folds() async -> [Fold] { fold() }

    private func chunk(of id: Int) -> Chunk {
        var chunk = Chunk()
        hot[id].forEachBucket(in: window) { bucket, rollup in
            chunk.append(rollup, at: Int(bucket.since(window.from) / Tier.tenSeconds.bucketMilliseconds))
        }
        return chunk
    }

    /// Folds pods into workloads bucket by bucket, and buckets into minutes and one hour.
    private func fold() -> [Fold] {
        var members: [Int: [Int]] = [:]
        for id in hot.indices where !hot[id].isEmpty && keys.keys[id] != nil {
            members[keys.rolledUpIDs[id], default: []].append(id)
        }
        return members.compactMap { rolledUpID, ids in
            guard let key = keys.keys[rolledUpID] else { return nil }
            var merged = Chunk()
            for id in ids {
                hot[id].forEachBucket(in: window) { bucket, rollup in
                    let index = Int(bucket.since(window.from) / Tier.tenSeconds.bucketMilliseconds)
                    merged.combine(rollup, at: index)
                }
            }
            guard !merged.buckets.isEmpty else { return nil }
            return Self.fold(merged, from: window.from, family: key.family, keyID: rolledUpID)
        }
    }

    private static func fold(_ chunk: Chunk, from start: UnixTime, family: KeyFamily, keyID: Int) -> Fold {
        var minutes: [(index: Int, rollup: Rollup)] = []
        var hour = Rollup()
        for bucket in chunk.buckets {
            let time = start.advanced(by: Int64(bucket.index) * Tier.tenSeconds.bucketMilliseconds)
            let span = time.floored(to: Tier.minute.spanMilliseconds)
            let index = Int(time.since(span) / Tier.minute.bucketMilliseconds)
            if minutes.last?.index == index {
                minutes[minutes.count - 1].rollup.append(bucket.rollup)
            } else {
                minutes.append((index, bucket.rollup))
            }
            hour.append(bucket.rollup)
        }
        return Fold(family: family, keyID: keyID, minutes: minutes, hour: hour)
    }
}
