import Glibc

/// The time of day, for what is compared with certificates and shown to people; never for measuring.
package struct WallClock: Sendable, Equatable {
    /// Since 1970, leap seconds left out.
    package let seconds: Int64
    /// 0 to 999,999,999.
    package let nanoseconds: Int64

    package init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Now.
    package static func now() -> WallClock {
        var now = timespec()
        // SAFETY: the kernel fills the struct during the call; the real-time clock always exists.
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return WallClock(seconds: Int64(now.tv_sec), nanoseconds: Int64(now.tv_nsec))
    }

    /// Whole seconds since 1970.
    package static func unixSeconds() -> Int64 { now().seconds }

    /// `2026-01-02T03:04:05.678901Z`: UTC, with so many digits of the second's fraction, up to nine.
    package func rfc3339(fractionDigits: Int) -> String {
        let (days, time) = (seconds.flooredQuotient(86_400), seconds.flooredRemainder(86_400))
        let (year, month, day) = Self.civil(days)
        var text = "\(Self.pad(year, 4))-\(Self.pad(month, 2))-\(Self.pad(day, 2))T"
        text += "\(Self.pad(time / 3_600, 2)):\(Self.pad(time / 60 % 60, 2)):\(Self.pad(time % 60, 2))"
        if fractionDigits > 0 { text += "." + Self.pad(nanoseconds, 9).prefix(fractionDigits) }
        return text + "Z"
    }

    /// The date of a day counted from 1970-01-01, in the Gregorian calendar.
    /// Source: the era arithmetic of Howard Hinnant's "chrono-compatible low-level date algorithms".
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func pad(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Int64 {
    fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 { (self - flooredRemainder(divisor)) / divisor }
    fileprivate func flooredRemainder(_ divisor: Int64) -> Int64 { ((self % divisor) + divisor) % divisor }
}
