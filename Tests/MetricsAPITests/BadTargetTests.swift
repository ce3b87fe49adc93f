import Foundation
import MeshCompression
import MeshKubernetes
import MeshRollup
import MetricsAPI
import NIOCore
import RollupStore
import Synchronization
import Testing

/// Scrapes targets over real HTTP, bad and good ones side by side.
@Suite("Bad targets", .serialized, .timeLimit(.minutes(2)))
struct BadTargetTests {
    private func facts(_ name: String, port: Int) -> PodFacts {
        PodFacts(
            Fixtures.pod("emojivoto", name, adminPort: port), owners: [WorkloadKey(namespace: "emojivoto", kind: "deployment", name: name)])
    }

    /// Runs a scraper over `pods` until `isDone`, or fails.
    private func scrape(
        _ pods: [PodFacts], _ ingestor: Ingestor, now: @escaping @Sendable () -> UnixTime,
        until isDone: ([TargetStatus]) async throws -> Bool
    ) async throws {
        let scraper = Scraper(intervalMilliseconds: 1_000, ingestor: ingestor, now: now, logger: Fixtures.logger) { pods }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await scraper.run() }
            let deadline = ContinuousClock.now + .seconds(40)
            var isMet = false
            while !isMet, ContinuousClock.now < deadline {
                isMet = try await isDone(await ingestor.targetStatuses())
                if !isMet { try await Task.sleep(for: .milliseconds(50)) }
            }
            let statuses = await ingestor.targetStatuses()
            #expect(isMet, "\(statuses.map { "\($0.pod): \($0.health) \($0.problems)" })")
            group.cancelAll()
        }
    }

    private func makeIngestor(_ box: StoreBox) -> Ingestor {
        Ingestor(
            store: box.store, rules: CursorRules(intervalMilliseconds: 1_000), clusterDomain: "cluster.local", logger: Fixtures.logger)
    }

    private static let garbage: [UInt8] = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }

    private static func answer(_ body: [UInt8], headers: String = "") -> [UInt8] {
        Array((HostileTarget.head + headers + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n").utf8) + body
    }

    /// Series that no two lines share: ten million of them take minutes to send, so the size limit ends it.
    private static func labelSets(_ piece: Int) -> [UInt8] {
        var text = ""
        for line in 0..<200 {
            text += "response_total{direction=\"outbound\",dst_pod=\"p\(piece)-\(line)\",dst_deployment=\"d\(piece)-\(line)\",classification=\"success\"} 1\n"
        }
        return Array(text.utf8)
    }

    static let behaviours: [(name: String, behaviour: HostileTarget.Behaviour, problem: String)] = [
        ("garbage", .fixed(answer(garbage)), "no samples"),
        ("no-http", .fixed(garbage), "no HTTP"),
        ("endless", .endless(head: HostileTarget.head + "\r\n") { _ in [UInt8](repeating: 0x61, count: 65_536) }, "larger than"),
        ("announced", .fixed(Array((HostileTarget.head + "Content-Length: 1073741824\r\n\r\n").utf8)), "larger than"),
        ("drip", .drip(head: HostileTarget.head + "\r\n"), "within"),
        ("silence", .silence, "within"),
        ("hangs-up", .fixed([]), "closed before the answer's end"),
        ("cut-short", .fixed(Array((HostileTarget.head + "Content-Length: 9\r\n\r\n# H").utf8)), "closed before the answer's end"),
        ("label-sets", .endless(head: HostileTarget.head + "\r\n", piece: labelSets), "larger than"),
        ("error", .fixed(Array("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".utf8)), "status 500"),
        ("brotli", .fixed(answer([1, 2, 3], headers: "Content-Encoding: br\r\n")), "encoded as br"),
        ("bad-gzip", .fixed(answer([1, 2, 3], headers: "Content-Encoding: gzip\r\n")), "gzip"),
        ("cut-openmetrics", .fixed(openMetrics("response_total{direction=\"inbound\",tls=\"true\",classification=\"success\"} 5\n")), "# EOF"),
    ]

    private static func openMetrics(_ text: String) -> [UInt8] {
        let type = "application/openmetrics-text; version=1.0.0"
        let head = "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Length: \(text.utf8.count)\r\nConnection: close\r\n\r\n"
        return Array((head + text).utf8)
    }

    @Test("Each is named with its reason, and a good one beside them is scraped all the while")
    func allAtOnce() async throws {
        let box = try StoreBox(now: Fixtures.start)
        let ingestor = makeIngestor(box)
        let begun = ContinuousClock.now
        let now: @Sendable () -> UnixTime = {
            let passed = begun.duration(to: .now).components
            let milliseconds = passed.seconds * 1_000 + passed.attoseconds / 1_000_000_000_000_000
            return Fixtures.start.advanced(by: 5_000 + milliseconds)
        }
        let served = Mutex(0)
        let start = Double(Fixtures.start.milliseconds) / 1_000
        let good = try await HostileTarget.start(
            .computed { Self.answer(exposition(inbound: served.withLock { $0 += 1; return $0 }, outbound: 0, start: start)) })
        var targets = [good]
        var pods = [facts("good", port: good.port)]
        for (name, behaviour, _) in Self.behaviours {
            let target = try await HostileTarget.start(behaviour)
            targets.append(target)
            pods.append(facts(name, port: target.port))
        }
        let nobody = try await HostileTarget.start(.silence)
        try await nobody.stop()
        pods.append(facts("nobody", port: nobody.port))
        let memory = Self.residentBytes()
        try await scrape(pods, ingestor, now: now) { statuses in
            let byName = Dictionary(uniqueKeysWithValues: statuses.map { ($0.pod, $0) })
            let expected = Self.behaviours.map { ($0.name, $0.problem) } + [("nobody", "no connection")]
            return expected.allSatisfy { name, problem in
                guard let status = byName[name], status.health == .down || status.health == .faulty else { return false }
                return status.problems.contains { $0.contains(problem) }
            } && served.withLock { $0 } > 10
        }
        for target in targets { try await target.stop() }
        let grown = Self.residentBytes() - memory
        #expect(grown < 400 << 20, "grew by \(grown >> 20) MiB")
        // The good target's counts are what it served until its last scrape.
        let end = Fixtures.start.advanced(by: 600_000)
        let totals = try await box.store.totals(
            .objects, in: Window(from: Fixtures.start.advanced(by: -600_000), to: end), now: end, keepsPods: false
        ) { key in
            if case .object(let traffic) = key { traffic.workload.name } else { nil as String? }
        }
        let counted = try #require(totals.rollups["good"])[.successes]
        #expect(counted > 9 && counted <= UInt64(served.withLock { $0 }))
        #expect(totals.rollups["label-sets"] == nil, "an answer that is too large counts for nothing")
    }

    private static func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""  // Always there on Linux.
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4_096
    }

    @Test("Compressed and OpenMetrics answers count as plain ones do")
    func encodings() async throws {
        let start = Double(Fixtures.start.milliseconds) / 1_000
        let plain = exposition(inbound: 50, outbound: 7, start: start)
        let packed = Array(try Gzip.compress(ByteBuffer(bytes: plain)).readableBytesView)
        let answers = [
            "plain": Self.answer(plain), "gzip": Self.answer(packed, headers: "Content-Encoding: gzip\r\n"),
            "openmetrics": Self.openMetrics(String(decoding: plain, as: UTF8.self)),
        ]
        let box = try StoreBox(now: Fixtures.start)
        let ingestor = makeIngestor(box)
        var pods: [PodFacts] = []
        var targets: [HostileTarget] = []
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            let target = try await HostileTarget.start(.fixed(answer))
            targets.append(target)
            pods.append(facts(name, port: target.port))
        }
        let clock = Mutex(Fixtures.start.advanced(by: 5_000))
        let now: @Sendable () -> UnixTime = {
            clock.withLock { time in
                time = time.advanced(by: 25)
                return time
            }
        }
        try await scrape(pods, ingestor, now: now) { $0.count == 3 && $0.allSatisfy { $0.scrapedAt != nil } }
        for target in targets { try await target.stop() }
        let end = Fixtures.start.advanced(by: 600_000)
        let totals = try await box.store.totals(
            .objects, in: Window(from: Fixtures.start.advanced(by: -600_000), to: end), now: end, keepsPods: false
        ) { key in
            guard case .object(let traffic) = key, traffic.direction == .inbound else { return nil as String? }
            return traffic.workload.name
        }
        #expect(totals.rollups.mapValues { $0[.successes] } == ["plain": 50, "gzip": 50, "openmetrics": 50])
    }
}
