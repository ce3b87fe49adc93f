import Foundation
import MeshModel

/// Shows something again and again: on a terminal in place, elsewhere one after the other.
enum WatchLoop {
    /// Draws every `interval` until the process is interrupted; once when `interval` is `nil`.
    ///
    /// - Parameter draw: Returns the text to show; what it throws ends the loop.
    static func run(every interval: Duration?, _ draw: () async throws -> String) async throws {
        guard let interval else { return Terminal.write(try await draw()) }
        let isScreen = Terminal.isOutputTerminal
        var isFirst = true
        while !Task.isCancelled {
            let text = try await draw()
            if isScreen {
                // Home, clear to the end: no flicker, and what was longer is gone.
                Terminal.write("\u{1B}[H\u{1B}[J" + text)
            } else {
                Terminal.write((isFirst ? "" : "\n") + text)
            }
            isFirst = false
            try await Task.sleep(for: interval)
        }
    }

    /// Reads `--interval`.
    static func interval(_ text: String) throws(ArgumentMistake) -> Duration {
        guard let interval = GoDuration.parse(text), interval >= .milliseconds(500), interval <= .seconds(3_600) else {
            throw ArgumentMistake("--interval \"\(text)\": give a duration between 500ms and 1h, such as 2s")
        }
        return interval
    }
}
