// Writes the Prometheus text exposition format, version 0.0.4: `# HELP`, `# TYPE`, then one line a sample.
// Label sets that never change are rendered once by their owner and passed as text.

/// The type that `# TYPE` names.
public enum MetricType: String, Sendable {
    case counter, gauge, histogram, summary, untyped
}

/// The two text formats. They differ in how counters are announced, in the unknown type's name, and in the end.
public enum ExpositionFormat: String, Sendable, CaseIterable {
    case prometheus, openMetrics

    /// The Content-Type that names it.
    public var contentType: String {
        switch self {
        case .prometheus: ExpositionWriter.contentType
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}

/// Builds one scrape.
public struct ExpositionWriter: Sendable {
    /// Which of the formats this writes.
    public let format: ExpositionFormat
    /// The exposition so far, UTF-8.
    public private(set) var bytes: [UInt8] = []

    /// The Content-Type of what this writes.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// An empty exposition.
    public init(_ format: ExpositionFormat = .prometheus, reservingBytes: Int = 16_384) {
        self.format = format
        bytes.reserveCapacity(reservingBytes)
    }

    /// Writes what the format has at its end. Nothing may follow.
    public mutating func end() {
        if format == .openMetrics { append("# EOF\n") }
    }

    /// Opens a family: its samples must follow before the next one opens.
    ///
    /// OpenMetrics names a counter's family without `_total`, and has no counters whose samples lack it: those
    /// are of unknown type there.
    public mutating func family(_ name: String, help: String, type: MetricType) {
        guard format == .openMetrics else { return announce(name, help, type.rawValue) }
        switch type {
        case .counter where name.hasSuffix("_total"): announce(String(name.dropLast("_total".count)), help, "counter")
        case .counter, .untyped: announce(name, help, "unknown")
        case .gauge, .histogram, .summary: announce(name, help, type.rawValue)
        }
    }

    private mutating func announce(_ name: String, _ help: String, _ type: String) {
        append("# HELP \(name) ")
        for byte in help.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            default: bytes.append(byte)
            }
        }
        append("\n# TYPE \(name) \(type)\n")
    }

    /// A sample whose labels are already rendered as `a="b",c="d"`, or empty.
    public mutating func sample(_ name: String, labelText: String, value: UInt64) {
        series(name, labelText)
        append(String(value))
        bytes.append(UInt8(ascii: "\n"))
    }

    /// A sample with a signed value and rendered labels.
    public mutating func sample(_ name: String, labelText: String, value: Int64) {
        series(name, labelText)
        append(String(value))
        bytes.append(UInt8(ascii: "\n"))
    }

    /// A sample with a fractional value and rendered labels; infinities and NaN in Prometheus' spelling.
    public mutating func sample(_ name: String, labelText: String, value: Double) {
        series(name, labelText)
        append(Self.text(of: value))
        bytes.append(UInt8(ascii: "\n"))
    }

    /// A sample whose label pairs are rendered here, in the order given.
    public mutating func sample(_ name: String, labels: some Sequence<(String, String)>, value: UInt64) {
        sample(name, labelText: Self.labelText(labels), value: value)
    }

    /// A sample with a fractional value whose label pairs are rendered here.
    public mutating func sample(_ name: String, labels: some Sequence<(String, String)>, value: Double) {
        sample(name, labelText: Self.labelText(labels), value: value)
    }

    /// A histogram: cumulative `_bucket` lines, then `_sum` and `_count`.
    ///
    /// - Parameters:
    ///   - bounds: Upper bounds, ascending.
    ///   - counts: Observations in each bucket, not cumulative; one more than `bounds`, the last for `+Inf`.
    public mutating func histogram(
        _ name: String, labelText: String, bounds: [UInt64], counts: [UInt64], sum: UInt64
    ) {
        precondition(counts.count == bounds.count + 1, "a histogram has one bucket more than bounds")
        let separator = labelText.isEmpty ? "" : ","
        var cumulative: UInt64 = 0
        for (index, count) in counts.enumerated() {
            cumulative &+= count
            let bound = index < bounds.count ? String(bounds[index]) : "+Inf"
            append("\(name)_bucket{\(labelText)\(separator)le=\"\(bound)\"} \(cumulative)\n")
        }
        sample(name + "_sum", labelText: labelText, value: sum)
        sample(name + "_count", labelText: labelText, value: cumulative)
    }

    /// Renders label pairs as `a="b",c="d"`, values escaped.
    public static func labelText(_ labels: some Sequence<(String, String)>) -> String {
        labels.map { "\($0.0)=\"\(escapeLabelValue($0.1))\"" }.joined(separator: ",")
    }

    /// Escapes backslash, double quote and line feed, as the format requires inside label values.
    public static func escapeLabelValue(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
        var escaped = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }

    private static func text(of value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return "\(value)"
    }

    private mutating func series(_ name: String, _ labelText: String) {
        append(name)
        if !labelText.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            append(labelText)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
