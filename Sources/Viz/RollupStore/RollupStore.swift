public import Logging
public import MeshRollup
import GRDB

/// Bounded history of the mesh: the last minutes in memory, the rest in one SQLite file.
///
/// `SCHEMA.md` tells how a count travels. Everything that is written goes through `flush`; a file that cannot
/// be written (full disk) or read (corruption) costs history, never the service: recent windows are answered
/// from memory meanwhile.
public actor RollupStore {
    /// How long memory holds buckets.
    public static let hotMilliseconds: Int64 = 15 * 60_000
    /// How long after its end a span is closed: scrapes in flight have arrived by then.
    public static let closeDelayMilliseconds: Int64 = 30_000
    /// Uncommitted records kept while the file cannot be written; beyond, the oldest are dropped.
    public static let pendingBytesMax = 32 << 20

    /// What the store is doing, for `/metrics`, checks and logs.
    public struct Status: Sendable, Equatable {
        /// Keys with a number.
        public var keyCount = 0
        /// Bytes of packed buckets in memory.
        public var hotBytes = 0
        /// Records not yet committed.
        public var pendingRecords = 0
        /// Records that were given up while the file could not be written.
        public var droppedRecords = 0
        /// Chunks that did not decode.
        public var corruptChunks = 0
        /// Transactions that failed.
        public var failedCommits = 0
        /// Whether the last write succeeded.
        public var isWritable = true
        /// Files set aside as corrupt since the start, by their new paths.
        public var filesSetAside: [String] = []
        /// What the check of the file at the start found.
        public var integrity = Integrity.unknown
        /// Bytes of the file and its write-ahead log.
        public var fileBytes: Int64 = 0
        /// Bytes of chunks, by tier.
        public var tierBytes: [Tier: Int64] = [:]
        /// Chunks of spans that were removed because of their age or of a budget.
        public var removedSpans = 0
    }

    /// Whether the file is sound.
    public enum Integrity: String, Sendable, Equatable {
        case unknown, checking, intact, replaced
    }

    let path: String
    let logger: Logger
    let limits: StoreLimits
    private let lock: StoreLock
    var pageCountMax: Int?
    var pool: DatabasePool
    var keys = KeyTable()
    /// By key number.
    var hot: [HotSeries] = []
    /// Memory is complete from here on.
    var hotFrom: UnixTime
    /// Chunks are complete before this.
    var closedUpTo: UnixTime
    var pending: [PendingRecord] = []
    var pendingBytes = 0
    var forgottenPods: [String] = []
    var nextSequence: Int64 = 1
    /// Pods whose chain of steps in the file is broken until their next base.
    var podsWantingBase: Set<String> = []
    /// Chunks before it are gone, by tier.
    var removedUpTo: [Tier: UnixTime] = [:]
    /// Sampled requests before it are gone, by tier.
    var removedSamplesUpTo: [Tier: UnixTime] = [:]
    /// Exemplars that no transaction has taken, and those that one is taking.
    var pendingExemplars: [RequestExemplar] = []
    var writingExemplars: [RequestExemplar] = []
    var exemplarMarks = ExemplarMarks()
    /// Pods that records came from.
    var knownPods: Set<String> = []
    var restored: [String: SeriesCursor] = [:]
    /// A transaction is under way; one at a time.
    var isWriting = false {
        didSet {
            guard !isWriting else { return }
            for waiter in roomWaiters { waiter.resume() }
            roomWaiters = []
        }
    }
    private var roomWaiters: [CheckedContinuation<Void, Never>] = []
    var status = Status()
    var lastWarningAt: UnixTime?

    /// Opens the store; a corrupt file is set aside and reported, and the store starts empty.
    ///
    /// - Parameters:
    ///   - path: The SQLite file; its folder must exist.
    ///   - now: The time to start from when there is no history.
    ///   - limits: How much history is kept.
    ///   - pageCountMax: Largest file in pages of 16 KiB; `nil` leaves it to the disk.
    /// - Throws: `StoreError` when another process writes to the file, `DatabaseError` when it can be neither opened
    ///   nor replaced.
    public init(
        path: String, now: UnixTime, limits: StoreLimits = StoreLimits(), pageCountMax: Int? = nil, logger: Logger
    ) throws {
        self.path = path
        self.logger = logger
        self.limits = limits
        lock = try StoreLock(path: path)
        self.pageCountMax = pageCountMax
        closedUpTo = now.floored(to: Tier.tenSeconds.spanMilliseconds)
        hotFrom = closedUpTo
        let opened = try Self.openOrReplace(path, pageCountMax: pageCountMax, logger: logger)
        pool = opened.pool
        status.filesSetAside = opened.setAside
        if !opened.setAside.isEmpty { status.integrity = .replaced }
        let content = opened.content
        removedUpTo = content.removedUpTo
        removedSamplesUpTo = content.removedSamplesUpTo
        exemplarMarks = content.exemplarMarks
        keys = content.keys
        if let mark = content.closedUpTo { closedUpTo = mark }
        if content.closedUpTo == nil {
            try pool.write { [closedUpTo] db in try Self.writeMark(closedUpTo: closedUpTo, db) }
        }
        // A clock that ran ahead must not make the store refuse what happens now.
        closedUpTo = min(closedUpTo, now.floored(to: Tier.tenSeconds.spanMilliseconds))
        hotFrom = closedUpTo
        nextSequence = content.nextSequence
        restored = content.cursors
        let idCount = content.keys.idCount
        for part in content.parts {
            guard part.bucket >= hotFrom, part.keyID < idCount else { continue }
            while hot.count <= part.keyID { hot.append(HotSeries()) }
            hot[part.keyID].add(part.rollup, at: part.bucket)
        }
    }

    /// The cursor that a pod's scrapes were committed with, once; `nil` for a pod the store does not know.
    public func takeCursor(of pod: String) -> SeriesCursor? { restored.removeValue(forKey: pod) }

    /// The SQLite file.
    public var file: String { path }

    /// Whether the next record of `pod` has to bring a base.
    public func wantsBase(of pod: String) -> Bool { podsWantingBase.contains(pod) }

    /// Returns when little waits for the file, or nothing can be written: before a scrape is read, so that a slow disk
    /// slows scraping instead of making records pile up.
    public func waitForRoom(now: UnixTime) async {
        while status.isWritable, pendingBytes > Self.pendingBytesMax / 2 {
            if isWriting {
                await withCheckedContinuation { roomWaiters.append($0) }
            } else {
                await flush(now: now)
            }
        }
    }

    /// Takes in one scrape: visible to queries at once, durable with the next `flush`.
    public func ingest(_ record: ScrapeRecord) {
        var parts: [JournalCodec.Part] = []
        parts.reserveCapacity(record.parts.count)
        for part in record.parts {
            let id = keys.countingID(for: part.key)
            parts.append(JournalCodec.Part(keyID: id, bucket: part.bucket, rollup: part.rollup))
            guard part.bucket >= hotFrom else { continue }
            while hot.count < keys.idCount { hot.append(HotSeries()) }
            hot[id].add(part.rollup, at: part.bucket)
        }
        knownPods.insert(record.pod)
        let waiting = PendingRecord(record, parts: parts)
        pending.append(waiting)
        pendingBytes += waiting.byteEstimate
        if record.base != nil { podsWantingBase.remove(record.pod) }
        if pendingBytes > Self.pendingBytesMax { dropOldestPending() }
    }

    /// Makes room, an eighth at a time: taking records off the front one by one would move all the others each time.
    private func dropOldestPending() {
        var count = 0
        for record in pending where pendingBytes > Self.pendingBytesMax / 8 * 7 {
            pendingBytes -= record.byteEstimate
            podsWantingBase.insert(record.pod)
            count += 1
        }
        status.droppedRecords += count
        pending.removeFirst(count)
    }

    /// Forgets the cursor of a pod that is gone.
    public func forget(pod: String) {
        forgottenPods.append(pod)
        podsWantingBase.remove(pod)
        knownPods.remove(pod)
        restored[pod] = nil
    }

    /// Drops restored cursors that no pod asked for.
    public func forgetUnclaimedCursors() {
        forgottenPods += restored.keys
        restored = [:]
    }

    /// A snapshot of the counters about the store itself.
    public func currentStatus() -> Status {
        var status = status
        status.keyCount = keys.count
        status.hotBytes = hot.reduce(0) { $0 + $1.byteCount }
        status.pendingRecords = pending.count
        status.fileBytes = StoreFile.size(path) + StoreFile.size(path + "-wal")
        return status
    }

    /// From when on the chunks of a family in a tier are complete.
    func keptFrom(_ tier: Tier, _ family: KeyFamily, now: UnixTime) -> UnixTime {
        let limit = max(now.advanced(by: -limits.retention(of: tier, family)), removedUpTo[tier] ?? UnixTime(milliseconds: 0))
        guard family == .requests, let samples = removedSamplesUpTo[tier] else { return limit }
        return max(limit, samples)
    }

    /// Changes the largest size of the file; for tests, and for a disk that grew.
    public func setPageCountMax(_ pages: Int?) async throws {
        pageCountMax = pages
        try await pool.write { db in
            try db.execute(sql: "PRAGMA max_page_count = \(pages ?? 1_073_741_823)")
        }
    }

    /// Writes what is pending and closes the file.
    public func shutdown(now: UnixTime) async {
        await flush(now: now)
        await maintainExemplars(now: now)
        do {
            // The pool's last connection to close is a reader, which cannot do this.
            try await pool.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            try pool.close()
        } catch {
            logger.warning("Rollup store did not close", metadata: ["error": "\(error)"])
        }
    }

    /// Logs at most one warning per minute about the file.
    func warn(_ message: Logger.Message, _ error: any Error, now: UnixTime) {
        if let lastWarningAt, now.since(lastWarningAt) < 60_000, now >= lastWarningAt { return }
        lastWarningAt = now
        logger.warning(message, metadata: ["file": "\(path)", "error": "\(error)"])
    }
}
