import MeshModel
package import MeshRollup

/// The window of a question: its text, and the time it stands for.
package struct StatWindow: Sendable, Equatable {
    /// As asked, such as `1m`; echoed in answers.
    package let text: String
    /// Ends at the last complete bucket.
    package let window: Window
    /// Window on whole buckets that is read from the store.
    package let readWindow: Window

    /// Linkerd's default.
    package static let defaultText = "1m"
    /// The shortest window that can hold a complete bucket and the one before.
    package static let secondsMin = 10.0
    /// The longest that is kept.
    package static let daysMax = 400

    /// Reads a window such as `15s`, `10m`, `30d`.
    ///
    /// - Parameters:
    ///   - end: Where it ends; `nil` means at the last complete bucket before `now`.
    /// - Throws: `StatError` with Linkerd's wording when it is no duration or shorter than the scrape interval.
    package init(_ text: String, end: UnixTime? = nil, now: UnixTime) throws(StatError) {
        let text = text.isEmpty ? Self.defaultText : text
        guard let length = GoDuration.parse(text), length > .zero else {
            throw StatError(.badRequest, "invalid time window: \"\(text)\" is no duration such as 1m or 6h")
        }
        guard length.seconds >= Self.secondsMin else {
            throw StatError(
                .badRequest, "invalid time window: \"\(text)\" is shorter than the scrape interval of 10s")
        }
        guard length <= .seconds(Self.daysMax * 86_400) else {
            throw StatError(
                .badRequest, "invalid time window: \"\(text)\" is longer than \(Self.daysMax) days")
        }
        self.text = text
        if let end, end < now {
            window = Window(from: end.advanced(by: -length.milliseconds), to: end)
        } else {
            window = Window.last(length, before: now)
        }
        readWindow = window.aligned(to: Tier.tenSeconds.bucketMilliseconds)
    }

    /// Counts of `readWindow` brought to the length that was asked for.
    ///
    /// `15s` covers one and a half buckets: callers divide by 15, so two whole ones would read a third too high.
    package func fitted(_ rollup: Rollup) -> Rollup {
        rollup.scaled(window.milliseconds, per: readWindow.milliseconds)
    }
}
