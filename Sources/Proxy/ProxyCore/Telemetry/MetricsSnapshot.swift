import MeshTransport

/// Numbers of one or several loops, by labels; values that can be handed to another loop and added up.
package struct MetricsSnapshot: Sendable {
    /// Request counters of one label set.
    package struct Requests: Sendable {
        package var requestTotal: UInt64 = 0
        package var latencies: [RequestMetrics.Latency] = []
        package var outcomes: [RequestMetrics.Outcome: UInt64] = [:]
    }

    /// Socket counters of one label set.
    package struct Sockets: Sendable {
        package var openTotal: UInt64 = 0
        package var openCount: UInt64 = 0
        package var readBytes: UInt64 = 0
        package var writeBytes: UInt64 = 0
        package var closes: [CInt: UInt64] = [:]
    }

    package private(set) var requests: [RequestScope: [String: Requests]] = [:]
    package private(set) var sockets: [String: Sockets] = [:]
    package private(set) var counters: [CounterFamily: [String: UInt64]] = [:]

    package init() {}

    mutating func add(_ series: RequestMetrics, scope: RequestScope) {
        var sum = Requests(requestTotal: series.requestTotal, latencies: series.latencies)
        for (outcome, count) in series.outcomes { sum.outcomes[outcome, default: 0] &+= count }
        requests[scope, default: [:]][series.labels] = sum
    }

    mutating func add(_ series: TransportMetrics) {
        var sum = Sockets(
            openTotal: series.openTotal, openCount: series.openCount, readBytes: series.readBytes,
            writeBytes: series.writeBytes)
        for (errno, count) in series.closes { sum.closes[errno, default: 0] &+= count }
        sockets[series.labels] = sum
    }

    mutating func add(_ value: UInt64, family: CounterFamily, labels: String) {
        counters[family, default: [:]][labels, default: 0] &+= value
    }

    /// Adds another loop's numbers.
    package mutating func merge(_ other: MetricsSnapshot) {
        for (scope, entries) in other.requests {
            for (labels, theirs) in entries {
                requests[scope, default: [:]][labels, default: Requests()].merge(theirs)
            }
        }
        for (labels, theirs) in other.sockets { sockets[labels, default: Sockets()].merge(theirs) }
        for (family, entries) in other.counters {
            for (labels, value) in entries { add(value, family: family, labels: labels) }
        }
    }
}

extension MetricsSnapshot.Requests {
    fileprivate mutating func merge(_ other: Self) {
        requestTotal &+= other.requestTotal
        for (outcome, count) in other.outcomes { outcomes[outcome, default: 0] &+= count }
        for theirs in other.latencies {
            if let index = latencies.firstIndex(where: { $0.status == theirs.status }) {
                latencies[index].merge(theirs)
            } else {
                latencies.append(theirs)
            }
        }
    }
}

extension MetricsSnapshot.Sockets {
    fileprivate mutating func merge(_ other: Self) {
        openTotal &+= other.openTotal
        openCount &+= other.openCount
        readBytes &+= other.readBytes
        writeBytes &+= other.writeBytes
        for (errno, count) in other.closes { closes[errno, default: 0] &+= count }
    }
}
