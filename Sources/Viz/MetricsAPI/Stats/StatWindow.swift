import MeshModel
package import MeshRollup

/// The window of a question: its text, and the time it stands for.
///
/// The text is a duration, such as `1m`, `6h`, `30d`. An end may follow it as `1h@1763647200`, in seconds since
/// 1970, as PromQL writes a past moment: it fits every request that has a window, in all framings, and a server
/// that does not know it refuses it instead of answering about now.
package struct StatWindow: Sendable, Equatable {
    /// The length as asked, such as `1m`; echoed in answers.
    package let text: String
    /// Ends at the last complete bucket, or where it was asked to end.
    package let window: Window
    /// Window on whole buckets that is read from the store.
    package let readWindow: Window
    /// Whether the question names its end.
    package let isPast: Bool
    /// When it was asked.
    package let now: UnixTime

    /// Linkerd's default.
    package static let defaultText = "1m"
    /// The shortest window that can hold a complete bucket and the one before.
    package static let secondsMin = 10.0
    /// The longest that is kept.
    package static let daysMax = 400

    /// Reads a window such as `15s`, `10m`, `30d`, `1h@1763647200`.
    ///
    /// - Parameters:
    ///   - end: Where it ends unless the text says so; `nil` means at the last complete bucket before `now`.
    /// - Throws: `StatError` with Linkerd's wording when it is no duration or shorter than the scrape interval.
    package init(_ text: String, end: UnixTime? = nil, now: UnixTime) throws(StatError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let lengthText = parts.first.flatMap { $0.isEmpty ? nil : $0 } ?? Self.defaultText
        var end = end
        if parts.count == 2 {
            guard let seconds = Double(parts[1]), seconds > 0, seconds < 1e11 else {
                throw StatError(
                    .badRequest, "invalid time window: \"\(parts[1])\" is no time in seconds since 1970")
            }
            end = UnixTime(seconds: seconds)
        }
        guard let length = GoDuration.parse(lengthText), length > .zero else {
            throw StatError(
                .badRequest, "invalid time window: \"\(lengthText)\" is no duration such as 1m or 6h")
        }
        guard length.seconds >= Self.secondsMin else {
            throw StatError(
                .badRequest,
                "invalid time window: \"\(lengthText)\" is shorter than the scrape interval of 10s")
        }
        guard length <= .seconds(Self.daysMax * 86_400) else {
            throw StatError(
                .badRequest, "invalid time window: \"\(lengthText)\" is longer than \(Self.daysMax) days")
        }
        self.text = lengthText
        self.now = now
        if let end, end < now {
            isPast = true
            window = Window(from: end.advanced(by: -length.milliseconds), to: end)
        } else {
            isPast = false
            window = Window.last(length, before: now)
        }
        readWindow = window.aligned(to: Tier.tenSeconds.bucketMilliseconds)
    }

    /// When a Prometheus server is asked to evaluate: at the end, which is now unless named.
    package var queryTime: UnixTime { isPast ? window.to : now }

    /// Counts of `readWindow` brought to the length that was asked for.
    ///
    /// `15s` covers one and a half buckets: callers divide by 15, so two whole ones would read a third too high.
    package func fitted(_ rollup: Rollup) -> Rollup {
        rollup.scaled(window.milliseconds, per: readWindow.milliseconds)
    }
}
