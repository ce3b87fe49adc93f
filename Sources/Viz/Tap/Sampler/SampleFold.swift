// Sampled events in, counts by who asked whom for what out. Pure: time is an argument, and so is what the proxies did
// not show. A request counts when it ends. What a proxy did not show (the rate was used up, nobody read quickly enough)
// is divided over the requests of its that ended, so that estimates of all rows add up to what the proxies saw.

package import MeshAPI
import MeshMetrics
import MeshModel
package import MeshRollup
import SwiftProtobuf

/// Adds up the samples of one stretch of time after another.
package struct SampleFold: Sendable {
    /// What ended in one stretch.
    package struct Batch: Sendable, Equatable {
        package var rows: [RequestKey: Rollup] = [:]
        package var exemplars: [RequestExemplar] = []

        package init() {}
    }

    /// Requests whose end is awaited; beyond it the oldest tenth is forgotten.
    package static let pendingMax = 50_000
    /// Rows of one batch, and those of one destination; requests beyond are counted under `other`.
    package static let rowsMax = 8_192
    package static let rowsPerDestinationMax = 128
    /// Methods with longer names, or of other characters than letters and dashes, are `other`.
    static let methodBytesMax = 16

    private struct ID: Hashable {
        let proxy: String
        let base: UInt32
        let stream: UInt64

        init(proxy: String, _ id: Linkerd2_Tap_TapEvent.Http.StreamId) {
            self.proxy = proxy
            base = id.base
            stream = id.stream
        }
    }

    private struct Pending {
        let order: UInt64
        let src: SampleDirectory.End
        let dst: SampleDirectory.End
        let method: String
        let path: String
        let isGRPC: Bool
        let traceID: String
        var status: UInt32 = 0
    }

    /// A row of one proxy.
    private struct Place: Hashable {
        let proxy: String
        let key: RequestKey
    }

    /// Who is who; replaced when the cluster changes.
    package var directory: SampleDirectory
    private var pending: [ID: Pending] = [:]
    private var order: UInt64 = 0
    private var rows: [Place: Rollup] = [:]
    private var keys: [WorkloadKey: Set<RequestKey>] = [:]
    private var keyCount = 0
    private var exemplars: ExemplarPicker
    /// What proxies did not show and no row has taken yet.
    private var unassigned: [String: UInt64] = [:]

    /// - Parameter exemplarsMax: slowest, and failed, requests kept of one destination in a batch.
    package init(directory: SampleDirectory, exemplarsMax: Int) {
        self.directory = directory
        exemplars = ExemplarPicker(countMax: exemplarsMax)
    }

    // MARK: Events

    /// Takes one event of an inbound proxy; others are skipped.
    package mutating func take(_ event: Linkerd2_Tap_TapEvent, at now: UnixTime) {
        guard event.proxyDirection == .inbound else { return }
        let proxy = Self.text(event.destination.ip)
        switch event.http.event {
        case .requestInit(let part):
            if pending.count >= Self.pendingMax { forgetOldest() }
            order += 1
            pending[ID(proxy: proxy, part.id)] = begun(event, part, proxy)
        case .responseInit(let part): pending[ID(proxy: proxy, part.id)]?.status = part.httpStatus
        case .responseEnd(let part):
            guard let begun = pending.removeValue(forKey: ID(proxy: proxy, part.id)) else { return }
            add(begun, part, proxy, now)
        case nil: break
        }
    }

    private func begun(
        _ event: Linkerd2_Tap_TapEvent, _ part: Linkerd2_Tap_TapEvent.Http.RequestInit, _ proxy: String
    ) -> Pending {
        let contentType = part.headers.headers.first { $0.name.lowercased() == "content-type" }?.valueStr ?? ""
        return Pending(
            order: order, src: directory.end(ip: Self.text(event.source.ip)), dst: directory.end(ip: proxy),
            method: Self.method(part.method), path: part.path, isGRPC: contentType.hasPrefix("application/grpc"),
            traceID: TraceContext.traceID(part.headers))
    }

    private mutating func forgetOldest() {
        let oldest = pending.sorted { $0.value.order < $1.value.order }.prefix(Self.pendingMax / 10)
        for (id, _) in oldest { pending[id] = nil }
    }

    private mutating func add(
        _ begun: Pending, _ end: Linkerd2_Tap_TapEvent.Http.ResponseEnd, _ proxy: String, _ now: UnixTime
    ) {
        let outcome = SampleOutcome(status: begun.status, end)
        let isGRPC = begun.isGRPC || outcome.grpcStatus != nil
        let key = admitted(
            RequestKey(
                src: begun.src.workload, dst: begun.dst.workload, method: begun.method,
                path: PathTemplate.template(of: begun.path, isGRPC: isGRPC)))
        rows[Place(proxy: proxy, key: key), default: Rollup()].append(outcome.rollup)
        guard
            exemplars.wants(
                begun.dst.workload, latencyMicroseconds: outcome.latencyMicroseconds, isFailure: outcome.isFailure)
        else { return }
        var exemplar = RequestExemplar(
            at: now, src: begun.src.workload, dst: begun.dst.workload, method: begun.method,
            path: PathTemplate.kept(begun.path, isGRPC: isGRPC))
        exemplar.srcPod = begun.src.pod
        exemplar.dstPod = begun.dst.pod
        exemplar.httpStatus = outcome.status
        exemplar.grpcStatus = outcome.grpcStatus
        exemplar.isReset = outcome.isReset
        exemplar.latencyMicroseconds = outcome.latencyMicroseconds
        exemplar.isFailure = outcome.isFailure
        exemplar.traceID = begun.traceID
        exemplars.take(exemplar)
    }

    private mutating func admitted(_ key: RequestKey) -> RequestKey {
        let known = keys[key.dst] ?? []
        if known.contains(key) { return key }
        guard known.count < Self.rowsPerDestinationMax, keyCount < Self.rowsMax else {
            // Destinations are workloads that there are; only their folds go beyond the bound.
            return key.folded
        }
        keys[key.dst, default: []].insert(key)
        keyCount += 1
        return key
    }

    // MARK: Batches

    /// Ends a stretch.
    ///
    /// - Parameter unshown: requests that each proxy (by its address) did not show since the last call; a proxy that
    ///   is not in it is gone.
    package mutating func close(unshown: [String: UInt64]) -> Batch {
        for (proxy, count) in unshown { unassigned[proxy, default: 0] &+= count }
        unassigned = unassigned.filter { unshown[$0.key] != nil }
        var batch = Batch()
        for (proxy, places) in Dictionary(grouping: rows.keys, by: \.proxy) {
            let counted = places.sorted { $0.key < $1.key }.map { (key: $0.key, rollup: rows[$0] ?? Rollup()) }
            let rest = unassigned.removeValue(forKey: proxy) ?? 0
            let estimates = Self.estimates(counted.map(\.rollup.responses), plus: rest)
            for (row, estimate) in zip(counted, estimates) {
                var rollup = row.rollup
                rollup[.requests] = estimate
                batch.rows[row.key, default: Rollup()].combine(rollup)
            }
        }
        batch.exemplars = exemplars.drain()
        rows = [:]
        keys = [:]
        keyCount = 0
        return batch
    }

    /// What so many shown requests stand for when `rest` others were not shown: each its share of them, by cumulative
    /// rounding, so that the whole is exact.
    static func estimates(_ counts: [UInt64], plus rest: UInt64) -> [UInt64] {
        let total = counts.reduce(0, +)
        guard total > 0 else { return counts }
        var through: UInt64 = 0
        var given: UInt64 = 0
        return counts.map { count in
            through += count
            // The count through here is at most the total, so the quotient fits.
            let share = total.dividingFullWidth(rest.multipliedFullWidth(by: through)).quotient
            defer { given = share }
            return count + share - given
        }
    }

    // MARK: Texts

    private static func text(_ address: Linkerd2_Common_Net_IPAddress) -> String {
        switch address.ip {
        case .ipv4(let bits): IPText.ipv4(bits)
        case .ipv6(let bits): IPText.ipv6(bits.first, bits.last)
        case nil: ""
        }
    }

    private static func method(_ method: Linkerd2_Viz_HttpMethod) -> String {
        switch method.type {
        case .registered(let known): return "\(known)".uppercased()
        case .unregistered(let text):
            let isName = text.utf8.allSatisfy { byte in
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte & 0xDF) || byte == UInt8(ascii: "-")
            }
            return isName && text.utf8.count <= methodBytesMax ? text : WorkloadKey.other.name
        case nil: return ""
        }
    }
}

