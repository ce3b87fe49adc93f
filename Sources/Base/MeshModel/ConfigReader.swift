// Configuration from named strings (the environment, or a dictionary in tests), read once, with every
// mistake collected so that a user sees them all in one run.

/// Where configuration strings come from.
public protocol StringSource: Sendable {
    /// The text under `key`, or `nil` when it is not set.
    func string(_ key: String) -> String?
    /// Every key that is set, in no particular order.
    var keys: [String] { get }
}

/// Configuration strings in a dictionary.
public struct DictionarySource: StringSource {
    private let strings: [String: String]

    /// Wraps `strings`; the process environment comes in this form too.
    public init(_ strings: [String: String]) { self.strings = strings }

    /// The text under `key`.
    public func string(_ key: String) -> String? { strings[key] }
    public var keys: [String] { Array(strings.keys) }
}

/// All mistakes of one configuration.
public struct ConfigError: Error, Equatable, CustomStringConvertible {
    /// One key whose text could not be read.
    public struct Mistake: Equatable, Sendable, CustomStringConvertible {
        public let key: String
        public let text: String
        public let accepted: String

        public var description: String { "\(key)=\"\(text)\": expected \(accepted)" }
    }

    /// In the order in which the keys were read; never empty.
    public let mistakes: [Mistake]

    public var description: String { mistakes.map(\.description).joined(separator: "; ") }
}

/// Reads typed values and remembers every mistake until `finish()`.
public struct ConfigReader<Source: StringSource> {
    private let source: Source
    private var mistakes: [ConfigError.Mistake] = []
    private var keysRead: Set<String> = []

    /// Starts reading from `source`.
    public init(_ source: Source) { self.source = source }

    /// Reads `key`, or gives the default when it is unset or empty. An unreadable text is remembered as a mistake.
    ///
    /// - Parameter accepted: What the text should have been, in words for the user.
    public mutating func read<Value>(
        _ key: String, default fallback: Value, accepted: String, as parse: (String) -> Value?
    ) -> Value {
        keysRead.insert(key)
        guard let text = source.string(key), !text.isEmpty else { return fallback }
        guard let value = parse(text) else {
            mistakes.append(.init(key: key, text: text, accepted: accepted))
            return fallback
        }
        return value
    }

    /// Reads a duration with its unit, such as `10s`.
    public mutating func duration(_ key: String, default fallback: Duration) -> Duration {
        read(key, default: fallback, accepted: "a duration with a unit, such as 10s or 250ms", as: GoDuration.parse)
    }

    /// Reads an integer in `range`.
    public mutating func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) -> Int {
        read(key, default: fallback, accepted: "an integer in \(range.lowerBound)...\(range.upperBound)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// Reads any text.
    public mutating func text(_ key: String, default fallback: String) -> String {
        read(key, default: fallback, accepted: "text") { $0 }
    }

    /// Adds a mistake found by looking at several values together.
    public mutating func reject(_ key: String, accepted: String) {
        mistakes.append(.init(key: key, text: source.string(key) ?? "", accepted: accepted))
    }

    /// Keys with `prefix` that are set but were never read, sorted: misspelt or unsupported.
    public func unknownKeys(prefix: String) -> [String] {
        source.keys.filter { $0.hasPrefix(prefix) && !keysRead.contains($0) }.sorted()
    }

    /// Throws all mistakes together.
    public func finish() throws(ConfigError) {
        if !mistakes.isEmpty { throw ConfigError(mistakes: mistakes) }
    }
}
