import AsyncHTTPClient
package import Logging
package import MeshRollup
import NIOCore
import NIOHTTP1

/// Asks every meshed pod for its metrics, for ever.
package struct Scraper: Sendable {
    /// Scrapes in flight at once.
    package static let concurrencyMax = 32
    /// Largest answer; 500,000 lines of 200 bytes are spread over hundreds of pods.
    package static let bodyBytesMax = 64 << 20
    /// Time for one answer, at most.
    static let timeout: TimeAmount = .seconds(5)
    /// How often due pods are looked for.
    static let tick: Duration = .milliseconds(250)

    private let pods: @Sendable () -> [PodFacts]?
    private let ingestor: Ingestor
    private let intervalMilliseconds: Int64
    private let now: @Sendable () -> UnixTime
    private let logger: Logger

    /// - Parameter pods: The pods there are; `nil` while that is not known yet.
    package init(
        intervalMilliseconds: Int64, ingestor: Ingestor, now: @escaping @Sendable () -> UnixTime,
        logger: Logger,
        pods: @escaping @Sendable () -> [PodFacts]?
    ) {
        self.pods = pods
        self.ingestor = ingestor
        self.intervalMilliseconds = intervalMilliseconds
        self.now = now
        self.logger = logger
    }

    /// Scrapes until cancelled.
    package func run() async {
        var settings = HTTPClient.Configuration()
        settings.timeout = .init(connect: .seconds(2), read: Self.timeout)
        settings.connectionPool.idleTimeout = .seconds(60)
        settings.connectionPool.retryConnectionEstablishment = false
        settings.redirectConfiguration = .disallow
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        let board = Board(ScrapeSchedule(intervalMilliseconds: intervalMilliseconds))
        await withDiscardingTaskGroup { group in
            var ticks = 0
            while !Task.isCancelled {
                await round(client, board, &group)
                ticks += 1
                // Ten minutes after the start, pods that are still missing do not come back.
                if ticks == 4 * 600 { await ingestor.forgetUnclaimed() }
                if ticks.isMultiple(of: 4 * 3_600) { await ingestor.renewBudget() }
                // Cancelled: the loop ends.
                try? await Task.sleep(for: Self.tick)
            }
            group.cancelAll()
        }
        do {
            try await client.shutdown()
        } catch {
            logger.debug("HTTP client did not close", metadata: ["error": "\(error)"])
        }
    }

    private func round(_ client: HTTPClient, _ board: Board, _ group: inout DiscardingTaskGroup) async {
        guard let pods = pods() else { return }
        for id in await board.update(pods, now: now()) { await ingestor.forget(id, at: now()) }
        for pod in await board.due(at: now()) {
            group.addTask {
                await scrape(pod, client)
                await board.finished(pod.cursorID, at: now())
            }
        }
    }

    private func scrape(_ pod: PodFacts, _ client: HTTPClient) async {
        guard let port = pod.adminPort else { return }
        let host = pod.ip.contains(":") ? "[\(pod.ip)]" : pod.ip
        let at = now()
        do {
            let request = HTTPClientRequest(url: "http://\(host):\(port)/metrics")
            let response = try await client.execute(request, timeout: Self.timeout)
            guard response.status == .ok else {
                return await ingestor.failed(pod, "status \(response.status.code)")
            }
            let body = try await response.body.collect(upTo: Self.bodyBytesMax)
            await ingestor.ingest(Array(body.readableBytesView), of: pod, at: at)
        } catch {
            if Task.isCancelled { return }
            await ingestor.failed(pod, "\(error)")
            logger.debug(
                "Scrape failed",
                metadata: [
                    "pod": "\(pod.namespace)/\(pod.name)", "address": "\(host):\(port)", "error": "\(error)",
                ])
        }
    }
}

/// The schedule, shared by the loop and the scrapes in flight.
private actor Board {
    private var schedule: ScrapeSchedule
    private var inFlightCount = 0

    init(_ schedule: ScrapeSchedule) { self.schedule = schedule }

    func update(_ pods: [PodFacts], now: UnixTime) -> [String] { schedule.update(pods, now: now) }

    func due(at now: UnixTime) -> [PodFacts] {
        let due = schedule.due(at: now, limit: Scraper.concurrencyMax - inFlightCount)
        inFlightCount += due.count
        return due
    }

    func finished(_ id: String, at now: UnixTime) {
        inFlightCount -= 1
        schedule.finished(id, at: now)
    }
}
