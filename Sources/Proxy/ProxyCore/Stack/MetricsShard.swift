// All series of one event loop. Built when a stack or endpoint is built, written by the loop alone, copied by
// the scrape.

import MeshMetrics
package import MeshTransport
package import NIOCore

/// Which families a set of request counters belongs to.
package enum RequestScope: String, Sendable, CaseIterable {
    /// `request_total` and its relatives.
    case endpoint = ""
    /// `route_request_total` and its relatives: what the client of a route sees.
    case route = "route_"
    /// `route_actual_request_total` and `route_actual_response_total`: every attempt.
    case routeActual = "route_actual_"
    /// `control_request_total` and its relatives.
    case control = "control_"
}

/// A plain counter's family; the raw value is its name in the catalogue.
package enum CounterFamily: String, Sendable, CaseIterable {
    case inboundHTTPAuthzAllow = "inbound_http_authz_allow_total"
    case inboundHTTPAuthzDeny = "inbound_http_authz_deny_total"
    case inboundTCPAuthzAllow = "inbound_tcp_authz_allow_total"
    case inboundTCPAuthzDeny = "inbound_tcp_authz_deny_total"
    case inboundHTTPErrors = "inbound_http_errors_total"
    case inboundTCPErrors = "inbound_tcp_errors_total"
    case outboundHTTPErrors = "outbound_http_errors_total"
    case outboundTCPErrors = "outbound_tcp_errors_total"
    case inboundDetections = "inbound_tcp_detect_http_results_total"
    case outboundDetections = "outbound_tcp_detect_http_results_total"
    case outboundProtocols = "outbound_tcp_protocol_connections_total"
    case inboundTransportHeaders = "inbound_tcp_transport_header_connections_total"
    case routeRetryable = "route_retryable_total"
    case folded = "proxy_metrics_folded_total"

    /// What `# HELP` says.
    package var help: String { MetricCatalogue.family(rawValue)?.help ?? "" }
}

/// One counter on one event loop.
package final class Counter {
    package private(set) var value: UInt64 = 0
    /// Counts one.
    package func increment() { value &+= 1 }
}

/// One loop's share of every series. Bound to its loop.
package final class MetricsShard {
    /// Label sets per kind and loop, unless told otherwise.
    package static let seriesMaxDefault = 20_000

    /// Label sets per kind. Beyond it new ones are folded by `LabelFold`, so that totals stay true.
    private let seriesMax: Int

    private struct Entry<Series: AnyObject> {
        var series: Series
        var activity: UInt64 = 0
        var idleSince: NIODeadline
    }

    private var requests: [RequestScope: [String: Entry<RequestMetrics>]] = [:]
    private var transports: [String: Entry<TransportMetrics>] = [:]
    private var counters: [CounterFamily: [String: Counter]] = [:]

    package init(seriesMax: Int = seriesMaxDefault) {
        self.seriesMax = seriesMax
    }

    /// Request counters for `labels` (rendered, without braces); the same object for the same labels.
    package func requests(labels: String, scope: RequestScope = .endpoint) -> RequestMetrics {
        if let known = requests[scope]?[labels] { return known.series }
        let labels = admit(labels, "requests", count: requests[scope]?.count ?? 0)
        if let known = requests[scope]?[labels] { return known.series }
        let made = RequestMetrics(labels: labels)
        requests[scope, default: [:]][labels] = Entry(series: made, idleSince: .now())
        return made
    }

    /// Socket counters for `labels`; the same object for the same labels.
    package func transport(labels: String) -> TransportMetrics {
        if let known = transports[labels] { return known.series }
        let labels = admit(labels, "sockets", count: transports.count)
        if let known = transports[labels] { return known.series }
        let made = TransportMetrics(labels: labels)
        transports[labels] = Entry(series: made, idleSince: .now())
        return made
    }

    /// A counter for `labels`; these never expire.
    package func counter(_ family: CounterFamily, labels: String) -> Counter {
        if let known = counters[family]?[labels] { return known }
        let labels = family == .folded ? labels : admit(labels, "counters", count: counters[family]?.count ?? 0)
        if let known = counters[family]?[labels] { return known }
        let made = Counter()
        counters[family, default: [:]][labels] = made
        return made
    }

    /// The label set to count under: the one asked for, or what is left of it when its kind is full.
    private func admit(_ labels: String, _ kind: String, count: Int) -> String {
        guard count >= seriesMax else { return labels }
        counter(.folded, labels: "kind=\"\(kind)\"").increment()
        return LabelFold.fold(labels)
    }

    /// Copies every number, then forgets series that nobody holds and that have not moved for `retainIdle`.
    package func snapshot(retainIdle: TimeAmount, now: NIODeadline = .now()) -> MetricsSnapshot {
        var snapshot = MetricsSnapshot()
        for (scope, entries) in requests {
            for entry in entries.values { snapshot.add(entry.series, scope: scope) }
        }
        for entry in transports.values { snapshot.add(entry.series) }
        for (family, entries) in counters {
            for (labels, counter) in entries { snapshot.add(counter.value, family: family, labels: labels) }
        }
        let oldest = now - retainIdle
        for scope in Array(requests.keys) {
            Self.expire(&requests[scope, default: [:]], oldest: oldest, now: now) { $0.activity }
        }
        Self.expire(&transports, oldest: oldest, now: now) { $0.activity }
        return snapshot
    }

    private static func expire<Series: AnyObject>(
        _ entries: inout [String: Entry<Series>], oldest: NIODeadline, now: NIODeadline,
        activity: (Series) -> UInt64
    ) {
        // Indices of a dictionary keep a copy of it alive, and every series in it would count as shared; keys
        // do not.
        for key in Array(entries.keys) {
            guard let index = entries.index(forKey: key) else { continue }
            let current = activity(entries.values[index].series)
            if entries.values[index].activity != current {
                entries.values[index].activity = current
                entries.values[index].idleSince = now
            } else if entries.values[index].idleSince <= oldest,
                isKnownUniquelyReferenced(&entries.values[index].series)
            {
                entries.remove(at: index)
            }
        }
    }
}

extension RequestMetrics {
    /// Grows whenever anything was counted.
    fileprivate var activity: UInt64 { outcomes.reduce(requestTotal) { $0 &+ $1.count } }
}

extension TransportMetrics {
    fileprivate var activity: UInt64 { openTotal &+ closeTotal &+ readBytes &+ writeBytes }
}
