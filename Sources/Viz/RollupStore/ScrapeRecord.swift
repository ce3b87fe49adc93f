public import MeshRollup

/// What one scrape of one pod adds to the store; committed as one.
public struct ScrapeRecord: Sendable {
    /// One key's share of the scrape in one 10 s bucket.
    public struct Part: Sendable {
        public let key: RollupKey
        public let bucket: UnixTime
        public let rollup: Rollup

        /// A share.
        public init(key: RollupKey, bucket: UnixTime, rollup: Rollup) {
            self.key = key
            self.bucket = bucket
            self.rollup = rollup
        }
    }

    /// Stable name of the pod's life, such as its UID: whose cursor advances.
    public let pod: String
    /// When the scrape was taken.
    public let at: UnixTime
    /// What the scrape changed in the cursor.
    public let step: [UInt8]
    /// The whole cursor after the scrape, now and then instead of the step.
    public let base: [UInt8]?
    /// The counts.
    public let parts: [Part]

    /// A record.
    public init(pod: String, at: UnixTime, step: [UInt8], base: [UInt8]?, parts: [Part]) {
        self.pod = pod
        self.at = at
        self.step = step
        self.base = base
        self.parts = parts
    }
}

/// A record that waits for its transaction, its keys turned into numbers.
struct PendingRecord: Sendable {
    let pod: String
    let at: UnixTime
    let step: [UInt8]
    let base: [UInt8]?
    let parts: [JournalCodec.Part]
    /// The earliest bucket that it adds to.
    let bucketMin: UnixTime

    init(_ record: ScrapeRecord, parts: [JournalCodec.Part]) {
        pod = record.pod
        at = record.at
        step = record.step
        base = record.base
        self.parts = parts
        bucketMin = parts.map(\.bucket).min() ?? UnixTime(milliseconds: .max)
    }

    var byteEstimate: Int { step.count + (base?.count ?? 0) + parts.count * MemoryLayout<JournalCodec.Part>.stride + 128 }
}

/// Packs the counts of one scrape by key numbers.
enum JournalCodec {
    struct Part: Sendable {
        let keyID: Int
        let bucket: UnixTime
        let rollup: Rollup
    }

    static func encode(_ parts: [Part]) -> [UInt8] {
        var writer = ByteWriter()
        writer.varint(UInt64(parts.count))
        for part in parts {
            writer.varint(UInt64(part.keyID))
            writer.varint(UInt64(clamping: part.bucket.milliseconds / Tier.tenSeconds.bucketMilliseconds))
            part.rollup.encode(to: &writer)
        }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(CodecError) -> [Part] {
        var reader = ByteReader(bytes)
        var parts: [Part] = []
        for _ in 0..<(try reader.count(max: bytes.count)) {
            let id = try reader.count(max: KeyTable.idMax)
            let bucket = try reader.count(max: 1 << 40)
            let time = UnixTime(milliseconds: Int64(bucket) * Tier.tenSeconds.bucketMilliseconds)
            parts.append(Part(keyID: id, bucket: time, rollup: try Rollup(from: &reader)))
        }
        return parts
    }
}
