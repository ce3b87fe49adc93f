package import ArgumentParser
import Foundation
import MeshAPI
import MeshKubernetes
import MeshModel
import Synchronization

/// `linkerd viz top`: live requests, or those of a past window, added up.
package struct TopCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Display sorted information about live or past traffic.",
        discussion: """
            Full-screen in a terminal (h shows the keys); otherwise the table is printed now and then.

            With --at or -t it is printed once, for a past window, from samples that are always taken: counts are estimates,
            paths are templates such as /orders/{number}, ends are workloads. How much was sampled is said beside it.

            Examples:
              linkerd viz top deploy/web -n emojivoto
              linkerd viz top ns/emojivoto --hide-sources --class failure
              linkerd viz top --replay requests.tap
              linkerd viz top deploy/web -n emojivoto --at 2026-11-20T14:00Z -t 10m
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup package var selection: TapSelection
    @OptionGroup var end: TapEnd

    @Flag(help: "Leave the source column out, and add up over all sources.")
    var hideSources = false

    @Flag(help: "Show routes instead of methods and paths.")
    var routes = false

    @Option(help: "Without a terminal: time between two tables.")
    var interval = "10s"

    @Option(help: ArgumentHelp("Add up a recording of tap record instead; takes no resource.", valueName: "file"))
    var replay = ""

    @Option(help: "End of a past window: a time such as 2026-11-20T14:00Z, now, or how long ago, such as 2h.")
    package var at = ""

    @Option(name: [.customShort("t"), .long], help: "Length of the past window, 10m by default.")
    package var timeWindow = ""

    @Option(name: .shortAndLong, help: "Output format of a past window: table or json.")
    var output = "table"

    @Argument(help: "The resource: TYPE, TYPE/NAME or TYPE NAME.")
    package var resource: [String] = []

    /// Time between two looks at the keys and the table.
    static let framePeriod: Duration = .milliseconds(100)

    package init() {}

    package func run() async throws {
        if !at.isEmpty || !timeWindow.isEmpty { try await showPast() } else { try await showLive() }
    }

    // MARK: The past

    private func showPast() async throws {
        let (request, format) = try pastRequest()
        let namespace = request.resource.type == "namespace" ? request.resource.name : request.resource.namespace
        let shape = TopShape(hidesSources: hideSources)
        let text = try await VizConnection.using(global: global, viz: viz) { connection in
            let table = PastTopTable(try await connection.top(request), shape: shape, namespace: namespace)
            Terminal.say(table.notice)
            return format == .json ? table.json : table.table
        }
        Terminal.write(text)
    }

    private func pastRequest() throws -> (Linkerd2_Viz_History_TopRequest, StatOutput) {
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        let context = (try? global.kubernetesConfig())?.namespace ?? "default"
        do {
            guard let format = StatOutput(rawValue: output), format != .wide else {
                throw ArgumentMistake("--output supports table and json")
            }
            guard !routes, end.until.isEmpty, end.count == 0, replay.isEmpty else {
                throw ArgumentMistake(
                    "--routes, --until, --count and --replay are for live traffic: leave them out, or --at and -t")
            }
            let window = try WindowOption(
                timeWindow.isEmpty ? "10m" : timeWindow, at: at, now: Date.now.timeIntervalSince1970)
            return (try selection.pastTop(resource, contextNamespace: context, window: window), format)
        } catch {
            Terminal.say("validation error when executing top command: \(error)")
            throw ExitCode(1)
        }
    }

    // MARK: Live

    private func showLive() async throws {
        let feed: @Sendable (TopBoard) async throws -> Void
        let period: Duration
        do {
            guard let parsed = GoDuration.parse(interval), parsed > .zero else {
                throw ArgumentMistake("--interval \(interval): give a duration with a unit, such as 10s")
            }
            guard output == "table" else { throw ArgumentMistake("--output is for a past window: give --at or -t") }
            period = parsed
            feed = replay.isEmpty ? try live() : try recorded()
        } catch let mistake as ArgumentMistake {
            Terminal.say("validation error when executing top command: \(mistake)")
            throw ExitCode(1)
        }
        let board = TopBoard(TopShape(hidesSources: hideSources, showsRoutes: routes))
        let isScreen = RawTerminal.isAvailable
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed(board) }
            group.addTask {
                // The tap first: what it refuses is said on the ordinary screen.
                await board.started()
                if Task.isCancelled { return }
                if isScreen { try await Self.interact(board) } else { await Self.print(board, every: period) }
            }
            // The screen ends by its key, the table with the tap.
            try await group.next()
            if isScreen, !board.isDone { try await group.next() }
            group.cancelAll()
        }
    }

    /// Fills the board from a tap, for as long as that goes on.
    private func live() throws -> @Sendable (TopBoard) async throws -> Void {
        let session = try TapSession(
            global: global, viz: viz, selection: selection, end: end, resource: resource, wantsHeaders: false)
        return { board in
            var reports = TapReports(onStart: { board.start() })
            if RawTerminal.isAvailable {
                // Standard error is the screen.
                reports.onLoss = { loss in board.update { $0.notice = loss.text } }
                reports.onBreak = { why in board.update { $0.notice = why } }
            }
            try await session.run(reports) { entry in board.update { $0.take(entry) } }
            board.update { $0.notice = "Tap stream terminated" }
        }
    }

    /// Fills the board from a recording, at once.
    private func recorded() throws -> @Sendable (TopBoard) async throws -> Void {
        guard resource.isEmpty else { throw ArgumentMistake("--replay takes no resource: the recording has one") }
        let path = replay
        _ = try TapReader(path: path)  // Whatever it is that cannot be read is said before the screen is taken.
        return { board in
            let reader = try TapReader(path: path)
            board.start()
            while let (_, recorded) = try reader.next() {
                if case .entry(let entry) = recorded { board.update { $0.take(entry) } }
            }
            board.update { $0.notice = "End of \(path)" }
        }
    }

    private static func interact(_ board: TopBoard) async throws {
        guard let terminal = RawTerminal() else { return }
        while !board.isDone {
            let (keys, size) = (terminal.keys(), terminal.size)
            let lines = board.update { screen in
                for key in keys { screen.press(key) }
                return screen.lines(width: size.width, height: size.height)
            }
            terminal.show(lines)
            try await Task.sleep(for: framePeriod)
        }
    }

    private static func print(_ board: TopBoard, every period: Duration) async {
        repeat {
            // Cancelled: the tap is over, and the last table is printed at once.
            try? await Task.sleep(for: period)
            let text = board.update { screen in
                TopScreen.columns(screen.table.shape.columns, screen.table.sorted(by: .count))
            }
            Terminal.write(([text.heading] + text.rows).map { $0 + "\n" }.joined() + "\n")
        } while !Task.isCancelled
    }
}

/// What the tap and the screen share.
private final class TopBoard: Sendable {
    private let screen: Mutex<TopScreen>
    private let startSignal: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    init(_ shape: TopShape) {
        screen = Mutex(TopScreen(shape))
        startSignal = AsyncStream.makeStream()
    }

    @discardableResult
    func update<Result: Sendable>(_ body: (inout TopScreen) -> Result) -> Result { screen.withLock { body(&$0) } }

    var isDone: Bool { screen.withLock { $0.isDone } }

    /// The tap is open.
    func start() { startSignal.continuation.finish() }

    /// Returns when the tap is open, or the task cancelled.
    func started() async { for await _ in startSignal.stream {} }
}
