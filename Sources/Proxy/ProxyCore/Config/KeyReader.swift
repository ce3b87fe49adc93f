import MeshModel
import NIOCore

/// Reads keys by their forms and remembers every mistake until `finish()`.
///
/// Unlike `ConfigReader`, an empty text is no absent one: Linkerd reads it with the key's grammar, and so do we.
struct KeyReader<Source: StringSource> {
    private let source: Source
    private var reader: ConfigReader<Source>
    /// What is odd and no mistake; logged at start.
    private(set) var warnings: [String] = []
    /// Some keys are read for both sides; one mistake is one.
    private var rejected: Set<String> = []

    init(_ source: Source) {
        self.source = source
        reader = ConfigReader(source)
    }

    /// The text as it is set; `nil` when the key is not.
    func text(_ key: ConfigKey) -> String? { source.string(key.variable) }

    /// Whether there is something to read.
    func isSet(_ key: ConfigKey) -> Bool { text(key).map { !$0.isEmpty } ?? false }

    /// The value that is set, or `nil`; what cannot be read is remembered and gives `nil`.
    mutating func optional<Value>(_ key: ConfigKey, _ parse: (String) -> Value?) -> Value? {
        guard let text = text(key) else { return nil }
        guard let value = parse(text) else {
            reject(key)
            return nil
        }
        return value
    }

    /// The value that is set, or the key's default.
    mutating func value<Value>(_ key: ConfigKey, _ parse: (String) -> Value?) -> Value {
        if let value = optional(key, parse) { return value }
        guard let fallback = parse(key.fallback) else {
            preconditionFailure("the default of \(key.name) does not read by its own grammar")
        }
        return fallback
    }

    mutating func text(or key: ConfigKey) -> String { value(key) { $0 } }

    mutating func flag(_ key: ConfigKey) -> Bool { value(key, ConfigGrammar.flag) }

    mutating func duration(_ key: ConfigKey) -> TimeAmount { value(key, ConfigGrammar.duration) }

    mutating func optionalDuration(_ key: ConfigKey) -> TimeAmount? { optional(key, ConfigGrammar.duration) }

    /// For sockets: the same span in the type that their settings have.
    mutating func span(_ key: ConfigKey) -> Duration? {
        optional(key, ConfigGrammar.duration).map { .nanoseconds($0.nanoseconds) }
    }

    /// For keys whose empty text means "none".
    mutating func durationOrNone(_ key: ConfigKey) -> TimeAmount? {
        isSet(key) ? optionalDuration(key) : nil
    }

    mutating func integer(_ key: ConfigKey) -> Int {
        value(key) { [range = Self.range(key)] in ConfigGrammar.integer($0, in: range) }
    }

    mutating func optionalInteger(_ key: ConfigKey) -> Int? {
        optional(key) { [range = Self.range(key)] in ConfigGrammar.integer($0, in: range) }
    }

    mutating func list<Element>(_ key: ConfigKey, _ parse: (String) -> Element?) -> [Element] {
        value(key) { ConfigGrammar.list($0, parse) }
    }

    mutating func ports(_ key: ConfigKey) -> PortSet { value(key, PortSet.init) }

    /// One of the words of the key's form, in any case; `nil` when the key is not set or empty.
    mutating func word(_ key: ConfigKey) -> String? {
        guard case .oneOf(let words) = key.form, isSet(key) else { return nil }
        return optional(key) { text in words.first { $0.lowercased() == text.lowercased() } }
    }

    /// For a check that is not made anywhere else: the value has no other use.
    mutating func check(_ key: ConfigKey) {
        switch key.form {
        case .duration: _ = optionalDuration(key)
        case .flag: _ = optional(key, ConfigGrammar.flag)
        case .integer: _ = optionalInteger(key)
        case .ratio: _ = optional(key, ConfigGrammar.ratio)
        case .ports: _ = optional(key, PortSet.init)
        case .suffixes: _ = optional(key) { ConfigGrammar.list($0, ConfigGrammar.suffix) }
        case .networks: _ = optional(key) { ConfigGrammar.list($0) { IPNetwork($0) } }
        case .oneOf: _ = word(key)
        case .text, .certificates, .listenAddress, .listenAddresses, .serviceAddress, .addresses: break
        }
    }

    mutating func reject(_ key: ConfigKey, accepted: String? = nil) {
        let accepted = accepted ?? key.form.accepted
        guard rejected.insert("\(key.name) \(accepted)").inserted else { return }
        reader.reject(key.variable, accepted: accepted)
    }

    mutating func warn(_ text: String) { warnings.append(text) }

    /// Keys with our prefix that no table has.
    func unknownKeys() -> [String] {
        let known = Set(ConfigKey.all.map(\.variable))
        return source.keys.filter { $0.hasPrefix(ProxyConfig.prefix) && !known.contains($0) }.sorted()
    }

    func finish() throws(ConfigError) { try reader.finish() }

    private static func range(_ key: ConfigKey) -> ClosedRange<Int> {
        guard case .integer(let range) = key.form else { preconditionFailure("\(key.name) is no number") }
        return range
    }
}
