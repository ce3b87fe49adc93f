// The engine behind both doors: from a question to a stream of events. Finds the pods by watch, keeps one
// observer for each, merges what they see, and ends when the caller leaves.

package import Logging
package import MeshAPI
package import MetricsAPI
import SwiftProtobuf
import Synchronization

/// The cluster as the engine asks for it.
package struct TapCluster: Sendable {
    /// One picture of it.
    package let index: @Sendable () -> ClusterIndex
    package let isSynced: @Sendable () -> Bool
    /// Namespaces whose pods nobody may tap.
    package let isDisabledNamespace: @Sendable (String) -> Bool
    /// A tick whenever pods may have changed.
    package let changes: @Sendable () -> AsyncStream<Void>

    package init(
        index: @escaping @Sendable () -> ClusterIndex, isSynced: @escaping @Sendable () -> Bool,
        isDisabledNamespace: @escaping @Sendable (String) -> Bool = { _ in false },
        changes: @escaping @Sendable () -> AsyncStream<Void>
    ) {
        self.index = index
        self.isSynced = isSynced
        self.isDisabledNamespace = isDisabledNamespace
        self.changes = changes
    }
}

/// Answers questions.
package struct TapEngine: Sendable {
    package typealias Event = Linkerd2_Tap_TapEvent
    /// Takes some events, in order; as slow as the caller is, and throws when the caller has left.
    package typealias Write = @Sendable ([Event]) async throws -> Void

    /// Taps at once; more are refused.
    package static let tapsMax = 256
    /// Proxies that one tap observes; pods beyond are left out, by name order.
    package static let targetsMax = 2_000
    /// With a filter, proxies show up to so many times the rate, so that the filter has something to choose from.
    package static let filterFactor = 20.0
    /// How often a caller who wants losses is told of them when no event comes.
    static let lossesPeriod: Duration = .seconds(1)

    private let cluster: TapCluster
    private let privacy: HeaderPrivacy
    private let tapPort: Int
    private let logger: Logger
    package let totals: TapTotals

    package init(cluster: TapCluster, privacy: HeaderPrivacy, tapPort: Int, totals: TapTotals, logger: Logger) {
        self.cluster = cluster
        self.privacy = privacy
        self.tapPort = tapPort
        self.totals = totals
        self.logger = logger
    }

    /// Whether the question can be answered now.
    ///
    /// - Throws: `notFound` when no pod of it can be tapped, `unavailable` when the cluster is not known yet or
    ///   too many taps run.
    package func check(_ question: TapQuestion) throws(TapRefusal) {
        guard cluster.isSynced() else {
            throw TapRefusal(.unavailable, "the cluster's pods are not known yet; try again in a moment")
        }
        guard totals.taps.active < Self.tapsMax else {
            throw TapRefusal(.unavailable, "\(Self.tapsMax) taps run already; try again when one has ended")
        }
        if let refusal = targets(question).refusal(question) { throw refusal }
    }

    /// Streams events until the caller leaves, which `write` says by throwing, or the task is cancelled.
    ///
    package func run(_ question: TapQuestion, write: @escaping Write) async throws {
        totals.began()
        defer { totals.ended() }
        let queue = EventQueue<Event>()
        let cell = DirectoryCell(PodDirectory(cluster.index()))
        let (privacy, wantsHeaders) = (privacy, question.wantsHeaders)
        let run = TapRun(
            question: question, tapPort: tapPort, queue: queue, ledger: LossLedger(total: totals), totals: totals,
            gate: question.filter.isEmpty ? nil : RateGate(perSecond: question.ratePerSecond),
            translator: {
                EventTranslator(directory: cell.current, privacy: privacy, wantsHeaders: wantsHeaders)
            }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.supervise(run, cell) }
            group.addTask { await self.reportLosses(run) }
            group.addTask {
                while let events = await queue.next() { try await write(events) }
            }
            defer {
                queue.finish()
                group.cancelAll()
            }
            try await group.next()
        }
    }

    private func targets(_ question: TapQuestion) -> TapTargets {
        TapTargets(question, in: cluster.index(), isDisabledNamespace: cluster.isDisabledNamespace)
    }

    private func reportLosses(_ run: TapRun) async {
        while !Task.isCancelled {
            // Cancelled: the loop ends.
            try? await Task.sleep(for: Self.lossesPeriod)
            guard run.question.wantsLosses, let losses = run.ledger.unreported() else { continue }
            var event = Event()
            do {
                try event.add(losses)
                try await run.queue.send(event)
            } catch {
                return  // The caller left.
            }
        }
    }

    // MARK: Supervision

    /// A running observer and the end of its leash.
    private struct Running {
        let rate: ObserveRate
        let leash: AsyncStream<Void>.Continuation
    }

    /// Keeps one observer for each pod of the question.
    private func supervise(_ run: TapRun, _ cell: DirectoryCell) async {
        await withDiscardingTaskGroup { group in
            var running: [TapTarget: Running] = [:]
            for await _ in cluster.changes() {
                if Task.isCancelled { break }
                cell.replace(with: PodDirectory(cluster.index()))
                let wanted = targets(run.question).targets.prefix(Self.targetsMax)
                for (target, observer) in running where !wanted.contains(target) {
                    observer.leash.finish()
                    running[target] = nil
                }
                let factor = run.question.filter.isEmpty ? 1 : Self.filterFactor
                let shares = ObserveRate.shares(
                    perSecond: run.question.ratePerSecond * factor, among: wanted.count)
                for (target, rate) in zip(wanted, shares) {
                    if let known = running[target] {
                        guard rate.isWorthRestart(of: known.rate) else { continue }
                        known.leash.finish()
                    }
                    let (leashed, leash) = AsyncStream<Void>.makeStream()
                    running[target] = Running(rate: rate, leash: leash)
                    let observer = ProxyObserver(run: run, target: target, rate: rate)
                    group.addTask { await Self.observe(observer, while: leashed) }
                }
            }
            group.cancelAll()
        }
    }

    /// Observes until the leash is let go.
    private static func observe(_ observer: ProxyObserver, while leashed: AsyncStream<Void>) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await observer.observe() }
            group.addTask { for await _ in leashed {} }
            await group.next()
            group.cancelAll()
        }
    }
}

/// Who is who, replaced when the cluster changes.
private final class DirectoryCell: Sendable {
    private let directory: Mutex<PodDirectory>

    init(_ directory: PodDirectory) { self.directory = Mutex(directory) }

    var current: PodDirectory { directory.withLock { $0 } }
    func replace(with next: PodDirectory) { directory.withLock { $0 = next } }
}
