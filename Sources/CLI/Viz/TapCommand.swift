package import ArgumentParser
import MeshAPI
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Synchronization

/// `linkerd viz tap`: live requests.
package struct TapCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "tap", abstract: "Listen to a traffic stream.",
        subcommands: [TapWatchCommand.self, TapRecordCommand.self, TapReplayCommand.self],
        defaultSubcommand: TapWatchCommand.self)

    package init() {}
}

/// How `tap` prints.
package enum TapOutput: String, Sendable {
    case line = ""
    case wide
    case json
}

/// When a tap has seen enough.
package struct TapEnd: ParsableArguments {
    @Option(help: "Stop after so long, such as 30s.")
    package var until = ""

    @Option(help: "Stop after so many requests; 0 goes on.")
    package var count: UInt64 = 0

    package init() {}

    /// The time that is left from now; `nil` without an end.
    func duration() throws(ArgumentMistake) -> Duration? {
        guard !until.isEmpty else { return nil }
        guard let duration = GoDuration.parse(until), duration > .zero else {
            throw ArgumentMistake("--until \(until): give a duration with a unit, such as 30s or 5m")
        }
        return duration
    }
}

/// `linkerd viz tap TYPE/NAME`.
package struct TapWatchCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print requests as they happen.",
        discussion: """
            The resource is TYPE, TYPE/NAME or TYPE NAME; TYPE is one of: cronjob, daemonset, deployment, job, namespace,
            pod, replicaset, replicationcontroller, statefulset.

            Examples:
              linkerd viz tap deploy/web -n emojivoto
              linkerd viz tap ns/emojivoto --grpc-status Unknown,Internal
              linkerd viz tap deploy/web -n emojivoto --to deploy/voting --status 5xx --latency-above 100ms
              linkerd viz tap deploy/web -n emojivoto -o json | jq -c .
              linkerd viz tap record requests.tap ns/emojivoto --until 1m
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup var selection: TapSelection
    @OptionGroup var end: TapEnd

    @Option(name: .shortAndLong, help: "Output format: wide or json; lines by default.")
    var output = ""

    @Argument(help: "The resource: TYPE, TYPE/NAME or TYPE NAME.")
    var resource: [String]

    package init() {}

    package func run() async throws {
        let session: TapSession
        let format: TapOutput
        do {
            guard let known = TapOutput(rawValue: output) else {
                throw ArgumentMistake("output format \"\(output)\" not recognized")
            }
            format = known
            session = try TapSession(
                global: global, viz: viz, selection: selection, end: end, resource: resource,
                wantsHeaders: format == .json)
        } catch let mistake as ArgumentMistake {
            Terminal.say("validation error when executing tap command: \(mistake)")
            throw ExitCode(1)
        }
        try await session.run { entry in
            switch format {
            case .line: Terminal.write(TapLine.text(entry) + "\n")
            case .wide: Terminal.write(TapLine.text(entry, isWide: true) + "\n")
            case .json: Terminal.write(TapJSON.pretty(entry) + "\n")
            }
        }
    }
}

/// One tap from beginning to end, whatever is done with its events.
struct TapSession: Sendable {
    /// Time between two words about what was not shown.
    static let noticePeriod: Duration = .seconds(10)

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
                config: config, client: client, vizNamespace: viz.vizNamespace, logger: global.logger,
                notice: { Terminal.say("# \($0)") })
        } catch {
            Terminal.say("Cannot connect to Kubernetes: \(error)\nValidate the install with: linkerd viz check")
            throw ExitCode(1)
        }
    }

    /// Hands entries over until the end that the user asked for, or for ever.
    ///
    /// - Throws: `ExitCode` after the failure was said; what `sink` throws.
    func run(
        onStart: @escaping @Sendable () -> Void = {}, _ sink: @escaping @Sendable (TapEntry) async throws -> Void
    ) async throws {
        let progress = TapProgress(limit: count)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await follower.follow(call, onStart: onStart) { event in
                        if let text = progress.notice(event) { Terminal.say("# \(text)") }
                        guard event.http.event != nil else { return }
                        let entry = TapEntry(event)
                        let (isShown, isEnough) = progress.take(entry)
                        if isShown { try await sink(entry) }
                        if isEnough { throw Enough() }
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
        if let text = progress.lastNotice() { Terminal.say("# \(text)") }
    }
}

/// How far a session has come.
private final class TapProgress: Sendable {
    private let counter: Mutex<TapCounter>
    private let notices = Mutex(LossNotice())

    init(limit: UInt64) { counter = Mutex(TapCounter(limit: limit)) }

    func take(_ entry: TapEntry) -> (isShown: Bool, isEnough: Bool) { counter.withLock { $0.take(entry) } }
    func notice(_ event: Linkerd2_Tap_TapEvent) -> String? { notices.withLock { $0.take(event, at: .now) } }
    func lastNotice() -> String? { notices.withLock { $0.rest() } }
}

/// Lets so many requests through, each with its events.
struct TapCounter: Sendable {
    private let limit: UInt64
    private var begun: UInt64 = 0
    private var open: Set<String> = []

    /// - Parameter limit: 0 lets all through.
    init(limit: UInt64) { self.limit = limit }

    /// Whether an event is shown, and whether it is the last.
    mutating func take(_ entry: TapEntry) -> (isShown: Bool, isEnough: Bool) {
        guard limit > 0 else { return (true, false) }
        switch entry.part {
        case .request:
            guard begun < limit else { return (false, false) }
            begun += 1
            open.insert(entry.key)
            return (true, false)
        case .response, .unknown: return (open.contains(entry.key), false)
        case .end:
            let isOurs = open.remove(entry.key) != nil
            return (isOurs, isOurs && begun >= limit && open.isEmpty)
        }
    }
}

/// Words about what a tap did not show, now and then. What the user's own filter left out needs none.
struct LossNotice: Sendable {
    private var latest = Linkerd2_Tap_Live_Losses()
    private var said = Linkerd2_Tap_Live_Losses()
    private var saidAt: ContinuousClock.Instant?

    /// Takes what an event says.
    /// - Returns: words, when something new was lost and the last words are old enough.
    mutating func take(_ event: Linkerd2_Tap_TapEvent, at now: ContinuousClock.Instant) -> String? {
        let bytes = event.unknownFields.data
        // Another extension's fields say nothing of losses.
        if !bytes.isEmpty, let more = try? Linkerd2_Tap_Live_EventExtension(serializedBytes: Array(bytes)), more.hasLosses {
            latest = more.losses
        }
        if let saidAt, now - saidAt < TapSession.noticePeriod { return nil }
        guard let text = rest() else { return nil }
        saidAt = now
        return text
    }

    /// Words about what was lost since the last words.
    mutating func rest() -> String? {
        func since(_ now: UInt64, _ before: UInt64) -> UInt64 { now >= before ? now - before : now }
        let parts: [(UInt64, String)] = [
            (since(latest.limited, said.limited), "requests over --max-rps"),
            (since(latest.droppedRequests, said.droppedRequests), "requests dropped, reading was too slow"),
            (since(latest.droppedEvents, said.droppedEvents), "events dropped, reading was too slow"),
            (since(latest.cut, said.cut), "requests whose end was not seen"),
            (since(latest.gaps, said.gaps), "times that a proxy could not be observed"),
        ]
        said = latest
        let words = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return words.isEmpty ? nil : "not shown: " + words.joined(separator: "; ")
    }
}
