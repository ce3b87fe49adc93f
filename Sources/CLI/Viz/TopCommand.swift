package import ArgumentParser
import MeshModel
import Synchronization

/// `linkerd viz top`: live requests, added up.
package struct TopCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Display sorted information about live traffic.",
        discussion: """
            Full-screen in a terminal (h shows the keys); otherwise the table is printed now and then.

            Examples:
              linkerd viz top deploy/web -n emojivoto
              linkerd viz top ns/emojivoto --hide-sources --class failure
              linkerd viz top --replay requests.tap
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup var selection: TapSelection
    @OptionGroup var end: TapEnd

    @Flag(help: "Leave the source column out, and add up over all sources.")
    var hideSources = false

    @Flag(help: "Show routes instead of methods and paths.")
    var routes = false

    @Option(help: "Without a terminal: time between two tables.")
    var interval = "10s"

    @Option(help: ArgumentHelp("Add up a recording of tap record instead; takes no resource.", valueName: "file"))
    var replay = ""

    @Argument(help: "The resource: TYPE, TYPE/NAME or TYPE NAME.")
    var resource: [String] = []

    /// Time between two looks at the keys and the table.
    static let framePeriod: Duration = .milliseconds(100)

    package init() {}

    package func run() async throws {
        let feed: @Sendable (TopBoard) async throws -> Void
        let period: Duration
        do {
            guard let parsed = GoDuration.parse(interval), parsed > .zero else {
                throw ArgumentMistake("--interval \(interval): give a duration with a unit, such as 10s")
            }
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
