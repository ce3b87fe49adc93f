import MeshRollup

extension PrometheusBackend {
    /// A range must hold a few samples for `increase` to say anything: three at the interval that viz asks for.
    static let seriesStepMin: Int64 = 30_000

    package func series(_ query: SeriesQuery) async throws -> SeriesAnswer {
        let step = max(Self.seriesStepMin, query.stepMilliseconds / 1_000 * 1_000)
        let window = query.window.window.aligned(to: step)
        let count = Int(window.milliseconds / step)
        let shape = TrafficShape(query.selected, query.filter)
        var buckets = [TrafficStats?](repeating: nil, count: count)
        guard count > 0 else { return SeriesAnswer(start: window.from, stepMilliseconds: step, buckets: []) }
        let batch = Self.seriesBatch(shape, PromQL.range(step))
        let first = window.from.advanced(by: step)
        let answers = try await withThrowingTaskGroup(of: (Int, [PrometheusSample]).self) { group in
            for (index, item) in batch.enumerated() {
                group.addTask {
                    (
                        index,
                        try await client.queryRange(
                            item.expression, from: first, to: window.to, stepMilliseconds: step)
                    )
                }
            }
            var answers: [Int: [PrometheusSample]] = [:]
            for try await (index, samples) in group { answers[index] = samples }
            return answers
        }
        for (index, samples) in answers {
            for sample in samples {
                for (at, value) in sample.values {
                    // A value at the end of a bucket is about the bucket.
                    let bucket = Int(UnixTime(seconds: at).since(window.from) / step) - 1
                    guard buckets.indices.contains(bucket) else { continue }
                    var stats = buckets[bucket] ?? TrafficStats()
                    Self.add(sample.labels, value, as: batch[index].part, to: &stats)
                    buckets[bucket] = stats
                }
            }
        }
        return SeriesAnswer(start: window.from, stepMilliseconds: step, buckets: buckets)
    }

    private static func seriesBatch(_ shape: TrafficShape, _ range: String) -> Batch {
        var batch: Batch = [
            (.responses, PromQL.increase("response_total", shape.matchers, range, by: ["classification"])),
            (.connections, PromQL.sum("tcp_open_connections", shape.matchers, by: [])),
            (.readBytes, PromQL.increase("tcp_read_bytes_total", shape.byteMatchers, range, by: [])),
            (.writeBytes, PromQL.increase("tcp_write_bytes_total", shape.byteMatchers, range, by: [])),
        ]
        for quantile in PromQL.quantiles {
            let expression = PromQL.quantile(
                quantile, "response_latency_ms_bucket", shape.matchers, range, by: [])
            batch.append((.quantile(quantile), expression))
        }
        return batch
    }
}
