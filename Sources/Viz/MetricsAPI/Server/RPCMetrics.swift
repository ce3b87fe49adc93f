import GRPCCore
import MeshMetrics
import Synchronization

/// Counts the questions that were asked, by RPC and how they ended, for `/metrics`.
package final class RPCMetrics: Sendable {
    /// Upper bounds of answer times in seconds.
    private static let boundsSeconds = [0.005, 0.025, 0.1, 0.5, 1, 5, 15]

    private struct Counts {
        var byCode: [String: UInt64] = [:]
        var buckets = [UInt64](repeating: 0, count: RPCMetrics.boundsSeconds.count + 1)
        var secondsSum = 0.0
    }

    private let counts = Mutex<[String: Counts]>([:])

    package init() {}

    /// Answers, and counts how it went and how long it took.
    package func counting<Value>(_ rpc: String, _ body: () async throws -> Value) async throws -> Value {
        let start = ContinuousClock.now
        do {
            let value = try await body()
            note(rpc, "OK", ContinuousClock.now - start)
            return value
        } catch {
            note(rpc, (error as? RPCError).map { "\($0.code)" } ?? "unknown", ContinuousClock.now - start)
            throw error
        }
    }

    private func note(_ rpc: String, _ code: String, _ time: Duration) {
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        let bucket = Self.boundsSeconds.firstIndex { seconds <= $0 } ?? Self.boundsSeconds.count
        counts.withLock { counts in
            counts[rpc, default: Counts()].byCode[code, default: 0] += 1
            counts[rpc, default: Counts()].buckets[bucket] += 1
            counts[rpc, default: Counts()].secondsSum += seconds
        }
    }

    /// Writes the families `viz_rpcs_total` and `viz_rpc_duration_seconds`.
    func render(to writer: inout ExpositionWriter) {
        let counts = counts.withLock { $0 }.sorted { $0.key < $1.key }
        guard !counts.isEmpty else { return }
        writer.family("viz_rpcs_total", help: "Questions answered, by RPC and code.", type: .counter)
        for (rpc, count) in counts {
            for (code, value) in count.byCode.sorted(by: { $0.key < $1.key }) {
                writer.sample("viz_rpcs_total", labels: [("rpc", rpc), ("code", code)], value: value)
            }
        }
        let name = "viz_rpc_duration_seconds"
        writer.family(name, help: "Time to answer, by RPC.", type: .histogram)
        for (rpc, count) in counts {
            var total: UInt64 = 0
            for (index, value) in count.buckets.enumerated() {
                total += value
                let bound = index < Self.boundsSeconds.count ? "\(Self.boundsSeconds[index])" : "+Inf"
                writer.sample("\(name)_bucket", labels: [("rpc", rpc), ("le", bound)], value: total)
            }
            writer.sample("\(name)_sum", labels: [("rpc", rpc)], value: count.secondsSum)
            writer.sample("\(name)_count", labels: [("rpc", rpc)], value: total)
        }
    }
}
