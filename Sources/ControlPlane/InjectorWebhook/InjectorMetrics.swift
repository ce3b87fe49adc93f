// What the injector counts, in Linkerd's names: requests and responses by the owner's kind, the namespace, where
// the decisive annotation stood, and one truth value for each annotation that took part.

internal import Injector
internal import MeshMetrics
internal import Synchronization

/// Counters of the webhook.
package final class InjectorMetrics: Sendable {
    /// Combinations of labels that are told apart; namespaces beyond share `other`.
    static let seriesMax = 2_000

    /// Annotations that have a label, which is their name with underscores.
    private static let settings = [
        "access-log", "admin-port", "close-wait-timeout", "control-port", "debug-image",
        "default-inbound-policy", "enable-debug-sidecar", "enable-external-profiles", "enable-gateway",
        "image-pull-policy", "inbound-port", "opaque-ports", "outbound-port", "proxy-await", "proxy-cpu-limit",
        "proxy-cpu-request", "proxy-image", "proxy-log-format", "proxy-log-level", "proxy-memory-limit",
        "proxy-memory-request", "proxy-uid", "proxy-version", "shutdown-grace-period", "skip-inbound-ports",
        "skip-outbound-ports", "skip-subnets",
    ]

    private struct Series: Hashable {
        var labels: String
        var skip: Bool
        var reason: String
    }

    private struct Totals {
        var requests: [String: UInt64] = [:]
        var responses: [Series: UInt64] = [:]
        var eventsDroppedCount: UInt64 = 0
    }

    private let totals = Mutex(Totals())

    package init() {}

    func decided(_ result: AdmissionInjectionResult, ownerKind: String, namespace: String) {
        func labels(_ namespace: String) -> String {
            let named = [
                ("owner_kind", ownerKind), ("namespace", namespace), ("annotation_at", result.annotationPlace.rawValue),
            ]
            let flags = Self.settings.map { ($0.replacing("-", with: "_"), "\(result.settings.contains($0))") }
            return ExpositionWriter.labelText(named + flags)
        }
        totals.withLock { totals in
            let own = labels(namespace)
            let isRoom = totals.requests[own] != nil || totals.requests.count < Self.seriesMax
            let text = isRoom ? own : labels("other")
            totals.requests[text, default: 0] += 1
            let reason = result.reasons.map(\.label).joined(separator: ",")
            totals.responses[Series(labels: text, skip: !result.isInjected, reason: reason), default: 0] += 1
        }
    }

    func eventDropped() { totals.withLock { $0.eventsDroppedCount += 1 } }

    /// The exposition text.
    package func render() -> [UInt8] {
        let totals = totals.withLock { $0 }
        var writer = ExpositionWriter()
        let requests = "proxy_inject_admission_requests_total"
        writer.family(requests, help: "Pods that admission was asked about.", type: .counter)
        for (labels, count) in totals.requests.sorted(by: { $0.key < $1.key }) {
            writer.sample(requests, labelText: labels, value: count)
        }
        let responses = "proxy_inject_admission_responses_total"
        writer.family(responses, help: "Pods that were decided about.", type: .counter)
        let sorted = totals.responses.sorted {
            ($0.key.labels, $0.key.reason) < ($1.key.labels, $1.key.reason)
        }
        for (series, count) in sorted {
            let more = ExpositionWriter.labelText([("skip", "\(series.skip)"), ("skip_reason", series.reason)])
            writer.sample(responses, labelText: "\(series.labels),\(more)", value: count)
        }
        writer.family(
            "proxy_inject_events_dropped_total", help: "Kubernetes Events not written.", type: .counter)
        writer.sample("proxy_inject_events_dropped_total", labelText: "", value: totals.eventsDroppedCount)
        return writer.bytes
    }
}
