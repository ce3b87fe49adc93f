import Foundation
import Logging
import MeshRollup
import RollupStore

/// A folder that goes away with the test, and records to fill a store with.
final class StoreFixture {
    let folder: String
    var path: String { folder + "/rollups.db" }
    /// A midnight, so that spans of all tiers begin here.
    static let midnight = UnixTime(milliseconds: 1_700_006_400_000)
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        folder = NSTemporaryDirectory() + "rollups-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func open(at now: UnixTime, pageCountMax: Int? = nil) throws -> RollupStore {
        try RollupStore(path: path, now: now, pageCountMax: pageCountMax, logger: Self.logger)
    }

    static func pod(_ workload: String, _ pod: String, namespace: String = "shop") -> RollupKey {
        .object(
            TrafficKey(
                direction: .inbound,
                workload: WorkloadKey(namespace: namespace, kind: "deployment", name: workload), pod: pod))
    }

    static func edge(_ src: String, _ dst: String) -> RollupKey {
        .edge(
            EdgeKey(
                src: WorkloadKey(namespace: "shop", kind: "deployment", name: src), srcPod: src + "-1",
                dst: WorkloadKey(namespace: "shop", kind: "deployment", name: dst), dstPod: dst + "-1",
                service: dst, tls: "true", tlsDetail: dst + ".id"))
    }

    static func rollup(_ successes: UInt64, failures: UInt64 = 0, open: UInt64? = nil) -> Rollup {
        var rollup = Rollup()
        rollup[.successes] = successes
        rollup[.failures] = failures
        rollup.latency[4] = successes + failures
        if let open { rollup.openConnections = ConnectionGauge(open) }
        return rollup
    }

    /// A record of one scrape with a base, as the first scrape of a pod has.
    static func record(
        _ pod: String, at: UnixTime, _ parts: [(RollupKey, Rollup)], base: [UInt8]? = nil, step: [UInt8] = []
    ) -> ScrapeRecord {
        ScrapeRecord(
            pod: pod, at: at, step: step, base: base,
            parts: parts.map { .init(key: $0.0, bucket: Spread.bucket(endingAt: at), rollup: $0.1) })
    }
}

extension RollupStore {
    /// Successes of a window by workload name.
    func successes(_ from: UnixTime, _ to: UnixTime, now: UnixTime, keepsPods: Bool = false) async throws
        -> [String: UInt64]
    {
        try await totals(.objects, in: Window(from: from, to: to), now: now, keepsPods: keepsPods) { key in
            guard case .object(let traffic) = key else { return nil as String? }
            return keepsPods ? traffic.pod : traffic.workload.name
        }.rollups.mapValues { $0[.successes] }
    }
}