/// What became of one request.
private struct SampleOutcome {
    let status: UInt32
    var grpcStatus: UInt32?
    var isReset = false
    let latencyMicroseconds: UInt64

    init(status: UInt32, _ end: Linkerd2_Tap_TapEvent.Http.ResponseEnd) {
        self.status = status
        switch end.eos.end {
        case .grpcStatusCode(let code): grpcStatus = code
        case .resetErrorCode: isReset = true
        case nil: break
        }
        let since = end.sinceRequestInit
        latencyMicroseconds =
            since.seconds >= 0 && since.nanos >= 0
            ? UInt64(clamping: since.seconds) &* 1_000_000 &+ UInt64(since.nanos) / 1_000 : 0
    }

    /// By the rule of `stat`.
    var isFailure: Bool {
        var exchange = Exchange()
        (exchange.status, exchange.grpcStatus, exchange.isReset) = (status, grpcStatus, isReset)
        return exchange.isFailure
    }

    /// The request as one sample.
    var rollup: Rollup {
        var rollup = Rollup()
        rollup[isFailure ? .failures : .successes] = 1
        switch status / 100 {
        case 2: rollup[.status2xx] = 1
        case 3: rollup[.status3xx] = 1
        case 4: rollup[.status4xx] = 1
        case 5: rollup[.status5xx] = 1
        default: break
        }
        if grpcStatus != nil { rollup[.grpcResponses] = 1 }
        let milliseconds = latencyMicroseconds / 1_000
        rollup[.latencySumMilliseconds] = milliseconds
        rollup.latency[LatencyBuckets.index(milliseconds: milliseconds)] = 1
        rollup.extremes = LatencyExtremes(latencyMicroseconds)
        return rollup
    }
}
