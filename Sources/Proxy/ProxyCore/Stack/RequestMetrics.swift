// Request counters of one label set on one event loop. Written per request, so integer adds only; the scrape
// hops to the loop, copies the numbers and sums the loops' shares.

import MeshMetrics

/// `request_total`, `response_total` and `response_latency_ms` for one label set, on one event loop.
package final class RequestMetrics {
    /// One status code's latency histogram.
    package struct Latency: Sendable {
        package let status: Int
        /// One count per bound of `LatencyBuckets.boundsMilliseconds`, then one for everything above.
        package fileprivate(set) var counts: [UInt64]
        package fileprivate(set) var sumMilliseconds: UInt64 = 0

        /// Adds another loop's histogram of the same status.
        package mutating func merge(_ other: Latency) {
            for index in counts.indices { counts[index] &+= other.counts[index] }
            sumMilliseconds &+= other.sumMilliseconds
        }
    }

    /// How a response ended: one series of `response_total`.
    package struct Outcome: Hashable, Sendable {
        /// 0 when it failed before a status was known.
        package let status: Int
        /// -1 when there was none.
        package let grpcStatus: Int
        package let classification: Classification
        /// `error` label; empty when the response completed.
        package let error: String
    }

    /// The labels, rendered as `a="b",c="d"`, without braces.
    package let labels: String
    package private(set) var requestTotal: UInt64 = 0
    package private(set) var latencies: [Latency] = []
    package private(set) var outcomes: [(outcome: Outcome, count: UInt64)] = []

    package init(labels: String) {
        self.labels = labels
    }

    /// Counts a request, when its body starts to flow or at once when it has none.
    package func requestStarted() { requestTotal &+= 1 }

    /// Records the time from dispatch to the first byte of the answer.
    package func responseHead(status: Int, latencyNanoseconds: UInt64) {
        let milliseconds = latencyNanoseconds / 1_000_000
        let bucket = LatencyBuckets.index(milliseconds: milliseconds)
        if let first = latencies.first, first.status == status {
            latencies[0].counts[bucket] &+= 1
            latencies[0].sumMilliseconds &+= milliseconds
            return
        }
        recordSlowly(status: status, bucket: bucket, milliseconds: milliseconds)
    }

    /// Counts a completed response.
    package func responseEnded(status: Int, grpcStatus: Int?, isFailure: Bool) {
        let grpc = grpcStatus ?? -1
        let classification: Classification = isFailure ? .failure : .success
        for index in outcomes.indices {
            let known = outcomes[index].outcome
            if known.status == status, known.grpcStatus == grpc, known.classification == classification,
                known.error.isEmpty
            {
                outcomes[index].count &+= 1
                return
            }
        }
        outcomes.append(
            (Outcome(status: status, grpcStatus: grpc, classification: classification, error: ""), 1))
    }

    /// Counts a response that broke off, or never began.
    /// - Parameters:
    ///   - status: the status already sent; `nil` when none was.
    ///   - error: the `error` label, from a small closed set such as `h2(CANCEL)` or `unclassified`.
    package func requestFailed(status: Int?, error: String) {
        let outcome = Outcome(status: status ?? 0, grpcStatus: -1, classification: .failure, error: error)
        if let index = outcomes.firstIndex(where: { $0.outcome == outcome }) {
            outcomes[index].count &+= 1
        } else {
            outcomes.append((outcome, 1))
        }
    }

    private func recordSlowly(status: Int, bucket: Int, milliseconds: UInt64) {
        let index: Int
        if let known = latencies.firstIndex(where: { $0.status == status }) {
            index = known
        } else {
            let counts = [UInt64](repeating: 0, count: LatencyBuckets.boundsMilliseconds.count + 1)
            latencies.append(Latency(status: status, counts: counts))
            index = latencies.count - 1
        }
        latencies[index].counts[bucket] &+= 1
        latencies[index].sumMilliseconds &+= milliseconds
    }
}
