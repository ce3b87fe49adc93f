// A batch as a message. Pure.

import MeshAPI
import MeshModel
import MeshRollup
import MetricsAPI

extension Linkerd2_Tap_Samples_SampleBatch {
    /// Rows and exemplars in a fixed order.
    init(_ batch: SampleFold.Batch) {
        self.init()
        rows = batch.rows.sorted { $0.key < $1.key }.map { Row($0.key, $0.value) }
        exemplars = batch.exemplars.map(Linkerd2_Viz_History_Exemplar.init)
    }
}

extension Linkerd2_Tap_Samples_SampleBatch.Row {
    fileprivate init(_ key: RequestKey, _ rollup: Rollup) {
        self.init()
        src = Linkerd2_Viz_Resource(key.src)
        dst = Linkerd2_Viz_Resource(key.dst)
        method = key.method
        path = key.path
        requests = rollup[.requests]
        successes = rollup[.successes]
        failures = rollup[.failures]
        statuses = [rollup[.status2xx], rollup[.status3xx], rollup[.status4xx], rollup[.status5xx]]
        grpcResponses = rollup[.grpcResponses]
        let counts = (0..<LatencyHistogram.bucketCount).map { rollup.latency[$0] }
        latencyCounts = Array(counts.prefix((counts.lastIndex { $0 != 0 } ?? -1) + 1))
        latencySumMs = rollup[.latencySumMilliseconds]
        bestUs = rollup.extremes?.best ?? 0
        worstUs = rollup.extremes?.worst ?? 0
        lastUs = rollup.extremes?.last ?? 0
    }
}
