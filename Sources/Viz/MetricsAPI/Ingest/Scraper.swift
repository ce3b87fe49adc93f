package import Logging
package import MeshRollup

/// Asks every meshed pod for its metrics, for ever.
package struct Scraper: Sendable {
    /// How often due pods are looked for.
    static let tick: Duration = .milliseconds(250)

    private let pods: @Sendable () -> [PodFacts]?
    private let version: (@Sendable () -> UInt64)?
    private let ingestor: Ingestor
    private let intervalMilliseconds: Int64
    private let acceptsGzip: Bool
    private let now: @Sendable () -> UnixTime
    private let logger: Logger

    /// - Parameters:
    ///   - acceptsGzip: Whether targets may compress their answers.
    ///   - version: Changes when `pods` may have; without it they are compared each time.
    ///   - pods: The pods there are; `nil` while that is not known yet.
    package init(
        intervalMilliseconds: Int64, ingestor: Ingestor, acceptsGzip: Bool = false,
        now: @escaping @Sendable () -> UnixTime, logger: Logger, version: (@Sendable () -> UInt64)? = nil,
        pods: @escaping @Sendable () -> [PodFacts]?
    ) {
        self.pods = pods
        self.version = version
        self.ingestor = ingestor
        self.intervalMilliseconds = intervalMilliseconds
        self.acceptsGzip = acceptsGzip
        self.now = now
        self.logger = logger
    }

    /// Scrapes until cancelled.
    package func run() async {
        let client = ScrapeClient(acceptsGzip: acceptsGzip)
        let board = Board(ScrapeSchedule(intervalMilliseconds: intervalMilliseconds))
        await withDiscardingTaskGroup { group in
            var ticks = 0
            var seenVersion: UInt64?
            while !Task.isCancelled {
                await round(client, board, &seenVersion, &group)
                ticks += 1
                // Ten minutes after the start, pods that are still missing do not come back.
                if ticks == 4 * 600 { await ingestor.forgetUnclaimed() }
                if ticks.isMultiple(of: 4 * 3_600) { await ingestor.renewBudget() }
                // Cancelled: the loop ends.
                try? await Task.sleep(for: Self.tick)
            }
            group.cancelAll()
        }
    }

    private func round(
        _ client: ScrapeClient, _ board: Board, _ seenVersion: inout UInt64?, _ group: inout DiscardingTaskGroup
    ) async {
        // Taken before the pods: a change in between is seen again.
        let version = version?()
        if version == nil || version != seenVersion {
            guard let pods = pods() else { return }
            for id in await board.update(pods, now: now()) { await ingestor.forget(id, at: now()) }
            seenVersion = version
        }
        for (pod, expected) in await board.due(at: now()) {
            group.addTask {
                let bytes = await scrape(pod, client, expecting: expected)
                await board.finished(pod.cursorID, bytes: bytes, at: now())
            }
        }
    }

    /// - Returns: Bytes of the answer; `nil` when there was none.
    private func scrape(_ pod: PodFacts, _ client: ScrapeClient, expecting expected: Int) async -> Int? {
        let at = now()
        let started = ContinuousClock.now
        func elapsed() -> Int64 {
            let duration = started.duration(to: .now).components
            return duration.seconds * 1_000 + duration.attoseconds / 1_000_000_000_000_000
        }
        do {
            let answer = try await client.scrape(pod.ip, port: pod.adminPort ?? 0, expecting: expected)
            await ingestor.ingest(
                answer.body, of: pod, at: at, needsEnd: answer.isOpenMetrics, milliseconds: elapsed())
            return withExtendedLifetime(answer.grant) { answer.body.count }
        } catch {
            if Task.isCancelled { return nil }
            await ingestor.failed(pod, "\(error)", milliseconds: elapsed())
            logger.debug(
                "Scrape failed",
                metadata: ["pod": "\(pod.namespace)/\(pod.name)", "address": "\(pod.scrapeURL)", "error": "\(error)"])
            return nil
        }
    }
}

/// The schedule, shared by the loop and the scrapes in flight.
private actor Board {
    private var schedule: ScrapeSchedule
    private var bytes: [String: Int] = [:]

    init(_ schedule: ScrapeSchedule) { self.schedule = schedule }

    func update(_ pods: [PodFacts], now: UnixTime) -> [String] {
        let gone = schedule.update(pods, now: now)
        for id in gone { bytes[id] = nil }
        return gone
    }

    /// The pods whose turn it is, and how large their answers may be.
    func due(at now: UnixTime) -> [(PodFacts, Int)] {
        schedule.due(at: now).map { ($0, bytes[$0.cursorID] ?? 0) }
    }

    /// - Parameter count: Bytes of the answer; `nil` when there was none.
    func finished(_ id: String, bytes count: Int?, at now: UnixTime) {
        guard schedule.finished(id, isUp: count != nil, at: now) else { return }  // It is gone meanwhile.
        // Answers change little from one to the next: a little more room than the last one took.
        if let count { bytes[id] = count + count / 16 + 1_024 }
    }
}
