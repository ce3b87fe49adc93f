// Moments as people type them after `--at`. Pure: text and the present in, seconds out.

import Foundation
import MeshModel

/// Reads a past moment.
package enum PastTime {
    /// Seconds since 1970 that `text` means.
    ///
    /// - Parameters:
    ///   - text: `2026-11-20T14:00:00Z`, with an offset, without seconds, without a zone (UTC), a date alone; seconds
    ///     since 1970; how long ago, as `2h` or `3d12h`; or `now`.
    ///   - now: Seconds since 1970.
    /// - Throws: `ArgumentMistake` with the accepted forms, or that the moment is in the future.
    package static func parse(_ text: String, now: Double) throws(ArgumentMistake) -> Double {
        guard let seconds = seconds(text, now: now) else {
            throw ArgumentMistake(
                "--at \"\(text)\" is no time: give one such as 2026-11-20T14:00Z, 2026-11-20, or how long ago, such as 2h")
        }
        guard seconds <= now else { throw ArgumentMistake("--at \"\(text)\" is in the future") }
        guard seconds > 0 else { throw ArgumentMistake("--at \"\(text)\" is before 1970") }
        return seconds
    }

    private static func seconds(_ text: String, now: Double) -> Double? {
        if text == "now" { return now }
        if let ago = GoDuration.parse(text), text != "0" { return now - ago.seconds.magnitude }
        if text.count >= 9, let seconds = Double(text), seconds > 0 { return seconds }
        let (stamp, offset) = split(text)
        guard let offset else { return nil }
        let parts = stamp.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        let date = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard date.count == 3, date[0].count == 4, let day = days(date) else { return nil }
        var clock = 0.0
        if parts.count == 2 {
            let fields = parts[1].split(separator: ":", omittingEmptySubsequences: false)
            guard (2...3).contains(fields.count), let hour = number(fields[0], 0...24),
                let minute = number(fields[1], 0...59)
            else { return nil }
            clock = Double(hour * 3_600 + minute * 60)
            if fields.count == 3 {
                guard let second = Double(fields[2]), (0..<61).contains(second) else { return nil }
                clock += second
            }
        }
        return Double(day) * 86_400 + clock - Double(offset)
    }

    /// The stamp without its zone, and the zone's seconds east of UTC; no offset for one that cannot be read.
    private static func split(_ text: String) -> (stamp: String, offset: Int?) {
        let text = text.replacing(" ", with: "T")
        if text.hasSuffix("Z") || text.hasSuffix("z") { return (String(text.dropLast()), 0) }
        guard let time = text.firstIndex(of: "T"),
            let sign = text[time...].lastIndex(where: { $0 == "+" || $0 == "-" })
        else { return (text, 0) }
        let zone = text[text.index(after: sign)...].split(separator: ":")
        guard zone.count == 2, let hours = number(zone[0], 0...14), let minutes = number(zone[1], 0...59) else {
            return (text, nil)
        }
        let offset = hours * 3_600 + minutes * 60
        return (String(text[..<sign]), text[sign] == "-" ? -offset : offset)
    }

    private static func number(_ text: Substring, _ range: ClosedRange<Int>) -> Int? {
        guard (1...4).contains(text.count), let value = Int(text), range.contains(value) else { return nil }
        return value
    }

    /// Days since 1970-01-01 of a year, month and day of the Gregorian calendar.
    ///
    /// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
    private static func days(_ date: [Substring]) -> Int? {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard let year = number(date[0], 1_970...9_999), let month = number(date[1], 1...12) else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let length = lengths[month - 1] + (month == 2 && isLeap ? 1 : 0)
        guard let day = number(date[2], 1...length) else { return nil }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// A moment as `2026-11-20 14:00:05` in UTC.
    package static func text(milliseconds: Int64) -> String {
        let date = Date(timeIntervalSince1970: Double(milliseconds) / 1_000)
        let text = date.formatted(.iso8601)  // `2026-11-20T14:00:05Z`
        return text.replacing("T", with: " ").replacing("Z", with: "")
    }
}

/// A window and where it ends.
package struct WindowOption: Sendable, Equatable {
    /// As typed, such as `1m`.
    package let text: String
    /// Seconds since 1970; `nil` for now.
    package let end: Double?

    /// Shortest window that `stat` accepts.
    package static let secondsMin = 15.0

    /// Checks a window and an `--at`.
    ///
    /// - Parameter secondsMin: The shortest that is accepted, with Linkerd's words for what is shorter.
    package init(_ window: String, at: String, now: Double, secondsMin: Double = secondsMin) throws(ArgumentMistake) {
        guard let length = GoDuration.parse(window) else {
            throw ArgumentMistake(
                "invalid duration \"\(window)\": give a number with a unit, such as 30s, 10m or 6h")
        }
        if length.seconds < secondsMin {
            throw ArgumentMistake("metrics time window needs to be at least \(Int(secondsMin))s")
        }
        text = window
        end = at.isEmpty ? nil : try PastTime.parse(at, now: now)
    }

    /// The window as requests carry it: a past end follows an `@`, as in PromQL.
    package var requestText: String {
        guard let end else { return text }
        return end == end.rounded() ? "\(text)@\(Int64(end))" : "\(text)@\(end)"
    }

    /// End in milliseconds since 1970; 0 for now.
    package var endMilliseconds: Int64 { end.map { Int64(($0 * 1_000).rounded()) } ?? 0 }
}
