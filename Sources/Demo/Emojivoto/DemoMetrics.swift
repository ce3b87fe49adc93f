import MeshMetrics
import Synchronization

/// Counters of one backend: RPCs by method and code, and votes by emoji. One lock an RPC is fine here.
package final class DemoMetrics: Sendable {
    private struct Handled: Hashable, Comparable {
        let service: String
        let method: String
        let code: String

        static func < (a: Handled, b: Handled) -> Bool {
            (a.service, a.method, a.code) < (b.service, b.method, b.code)
        }
    }

    private struct Counts {
        var handled: [Handled: UInt64] = [:]
        var votes: [String: UInt64] = [:]
    }

    private let counts = Mutex(Counts())

    /// Starts with every counter at zero.
    package init() {}

    /// Counts one finished RPC; `code` is the gRPC code's name, e.g. `OK`.
    package func handled(service: String, method: String, code: String) {
        counts.withLock { $0.handled[Handled(service: service, method: method, code: code), default: 0] += 1 }
    }

    /// Counts one vote that was accepted.
    package func voted(_ shortcode: String) {
        counts.withLock { $0.votes[shortcode, default: 0] += 1 }
    }

    /// The counters in the Prometheus text format.
    package func exposition() -> [UInt8] {
        let (handled, votes) = counts.withLock { ($0.handled, $0.votes) }
        var writer = ExpositionWriter()
        writer.family("grpc_server_handled_total", help: "RPCs completed on the server.", type: .counter)
        for (key, count) in handled.sorted(by: { $0.key < $1.key }) {
            let labels = [
                ("grpc_code", key.code), ("grpc_method", key.method), ("grpc_service", key.service),
                ("grpc_type", "unary"),
            ]
            writer.sample("grpc_server_handled_total", labels: labels, value: count)
        }
        writer.family("emojivoto_votes_total", help: "Votes counted, by emoji.", type: .counter)
        for (shortcode, count) in votes.sorted(by: { $0.key < $1.key }) {
            writer.sample("emojivoto_votes_total", labels: [("emoji", shortcode)], value: count)
        }
        return writer.bytes
    }
}
