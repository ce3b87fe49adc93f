// The proxy's log: lines to standard output in Linkerd's plain or JSON shape, filtered by directives that the
// admin port can change. Source: `spec/proxy.md` 2.8, 8.2.

package import Logging
import MeshModel
package import MeshTransport
import NIOCore
import Synchronization

/// `level` or `target=level` directives separated by commas, the longest matching target first.
package final class LogFilter: Sendable {
    private struct Directives {
        var text: String
        var fallback: Logger.Level?
        var targets: [(prefix: String, level: Logger.Level?)]
    }

    private let directives: Mutex<Directives>
    private let startedAt = NIODeadline.now()
    /// Whether the process was started with `off`: then nothing logs, and the level cannot be changed.
    package let isOff: Bool

    /// Starts with `text`, or with warnings only when it cannot be read.
    package init(_ text: String) {
        isOff = text.lowercased() == "off"
        directives = Mutex(Self.parse(text) ?? Directives(text: "warn", fallback: .warning, targets: []))
    }

    /// Whether the text is a list of directives.
    package static func isValid(_ text: String) -> Bool { parse(text) != nil }

    /// The directives in force.
    package var text: String { directives.withLock { $0.text } }

    /// Replaces the directives; `false`, and no change, when the text is not understood.
    package func set(_ text: String) -> Bool {
        guard let parsed = Self.parse(text) else { return false }
        directives.withLock { $0 = parsed }
        return true
    }

    /// Whether a message of `level` from `target` is written.
    package func allows(_ level: Logger.Level, target: String) -> Bool {
        directives.withLock { directives in
            let match = directives.targets.first { target.hasPrefix($0.prefix) }
            guard let least = match.map(\.level) ?? directives.fallback else { return false }
            return level >= least
        }
    }

    var uptimeSeconds: Double { Double((NIODeadline.now() - startedAt).nanoseconds) / 1e9 }

    private static func parse(_ text: String) -> Directives? {
        var parsed = Directives(
            text: text.filter { $0 != "\n" && $0 != "\r" }, fallback: .error, targets: [])
        for item in split(parsed.text) {
            let directive = item.filter { $0 != " " }
            if directive.isEmpty { continue }
            let parts = directive.split(separator: "=", omittingEmptySubsequences: false)
            // A field's value may have an equals sign of its own, inside the brackets.
            let hasLevel = parts.count > 1 && !parts[parts.count - 1].contains("]")
            guard hasLevel || directive.contains("[") else {
                if let level = level(directive[...]) {
                    parsed.fallback = level
                } else if directive.hasPrefix("linkerd") {
                    parsed.targets.append((directive, .trace))  // A target alone lets everything through.
                } else {
                    return nil
                }
                continue
            }
            guard let level = hasLevel ? level(parts[parts.count - 1]) : .some(.trace) else { return nil }
            let target = parts.dropLast(hasLevel ? 1 : 0).joined(separator: "=")
            // Spans are what this proxy does not have: what asks for one concerns no line of ours.
            if target.contains("[") { continue }
            guard !target.isEmpty else { return nil }
            parsed.targets.append((target, level))
        }
        parsed.targets.sort { $0.prefix.count > $1.prefix.count }
        return parsed
    }

    /// Splits at commas outside brackets: a span may name several fields.
    private static func split(_ text: String) -> [Substring] {
        var items: [Substring] = []
        var depth = 0
        var start = text.startIndex
        for index in text.indices {
            switch text[index] {
            case "[", "{": depth += 1
            case "]", "}": depth -= 1
            case "," where depth <= 0:
                items.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        return items + [text[start...]]
    }

    /// `nil` when the word is no level; `.some(nil)` for `off`.
    private static func level(_ word: Substring) -> Logger.Level?? {
        switch word.lowercased() {
        case "trace", "5": .some(.trace)
        case "debug", "4": .some(.debug)
        case "info", "3": .some(.info)
        case "warn", "warning", "2": .some(.warning)
        case "error", "1": .some(.error)
        case "off", "0": .some(nil)
        default: nil
        }
    }
}

/// Writes log lines to standard output.
package struct ProxyLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    /// The filter decides; this stays at trace.
    package var logLevel: Logger.Level = .trace
    private let label: String
    private let filter: LogFilter
    private let format: LogFormat

    package init(label: String, filter: LogFilter, format: LogFormat = .plain) {
        self.label = label
        self.filter = filter
        self.format = format
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        guard filter.allows(event.level, target: label) else { return }
        let line = ProxyLogLine(
            level: event.level, target: label, message: "\(event.message)",
            fields: metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" },
            uptimeSeconds: filter.uptimeSeconds, thread: ProcessThread.number)
        switch format {
        case .plain: ProcessOutput.writeLine(line.plain)
        case .json: ProcessOutput.writeLine(line.json(at: WallClock.now()))
        }
    }
}

/// One line before it is spelt.
package struct ProxyLogLine: Sendable {
    package var level: Logger.Level
    package var target: String
    package var message: String
    package var fields: [String: String]
    package var uptimeSeconds: Double
    /// Counted from 1, as the reference names its threads.
    package var thread: Int

    package init(
        level: Logger.Level, target: String, message: String, fields: [String: String], uptimeSeconds: Double, thread: Int
    ) {
        self.level = level
        self.target = target
        self.message = message
        self.fields = fields
        self.uptimeSeconds = uptimeSeconds
        self.thread = thread
    }

    private var levelName: String {
        switch level {
        case .warning: "WARN"
        case .notice: "INFO"
        case .critical: "ERROR"
        default: level.rawValue.uppercased()
        }
    }

    /// `[     0.003125s]  INFO ThreadId(01) target: message key=value`. Line ends inside values are escaped, so
    /// that no peer can write a line of its own.
    package var plain: String {
        let micros = String(Int(uptimeSeconds * 1e6))
        let digits = String(repeating: "0", count: max(0, 7 - micros.count)) + micros
        let uptime = "\(digits.dropLast(6)).\(digits.suffix(6))s"
        let padded = String(repeating: " ", count: max(0, 14 - uptime.count)) + uptime
        let name = String(repeating: " ", count: max(0, 5 - levelName.count)) + levelName
        let number = thread < 10 ? "0\(thread)" : "\(thread)"
        let text = fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.escaped($0.value))" }.joined()
        return "[\(padded)] \(name) ThreadId(\(number)) \(target): \(Self.escaped(message))\(text)"
    }

    /// One object, as later Linkerd writes it: the time as RFC 3339 with microseconds.
    package func json(at time: WallClock) -> String {
        var named: [String: JSONValue] = fields.mapValues { .string($0) }
        named["message"] = .string(message)
        let object: JSONValue = [
            "timestamp": .string(time.rfc3339(fractionDigits: 6)), "level": .string(levelName),
            "fields": .object(named), "target": .string(target), "spans": .array([]),
            "threadId": .string("ThreadId(\(thread))"),
        ]
        return String(decoding: object.serialized(), as: UTF8.self)
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return text.unicodeScalars.map { scalar in
            switch scalar {
            case "\n": "\\n"
            case "\r": "\\r"
            case "\t": "\\t"
            default: scalar.value < 0x20 || scalar.value == 0x7F ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
            }
        }.joined()
    }
}
