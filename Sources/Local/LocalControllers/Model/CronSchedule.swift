// Cron's five fields: minute, hour, day of month, month, day of week, each a list of numbers, ranges and steps;
// months and weekdays also by name, `@hourly` and the like for whole schedules. When both days are restricted
// either of them is enough. Times are UTC.
//
// Source: crontab(5).

/// A schedule.
package struct CronSchedule: Sendable, Equatable {
    /// Days that are looked back at most: more than a leap year's 29 February can lie behind.
    private static let daysMax = 8 * 366

    private let minutes: Set<Int>
    private let hours: Set<Int>
    private let days: Set<Int>
    private let months: Set<Int>
    private let weekdays: Set<Int>
    private let isAnyDay: Bool
    private let isAnyWeekday: Bool

    private static let nicknames = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]
    private static let monthNames = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]
    private static let weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    /// `nil` when the text is no schedule.
    package init?(_ text: String) {
        let expanded = Self.nicknames[text.lowercased()] ?? text
        let fields = expanded.split(separator: " ").map { $0.lowercased() }
        guard fields.count == 5, let minutes = Self.set(fields[0], 0...59), let hours = Self.set(fields[1], 0...23),
            let days = Self.set(fields[2], 1...31), let months = Self.set(fields[3], 1...12, names: Self.monthNames),
            let weekdays = Self.set(fields[4], 0...7, names: Self.weekdayNames)
        else { return nil }
        self.minutes = minutes
        self.hours = hours
        self.days = days
        self.months = months
        self.weekdays = Set(weekdays.map { $0 % 7 })
        isAnyDay = Self.isAny(fields[2])
        isAnyWeekday = Self.isAny(fields[4])
    }

    private static func isAny(_ field: String) -> Bool { field.hasPrefix("*") || field == "?" }

    private static func set(_ field: String, _ bounds: ClosedRange<Int>, names: [String] = []) -> Set<Int>? {
        var result: Set<Int> = []
        for item in field.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = item.split(separator: "/", omittingEmptySubsequences: false)
            guard let first = halves.first, halves.count <= 2 else { return nil }
            var range: ClosedRange<Int>
            if first == "*" || first == "?" {
                range = bounds
            } else {
                let ends = first.split(separator: "-", omittingEmptySubsequences: false)
                    .map { number(String($0), bounds, names) }
                guard let low = ends.first ?? nil, ends.count <= 2, let high = ends.last ?? nil, low <= high else {
                    return nil
                }
                // A step after one number runs to the end, as cron has it.
                range = low...(ends.count == 1 && halves.count == 2 ? bounds.upperBound : high)
            }
            var step = 1
            if halves.count == 2 {
                guard let given = Int(halves[1]), given > 0 else { return nil }
                step = given
            }
            result.formUnion(stride(from: range.lowerBound, through: range.upperBound, by: step))
        }
        return result
    }

    private static func number(_ text: String, _ bounds: ClosedRange<Int>, _ names: [String]) -> Int? {
        if let index = names.firstIndex(of: text) { return index + (bounds.lowerBound == 1 ? 1 : 0) }
        guard let number = Int(text), bounds.contains(number) else { return nil }
        return number
    }

    /// The last time that is due at or before `now` and after `start`, both in seconds since 1970; `nil` when there
    /// is none.
    package func lastTime(after start: Int, upTo now: Int) -> Int? {
        let today = now / 86_400
        for day in stride(from: today, through: max(start / 86_400, today - Self.daysMax), by: -1) {
            guard matches(day: day) else { continue }
            for hour in hours.sorted(by: >) {
                for minute in minutes.sorted(by: >) {
                    let time = day * 86_400 + hour * 3_600 + minute * 60
                    if time <= start { return nil }
                    if time <= now { return time }
                }
            }
        }
        return nil
    }

    private func matches(day: Int) -> Bool {
        let text = UTCTime.text(day * 86_400)
        let parts = text.prefix(10).split(separator: "-").compactMap { Int($0) }
        guard parts.count == 3, months.contains(parts[1]) else { return false }
        let isDay = days.contains(parts[2])
        let isWeekday = weekdays.contains((day + 4) % 7)  // 1 January 1970 was a Thursday.
        return isAnyDay || isAnyWeekday ? isDay && isWeekday : isDay || isWeekday
    }
}
