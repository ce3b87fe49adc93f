// The proxy's log: lines to standard output in Linkerd's plain shape, filtered by directives that the admin
// port can change.

package import Logging
import MeshTransport
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

    /// Starts with `text`, or with warnings only when it cannot be read.
    package init(_ text: String) {
        directives = Mutex(Self.parse(text) ?? Directives(text: "warn", fallback: .warning, targets: []))
    }

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
        for item in parsed.text.split(separator: ",") {
            let directive = item.filter { $0 != " " }
            if directive.hasPrefix("[") { continue }  // Span filters concern what this proxy never logs.
            let parts = directive.split(separator: "=", maxSplits: 1)
            guard let name = parts.last, let level = level(name) else { return nil }
            if parts.count == 1 {
                parsed.fallback = level
            } else {
                parsed.targets.append((String(parts[0]), level))
            }
        }
        parsed.targets.sort { $0.prefix.count > $1.prefix.count }
        return parsed
    }

    /// `nil` when the word is no level; `.some(nil)` for `off`.
    private static func level(_ word: Substring) -> Logger.Level?? {
        switch word.lowercased() {
        case "trace": .some(.trace)
        case "debug": .some(.debug)
        case "info": .some(.info)
        case "warn", "warning": .some(.warning)
        case "error": .some(.error)
        case "off": .some(nil)
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

    package init(label: String, filter: LogFilter) {
        self.label = label
        self.filter = filter
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        guard filter.allows(event.level, target: label) else { return }
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let text = fields.map { " \($0.key)=\($0.value)" }.joined()
        let seconds = String(Int(filter.uptimeSeconds * 1e6))
        let digits = String(repeating: "0", count: max(0, 7 - seconds.count)) + seconds
        let uptime = "\(digits.dropLast(6)).\(digits.suffix(6))s"
        let padded = String(repeating: " ", count: max(0, 13 - uptime.count)) + uptime
        let level = event.level == .warning ? "WARN" : event.level.rawValue.uppercased()
        let name = String(repeating: " ", count: max(0, 5 - level.count)) + level
        ProcessOutput.writeLine("[\(padded)] \(name) \(label): \(event.message)\(text)")
    }
}
