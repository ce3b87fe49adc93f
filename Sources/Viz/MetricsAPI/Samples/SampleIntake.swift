// Batches of samples, as the tap service sends them, into the store. What a batch says is checked like a scrape: it comes
// from another process.

package import MeshAPI
import MeshMetrics
package import MeshRollup
package import RollupStore

/// Takes in batches.
package struct SampleIntake: Sendable {
    /// Who the store's records are from; no pod is called so.
    static let recordName = "samples"
    /// Distinct requests kept of one destination.
    package static let requestsPerDestinationMax = 128
    /// Rows and exemplars of one batch that are looked at.
    static let rowsMax = 20_000
    /// A tap service whose clock differs by more is not believed about the time.
    static let clockErrorMilliseconds: Int64 = 60_000

    private let store: RollupStore
    private var budget = LabelBudget(destinationsMax: requestsPerDestinationMax)
    private var live: Set<RequestKey> = []
    private var renewedAt: UnixTime?

    package init(store: RollupStore) { self.store = store }

    /// Takes in one batch.
    package mutating func take(_ batch: Linkerd2_Tap_Samples_SampleBatch, now: UnixTime) async {
        renewBudget(now: now)
        let end = Self.believed(UnixTime(milliseconds: batch.endMs), now)
        let bucket = Spread.bucket(endingAt: end)
        var rows: [RequestKey: Rollup] = [:]
        for row in batch.rows.prefix(Self.rowsMax) {
            let key = RequestKey(src: row.src.workload, dst: row.dst.workload, method: row.method, path: row.path)
            let counted = budget.admit(Self.bounded(key))
            live.insert(counted)
            rows[counted, default: Rollup()].combine(row.rollup)
        }
        if !rows.isEmpty {
            let parts = rows.map { ScrapeRecord.Part(key: .request($0.key), bucket: bucket, rollup: $0.value) }
            await store.ingest(ScrapeRecord(pod: Self.recordName, at: end, step: [], base: nil, parts: parts))
        }
        let shift = end.since(UnixTime(milliseconds: batch.endMs))
        let exemplars = batch.exemplars.prefix(Self.rowsMax).map { message in
            var exemplar = RequestExemplar(message)
            exemplar.at = min(exemplar.at.advanced(by: shift), now)
            return exemplar
        }
        if !exemplars.isEmpty { await store.ingest(Array(exemplars)) }
    }

    /// Every hour requests that were not seen in it make room for others.
    private mutating func renewBudget(now: UnixTime) {
        guard let last = renewedAt else { return renewedAt = now }
        guard now.since(last) >= 3_600_000 else { return }
        budget.retain(live)
        live = []
        renewedAt = now
    }

    private static func believed(_ time: UnixTime, _ now: UnixTime) -> UnixTime {
        abs(now.milliseconds.subtractingReportingOverflow(time.milliseconds).partialValue) <= clockErrorMilliseconds
            ? min(time, now) : now
    }

    private static func bounded(_ key: RequestKey) -> RequestKey {
        var key = key
        key.method = String(key.method.prefix(32))
        key.path = key.path.utf8.count <= PathTemplate.templateBytesMax ? key.path : WorkloadKey.other.name
        return key
    }
}

extension Linkerd2_Viz_Resource {
    /// The workload that it names.
    var workload: WorkloadKey {
        WorkloadKey(
            namespace: String(namespace.prefix(Self.nameMax)), kind: String(type.prefix(Self.nameMax)),
            name: String(name.prefix(Self.nameMax)))
    }

    /// Names in Kubernetes are no longer.
    private static var nameMax: Int { 253 }
}

extension Linkerd2_Tap_Samples_SampleBatch.Row {
    /// The row's counts; what cannot be is left out.
    var rollup: Rollup {
        var rollup = Rollup()
        func sane(_ value: UInt64) -> UInt64 { min(value, PodIngest.growthMax) }
        rollup[.successes] = sane(successes)
        rollup[.failures] = sane(failures)
        rollup[.requests] = max(sane(requests), rollup[.successes] + rollup[.failures])
        for (counter, value) in zip([Counter.status2xx, .status3xx, .status4xx, .status5xx], statuses) {
            rollup[counter] = sane(value)
        }
        rollup[.grpcResponses] = sane(grpcResponses)
        rollup[.latencySumMilliseconds] = sane(latencySumMs)
        for (index, count) in latencyCounts.prefix(LatencyHistogram.bucketCount).enumerated() {
            rollup.latency[index] = sane(count)
        }
        rollup.extremes = LatencyExtremes(best: sane(bestUs), worst: sane(worstUs), last: sane(lastUs))
        return rollup
    }
}

extension RequestExemplar {
    /// What a message says, texts cut to their bounds.
    init(_ message: Linkerd2_Viz_History_Exemplar) {
        self.init(
            at: UnixTime(milliseconds: message.atMs), src: message.src.workload, dst: message.dst.workload,
            method: String(message.method.prefix(32)), path: String(message.path.prefix(PathTemplate.keptBytesMax)))
        srcPod = String(message.srcPod.prefix(253))
        dstPod = String(message.dstPod.prefix(253))
        httpStatus = message.httpStatus
        grpcStatus = message.hasGrpcStatus ? message.grpcStatus : nil
        isReset = message.isReset
        latencyMicroseconds = min(message.latencyUs, PodIngest.growthMax)
        isFailure = message.isFailure
        traceID = String(message.traceID.prefix(64))
    }
}
