package import ArgumentParser
import Foundation
import MeshModel
import Synchronization

/// `linkerd viz tap record FILE TYPE/NAME`.
package struct TapRecordCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "record", abstract: "Write requests to a file, for tap replay.",
        discussion: "Example: linkerd viz tap record requests.tap ns/emojivoto --until 1m --mask headers,addresses")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup var selection: TapSelection
    @OptionGroup var end: TapEnd

    @Option(help: "Begin the next file (FILE.1, FILE.2 ...) after so many mebibytes; 0 keeps one.")
    var rotateMib = 0

    @Option(help: "Files kept when rotating; the oldest go. 0 keeps all.")
    var keep = 0

    @Option(help: "Parts left out, with commas: headers, path, authority, addresses, labels.")
    var mask = ""

    @Flag(help: "Record headers and trailers too.")
    var headers = false

    @Argument(help: "The file; it must not exist.")
    var file: String

    @Argument(help: "The resource: TYPE, TYPE/NAME or TYPE NAME.")
    var resource: [String]

    package init() {}

    package func run() async throws {
        let session: TapSession
        let recorder: Mutex<TapRecorder>
        do {
            guard (0...1_048_576).contains(rotateMib), (0...10_000).contains(keep) else {
                throw ArgumentMistake("--rotate-mib and --keep must not be negative, nor very large")
            }
            let masks = try Self.masks(mask)
            session = try TapSession(
                global: global, viz: viz, selection: selection, end: end, resource: resource, wantsHeaders: headers)
            let header = TapRecordingHeader(
                startedAtMilliseconds: Self.now, resource: resource.joined(separator: "/"),
                masked: masks.map(\.rawValue).sorted())
            recorder = Mutex(
                try TapRecorder(
                    path: file, header: header, masks: masks, bytesMax: rotateMib << 20, filesMax: keep))
        } catch let mistake as ArgumentMistake {
            Terminal.say("\(mistake)")
            throw ExitCode(1)
        }
        let reports = TapReports(onLoss: { loss in
            Terminal.say("# \(loss.text)")
            // A full disk is told by the next event.
            recorder.withLock { try? $0.add(loss, atMilliseconds: Self.now) }
        })
        try await session.run(reports) { entry in
            try recorder.withLock { try $0.add(entry, atMilliseconds: Self.now) }
        }
        let count = try recorder.withLock { recorder in
            try recorder.close()
            return recorder.count
        }
        Terminal.say("recorded \(count) events in \(file)")
    }

    private static var now: Int64 { Int64(Date.now.timeIntervalSince1970 * 1_000) }

    private static func masks(_ text: String) throws(ArgumentMistake) -> Set<TapMask> {
        var masks: Set<TapMask> = []
        for word in text.split(separator: ",").map({ $0.filter { $0 != " " } }) where !word.isEmpty {
            guard let mask = TapMask(rawValue: word) else {
                throw ArgumentMistake("--mask \(word): expected \(TapMask.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            masks.insert(mask)
        }
        return masks
    }
}

/// `linkerd viz tap replay FILE`.
package struct TapReplayCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Print a recording as tap printed it.",
        discussion: "Example: linkerd viz tap replay requests.tap -o wide --speed 1")

    @Option(name: .shortAndLong, help: "Output format: wide or json; lines by default.")
    var output = ""

    @Option(help: "Pace: 1 as it happened, 10 ten times faster; 0 at once.")
    var speed = 0.0

    @Argument(help: "The recording.")
    var file: String

    package init() {}

    package func run() async throws {
        do {
            guard let format = TapOutput(rawValue: output) else {
                throw ArgumentMistake("output format \"\(output)\" not recognized")
            }
            guard speed >= 0, speed.isFinite else { throw ArgumentMistake("--speed must not be negative") }
            let reader = try TapReader(path: file)
            var last: Int64?
            while let (at, recorded) = try reader.next() {
                if speed > 0, let last, at > last {
                    try await Task.sleep(for: .milliseconds(Double(at - last) / speed))
                }
                last = max(at, last ?? at)
                switch recorded {
                case .entry(let entry): format.show(entry)
                case .loss(let loss): format.show(loss)
                }
            }
            if reader.badLines > 0 { Terminal.say("# \(reader.badLines) lines could not be read") }
        } catch let mistake as ArgumentMistake {
            Terminal.say("\(mistake)")
            throw ExitCode(1)
        }
    }
}
