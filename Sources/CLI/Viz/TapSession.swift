import ArgumentParser
import MeshAPI
import MeshKubernetes
import Synchronization

/// What a session tells besides events; words go to standard error unless somebody else takes them.
struct TapReports: Sendable {
    /// The first stream is open.
    var onStart: @Sendable () -> Void = {}
    /// What was not shown, now and then; what the user's own filter left out is no loss.
    var onLoss: @Sendable (TapLoss) -> Void = { Terminal.say("# \($0.text)") }
    /// The stream broke.
    var onBreak: @Sendable (String) -> Void = { Terminal.say("# \($0)") }
}

/// One tap from beginning to end, whatever is done with its events.
struct TapSession: Sendable {
    private let follower: TapFollower
    private let call: TapCall
    private let duration: Duration?
    private let count: UInt64

    /// The caller has seen enough.
    private struct Enough: Error {}

    /// Checks everything that can be checked without the cluster.
    ///
    /// - Throws: `ArgumentMistake`; `ExitCode` when there is no kubeconfig, after saying so.
    init(
        global: GlobalOptions, viz: VizOptions, selection: TapSelection, end: TapEnd, resource: [String],
        wantsHeaders: Bool
    ) throws {
        duration = try end.duration()
        count = end.count
        // Without a kubeconfig there is no context; the mistakes of the command line come first.
        let loaded = try? global.kubernetesConfig()
        call = try selection.call(resource, contextNamespace: loaded?.namespace ?? "default", wantsHeaders: wantsHeaders)
        do {
            let config = try global.kubernetesConfig()
            let client = try KubernetesClient(config: config, logger: global.logger)
            follower = TapFollower(
                config: config, client: client, vizNamespace: viz.vizNamespace, logger: global.logger)
        } catch {
            Terminal.say("Cannot connect to Kubernetes: \(error)\nValidate the install with: linkerd viz check")
            throw ExitCode(1)
        }
    }

    /// Hands entries over until the end that the user asked for, or for ever.
    ///
    /// - Throws: `ExitCode` after the failure was said; what `sink` throws.
    func run(
        _ reports: TapReports = TapReports(), _ sink: @escaping @Sendable (TapEntry) async throws -> Void
    ) async throws {
        let progress = TapProgress(limit: count)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await follower.follow(call) { change in
                        switch change {
                        case .started: reports.onStart()
                        case .broke(let why): reports.onBreak(why)
                        case .resumed(let interruption): reports.onLoss(progress.resumed(after: interruption))
                        }
                    } sink: { event in
                        if let loss = progress.loss(event) { reports.onLoss(loss) }
                        if event.http.event != nil {
                            let entry = TapEntry(event)
                            if progress.shows(entry) { try await sink(entry) }
                        }
                        if progress.isEnough { throw Enough() }
                    }
                }
                if let duration {
                    group.addTask {
                        try await Task.sleep(for: duration)
                        throw Enough()
                    }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch is Enough {
        } catch let failure as TapFailure {
            await follower.client.shutdown()
            Terminal.say("\(failure)")
            throw ExitCode(1)
        }
        await follower.client.shutdown()
        if let loss = progress.lastLoss() { reports.onLoss(loss) }
    }
}

/// How far a session has come.
private final class TapProgress: Sendable {
    private struct State {
        var counter: TapCounter
        var losses = TapLossTracker()
    }

    private let state: Mutex<State>

    init(limit: UInt64) { state = Mutex(State(counter: TapCounter(limit: limit))) }

    var isEnough: Bool { state.withLock { $0.counter.isEnough } }
    func shows(_ entry: TapEntry) -> Bool { state.withLock { $0.counter.take(entry) } }
    func lastLoss() -> TapLoss? { state.withLock { $0.losses.rest() } }

    func loss(_ event: Linkerd2_Tap_TapEvent) -> TapLoss? {
        state.withLock { state in
            let loss = state.losses.take(event, at: .now)
            state.counter.cut = state.losses.cut
            return loss
        }
    }

    func resumed(after interruption: TapInterruption) -> TapLoss {
        state.withLock { state in
            state.losses.resumed(after: interruption, openCount: state.counter.interrupted())
        }
    }
}

/// Lets so many requests through, each with its events.
struct TapCounter: Sendable {
    /// Requests whose end is awaited and remembered; those beyond end unnoticed.
    static let openMax = 100_000

    private let limit: UInt64
    private var begun: UInt64 = 0
    private var open: Set<String> = []
    /// Requests of this stream whose end the service says will never come; it does not say which.
    var cut: UInt64 = 0

    /// - Parameter limit: 0 lets all through.
    init(limit: UInt64) { self.limit = limit }

    /// Whether the limit is reached, and nothing is awaited that can still come.
    var isEnough: Bool { limit > 0 && begun >= limit && UInt64(open.count) <= cut }

    /// Whether an event is shown.
    mutating func take(_ entry: TapEntry) -> Bool {
        switch entry.part {
        case .request:
            guard limit == 0 || begun < limit else { return false }
            begun += 1
            if open.count < Self.openMax { open.insert(entry.key) }
            return true
        case .response, .unknown: return limit == 0 || open.contains(entry.key)
        case .end: return open.remove(entry.key) != nil || limit == 0
        }
    }

    /// The stream is another one now.
    /// - Returns: how many requests will not see their end.
    mutating func interrupted() -> Int {
        defer {
            open = []
            cut = 0
        }
        return open.count
    }
}
