import Foundation

/// Times as Kubernetes writes them: RFC 3339 in UTC, to the second.
enum Timestamp {
    static func text(_ date: Date) -> String { date.formatted(.iso8601) }

    /// Reads RFC 3339 with or without a fraction; `nil` when malformed.
    static func parse(_ text: String) -> Date? {
        guard let dot = text.firstIndex(of: ".") else { return try? Date(text, strategy: .iso8601) }  // Malformed: nil.
        let digits = text[text.index(after: dot)...].prefix { $0.isNumber }
        let whole = text[..<dot] + text[digits.endIndex...]
        guard let date = try? Date(String(whole), strategy: .iso8601), let fraction = Double("0.\(digits)")
        else {
            return nil  // Malformed.
        }
        return date.addingTimeInterval(fraction)
    }
}

/// Spans as `kubectl get` prints ages.
enum AgeText {
    /// `5s`, `3m20s`, `45m`, `5h7m`, `26h`, `3d4h`, `12d`, `2y45d`. A span in the future reads `0s`.
    static func text(seconds: Int) -> String {
        let (seconds, minutes, hours, days) = (
            max(0, seconds), seconds / 60, seconds / 3_600, seconds / 86_400
        )
        switch seconds {
        case ..<120: return "\(seconds)s"
        case ..<600: return joined(minutes, "m", seconds % 60, "s")
        case ..<10_800: return "\(minutes)m"
        case ..<28_800: return joined(hours, "h", minutes % 60, "m")
        case ..<172_800: return "\(hours)h"
        case ..<691_200: return joined(days, "d", hours % 24, "h")
        case ..<63_072_000: return "\(days)d"
        case ..<252_288_000: return joined(days / 365, "y", days % 365, "d")
        default: return "\(days / 365)y"
        }
    }

    private static func joined(_ big: Int, _ bigUnit: String, _ small: Int, _ smallUnit: String) -> String {
        small == 0 ? "\(big)\(bigUnit)" : "\(big)\(bigUnit)\(small)\(smallUnit)"
    }
}
