// The past of top begins here: one observer for each proxy that may be tapped, showing few requests each, for as long
// as somebody reads what comes of it. Reads inbound sides only, where each request is seen once.

package import Logging
package import MeshAPI
import MeshModel
package import MeshRollup
import MetricsAPI
import SwiftProtobuf
import Synchronization

/// Samples the whole mesh.
package struct Sampler: Sendable {
    package typealias Batch = Linkerd2_Tap_Samples_SampleBatch
    /// Takes a batch; throws when the reader has left.
    package typealias Write = @Sendable (Batch) async throws -> Void

    /// Readers at once: metrics-api, and its successor while it starts.
    package static let readersMax = 2
    /// Proxies observed at most, by namespace and name.
    package static let targetsMax = 1_000
    /// Requests each second that one proxy may be asked for at most.
    package static let ratePerSecondMax = 100.0

    private let cluster: TapCluster
    private let privacy: HeaderPrivacy
    private let tapPort: Int
    private let period: Duration
    private let now: @Sendable () -> UnixTime
    private let logger: Logger
    /// Apart from those of people's taps.
    package let totals: TapTotals

    /// - Parameter period: Length of a batch; batches end on its multiples.
    package init(
        cluster: TapCluster, privacy: HeaderPrivacy, tapPort: Int, totals: TapTotals, period: Duration = .seconds(10),
        logger: Logger, now: @escaping @Sendable () -> UnixTime
    ) {
        self.cluster = cluster
        self.privacy = privacy
        self.tapPort = tapPort
        self.totals = totals
        self.period = period
        self.now = now
        self.logger = logger
    }

    /// Checks a question.
    ///
    /// - Throws: `invalidArgument` for a rate that cannot be, `unavailable` when the cluster is not known yet or
    ///   somebody samples already.
    package func check(_ request: Linkerd2_Tap_Samples_SampleRequest) throws(TapRefusal) {
        guard request.requestsPerSecond > 0, request.requestsPerSecond <= Self.ratePerSecondMax else {
            throw TapRefusal(.invalidArgument, "requests_per_second must be above 0 and at most \(Int(Self.ratePerSecondMax))")
        }
        guard request.exemplars <= 100 else { throw TapRefusal(.invalidArgument, "exemplars must be at most 100") }
        guard cluster.isSynced() else {
            throw TapRefusal(.unavailable, "the cluster's pods are not known yet; try again in a moment")
        }
        guard totals.taps.active < Self.readersMax else {
            throw TapRefusal(.unavailable, "\(Self.readersMax) readers sample already; try again when one has left")
        }
    }

    /// Samples until the reader leaves, which `write` says by throwing, or the task is cancelled.
    package func run(_ request: Linkerd2_Tap_Samples_SampleRequest, write: @escaping Write) async throws {
        totals.began()
        defer { totals.ended() }
        let run = SampleRun(
            fold: SampleFold(directory: SampleDirectory(cluster.index()), exemplarsMax: Int(request.exemplars)))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.supervise(run, rate: request.requestsPerSecond) }
            group.addTask {
                while let events = await run.queue.next() { run.take(events, at: now()) }
            }
            group.addTask { try await self.report(run, write) }
            defer {
                run.queue.finish()
                group.cancelAll()
            }
            try await group.next()
        }
    }

    private func report(_ run: SampleRun, _ write: Write) async throws {
        let step = max(1, period.milliseconds)
        var start = now()
        while true {
            let end = start.floored(to: step).advanced(by: step)
            try await Task.sleep(for: .milliseconds(max(0, end.since(now()))))
            var batch = run.close()
            batch.startMs = start.milliseconds
            batch.endMs = end.milliseconds
            batch.observedProxies = UInt32(clamping: max(0, totals.observerCount))
            try await write(batch)
            // A reader that stood still, or a clock that jumped, makes a longer batch, not many empty ones.
            start = max(end, now().floored(to: step))
        }
    }

    // MARK: Supervision

    /// Keeps one observer for each proxy, until cancelled.
    private func supervise(_ run: SampleRun, rate: Double) async throws {
        let everything = try TapQuestion.sampling(rate: rate, address: nil)
        let share = ObserveRate.shares(perSecond: rate, among: 1)
        await withDiscardingTaskGroup { group in
            var running: [TapTarget: AsyncStream<Void>.Continuation] = [:]
            for await _ in cluster.changes() {
                if Task.isCancelled { break }
                let index = cluster.index()
                let known = TapTargets(everything, in: index, isDisabledNamespace: cluster.isDisabledNamespace).targets
                let wanted = known.prefix(Self.targetsMax)
                run.update(SampleDirectory(index), knownProxies: known.count)
                for (target, leash) in running where !wanted.contains(target) {
                    leash.finish()
                    running[target] = nil
                    run.forget(target)
                }
                for target in wanted where running[target] == nil {
                    // An address that is none has no proxy to observe.
                    guard let question = try? TapQuestion.sampling(rate: rate, address: target.ip) else { continue }
                    let (leashed, leash) = AsyncStream<Void>.makeStream()
                    running[target] = leash
                    let observer = ProxyObserver(run: tapRun(question, run, target), target: target, rate: share[0])
                    group.addTask { await Self.observe(observer, while: leashed) }
                }
            }
            group.cancelAll()
        }
    }

    private func tapRun(_ question: TapQuestion, _ run: SampleRun, _ target: TapTarget) -> TapRun {
        let translator = EventTranslator(directory: PodDirectory(ClusterIndex()), privacy: privacy, wantsHeaders: true)
        return TapRun(
            question: question, tapPort: tapPort, queue: run.queue, ledger: run.ledger(of: target, total: totals),
            totals: totals, gate: nil, translator: { translator }, logger: logger)
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

/// What the observers, the clock and the supervisor of one run share.
private final class SampleRun: Sendable {
    private struct State {
        var fold: SampleFold
        var ledgers: [TapTarget: LossLedger] = [:]
        /// Not shown, as far as it was told on.
        var told: [TapTarget: UInt64] = [:]
        var knownProxies = 0
    }

    let queue = EventQueue<Linkerd2_Tap_TapEvent>()
    private let state: Mutex<State>

    init(fold: SampleFold) { state = Mutex(State(fold: fold)) }

    func take(_ events: [Linkerd2_Tap_TapEvent], at now: UnixTime) {
        state.withLock { state in
            for event in events { state.fold.take(event, at: now) }
        }
    }

    func update(_ directory: SampleDirectory, knownProxies: Int) {
        state.withLock { state in
            state.fold.directory = directory
            state.knownProxies = knownProxies
        }
    }

    func ledger(of target: TapTarget, total: TapTotals) -> LossLedger {
        let ledger = LossLedger(total: total)
        state.withLock { $0.ledgers[target] = ledger }
        return ledger
    }

    func forget(_ target: TapTarget) {
        state.withLock { state in
            state.ledgers[target] = nil
            state.told[target] = nil
        }
    }

    /// What ended since the last call.
    func close() -> Sampler.Batch {
        let (batch, known) = state.withLock { state in
            var unshown: [String: UInt64] = [:]
            for (target, ledger) in state.ledgers {
                let counts = ledger.counts
                let total = counts.limited &+ counts.droppedRequests
                unshown[target.ip, default: 0] &+= total &- (state.told[target] ?? 0)
                state.told[target] = total
            }
            return (state.fold.close(unshown: unshown), state.knownProxies)
        }
        var message = Sampler.Batch(batch)
        message.knownProxies = UInt32(clamping: known)
        return message
    }
}
