import Foundation
public import MeshRollup

/// A made-up mesh whose counters are a function of time, so that any sum over any window is known without counting.
///
/// Used to size volumes, to measure queries over months, and to prove that a store which is killed at any moment
/// neither loses nor doubles what it acknowledged. Workload `i` calls the next `callsPerWorkload` ones; traffic
/// has a daily rhythm; latencies and failures follow a fixed pattern of a hundred requests.
public struct SimulatedMesh: Sendable {
    /// One pod, with the keys that its proxy's scrapes are counted under.
    public struct Pod: Sendable {
        /// Name of its cursor.
        public let id: String
        /// What is counted, with its requests per second.
        let counted: [(key: RollupKey, rate: Double)]
    }

    /// Requests a second of each call of each pod.
    static let baseRate = 3.0
    private static let day = 86_400_000.0

    /// When all counters were zero.
    public let start: UnixTime
    /// Every pod.
    public let pods: [Pod]

    /// - Parameters:
    ///   - namespaces: Workloads are spread over `shop-0`, `shop-1` and so on.
    ///   - start: When all counters are zero.
    public init(workloads: Int, podsPerWorkload: Int, callsPerWorkload: Int, namespaces: Int = 10, start: UnixTime) {
        self.start = start
        let calls = min(callsPerWorkload, max(0, workloads - 1))
        func workload(_ index: Int) -> WorkloadKey {
            WorkloadKey(namespace: "shop-\(index % namespaces)", kind: "deployment", name: "svc-\(index)")
        }
        func podName(_ index: Int, _ pod: Int) -> String { "svc-\(index)-\(pod)" }
        func identity(_ index: Int) -> String {
            "svc-\(index).shop-\(index % namespaces).serviceaccount.identity.linkerd.cluster.local"
        }
        func authority(_ index: Int) -> String { "svc-\(index).shop-\(index % namespaces).svc.cluster.local:8080" }
        pods = (0..<workloads).flatMap { index in
            (0..<podsPerWorkload).map { pod in
                let own = workload(index)
                let name = podName(index, pod)
                var counted: [(key: RollupKey, rate: Double)] = []
                for direction in Direction.allCases {
                    let key = TrafficKey(direction: direction, workload: own, pod: name)
                    counted.append((.object(key), Self.baseRate * Double(calls)))
                }
                for call in 0..<calls {
                    let target = (index + call + 1) % workloads
                    for targetPod in 0..<podsPerWorkload {
                        let edge = EdgeKey(
                            src: own, srcPod: name, dst: workload(target), dstPod: podName(target, targetPod),
                            service: "svc-\(target)", authority: authority(target), tls: "true", tlsDetail: identity(target))
                        counted.append((.edge(edge), Self.baseRate / Double(podsPerWorkload)))
                    }
                    let caller = (index + workloads - call - 1) % workloads
                    let arrival = ArrivalKey(
                        workload: own, pod: name, authority: authority(index), tls: "true", tlsDetail: identity(caller))
                    counted.append((.arrival(arrival), Self.baseRate))
                }
                return Pod(id: name, counted: counted)
            }
        }
    }

    /// Requests of a pod's `index`-th key from the start until `time`.
    public func count(_ pod: Pod, _ index: Int, until time: UnixTime) -> UInt64 {
        let elapsed = Double(max(0, time.since(start)))
        // The integral of 1 + 0.8 sin: never falls.
        let phase = 2 * Double.pi * elapsed / Self.day
        let busy = elapsed / 1_000 + 0.8 * (1 - cos(phase)) * Self.day / 1_000 / (2 * Double.pi)
        return UInt64(busy * pod.counted[index].rate * (1 + Double(index % 5) / 10))
    }

    /// The rollup of the requests after the first `from` up to the first `to`.
    public static func rollup(from: UInt64, to: UInt64) -> Rollup {
        /// Of the first `count` requests, those that stand at `range` in each hundred.
        func within(_ range: Range<UInt64>, _ count: UInt64) -> UInt64 {
            let rest = count % 100
            return count / 100 * UInt64(range.count) + (rest > range.lowerBound ? min(rest, range.upperBound) - range.lowerBound : 0)
        }
        func grown(_ range: Range<UInt64>) -> UInt64 { within(range, to) - within(range, from) }
        var rollup = Rollup()
        rollup[.requests] = to - from
        rollup[.failures] = grown(98..<100)
        rollup[.successes] = to - from - rollup[.failures]
        rollup[.status2xx] = rollup[.successes]
        rollup[.status5xx] = rollup[.failures]
        rollup[.latencySumMilliseconds] = (to - from) * 9
        rollup[.readBytes] = (to - from) * 912
        rollup[.writeBytes] = (to - from) * 4_096
        for (bin, range) in [(0, 0..<20), (1, 20..<45), (2, 45..<60), (5, 60..<80), (6, 80..<92), (10, 92..<98), (12, 98..<100)] {
            rollup.latency[bin] = grown(UInt64(range.lowerBound)..<UInt64(range.upperBound))
        }
        rollup.openConnections = ConnectionGauge(2 + to / 1_000 % 3)
        return rollup
    }

    /// One scrape of a pod at `at`, advancing its cursor.
    public func record(
        _ pod: Pod, at: UnixTime, cursor: inout SeriesCursor, rules: CursorRules, isBase: Bool
    ) -> ScrapeRecord {
        var scrape = Scrape(at: at, processStart: start)
        var before: [UInt64] = []
        for index in pod.counted.indices {
            let id = SeriesID(high: 1, low: UInt64(index) + 1)
            let known = cursor.slot(of: id)
            let slot = known ?? cursor.insert(id)
            before.append(known == nil ? 0 : cursor.value(inSlot: slot))
            scrape.add(slot: slot, isGauge: false, whole: count(pod, index, until: at))
        }
        let delta = cursor.advance(scrape, rules: rules)
        var parts: [ScrapeRecord.Part] = []
        for change in delta.counters {
            // Slots were given out in order, and nothing vanishes.
            let counted = pod.counted[change.slot]
            let from = before[change.slot]
            let rollup = Self.rollup(from: from, to: from + change.amount)
            for part in Spread.parts(rollup, from: delta.from, to: delta.to, isGap: delta.isEstimated) {
                parts.append(ScrapeRecord.Part(key: counted.key, bucket: part.bucket, rollup: part.rollup))
            }
        }
        return ScrapeRecord(
            pod: pod.id, at: at, step: delta.step, base: isBase ? cursor.encodedBase() : nil, parts: parts)
    }

    /// What all keys of one family and workload-level name should hold from `from` to `to`, both on the grid of the
    /// scrapes.
    public func expected(
        _ family: KeyFamily, from: UnixTime, to: UnixTime, groupedBy group: (RollupKey) -> String?
    ) -> [String: UInt64] {
        var sums: [String: UInt64] = [:]
        for pod in pods {
            for index in pod.counted.indices where pod.counted[index].key.family == family {
                guard let name = group(pod.counted[index].key) else { continue }
                sums[name, default: 0] += count(pod, index, until: to) - count(pod, index, until: from)
            }
        }
        return sums.filter { $0.value > 0 }
    }
}
