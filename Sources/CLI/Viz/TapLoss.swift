// What a tap did not show, in words and in JSON. Pure: time is an argument.

package import Foundation
package import MeshAPI
import MeshModel
import SwiftProtobuf

/// A time without a stream: what passed then nobody counted.
package struct TapInterruption: Sendable, Equatable {
    package var began: Date
    package var length: Duration

    package init(began: Date, length: Duration) {
        self.began = began
        self.length = length
    }
}

/// What was not shown since it was last said.
package struct TapLoss: Sendable, Equatable {
    /// Requests over the rate.
    package var limited: UInt64 = 0
    /// Requests, and events of shown requests, for which reading was too slow.
    package var droppedRequests: UInt64 = 0
    package var droppedEvents: UInt64 = 0
    /// Shown requests whose end was not seen.
    package var cut: UInt64 = 0
    /// Times that the service could not observe a proxy, and for how long, over those that ended.
    package var gaps: UInt64 = 0
    package var unseenMilliseconds: UInt64 = 0
    /// The tap itself was away.
    package var interruption: TapInterruption?

    package init() {}

    package var isEmpty: Bool { self == TapLoss() }

    /// A line for people.
    package var text: String {
        var parts: [String] = []
        func add(_ count: UInt64, _ one: String, _ many: String) {
            if count > 0 { parts.append("\(count) \(count == 1 ? one : many)") }
        }
        add(limited, "request over --max-rps", "requests over --max-rps")
        add(droppedRequests, "request dropped, reading was too slow", "requests dropped, reading was too slow")
        add(droppedEvents, "event dropped, reading was too slow", "events dropped, reading was too slow")
        add(cut, "request whose end was not seen", "requests whose end was not seen")
        add(gaps, "time that a proxy could not be observed", "times that a proxy could not be observed")
        if unseenMilliseconds > 0 { parts.append("proxies unobserved for \(Self.seconds(unseenMilliseconds)) in all") }
        if let interruption {
            parts.insert(
                "whatever passed in the \(Self.seconds(interruption.milliseconds)) from \(interruption.began.formatted(.iso8601)), "
                    + "when the tap was interrupted", at: 0)
        }
        return "not shown: " + parts.joined(separator: "; ")
    }

    private static func seconds(_ milliseconds: UInt64) -> String {
        "\(milliseconds / 1_000).\(milliseconds % 1_000 / 100) s"
    }

    /// The members of the JSON object, in their order.
    var members: [(String, JSONValue)] {
        func number(_ value: UInt64) -> JSONValue { .int(Int64(clamping: value)) }
        let away: JSONValue =
            interruption.map {
                ["began": .string($0.began.formatted(.iso8601)), "milliseconds": number($0.milliseconds)]
            } ?? .null
        return [
            ("limited", number(limited)), ("droppedRequests", number(droppedRequests)),
            ("droppedEvents", number(droppedEvents)), ("cut", number(cut)), ("gaps", number(gaps)),
            ("unseenMilliseconds", number(unseenMilliseconds)), ("interruption", away),
        ]
    }
}

extension TapInterruption {
    var milliseconds: UInt64 { UInt64(max(0, length / .milliseconds(1))) }
}

/// Adds up what streams say they did not show, one stream after another.
package struct TapLossTracker: Sendable {
    /// Time between two words.
    static let period: Duration = .seconds(10)

    /// Totals of this stream: as heard last, and as said last.
    private var latest = Linkerd2_Tap_Live_Losses()
    private var said = Linkerd2_Tap_Live_Losses()
    private var saidAt: ContinuousClock.Instant?

    package init() {}

    /// Requests of this stream whose end will never come, as far as the service said.
    package var cut: UInt64 { latest.cut }

    /// Takes what an event says.
    /// - Returns: a loss, when something new was lost and the last words are old enough.
    package mutating func take(_ event: Linkerd2_Tap_TapEvent, at now: ContinuousClock.Instant) -> TapLoss? {
        let bytes = event.unknownFields.data
        // Another extension's fields say nothing of losses.
        if !bytes.isEmpty, let more = try? Linkerd2_Tap_Live_EventExtension(serializedBytes: Array(bytes)), more.hasLosses {
            latest = more.losses
        }
        if let saidAt, now - saidAt < Self.period { return nil }
        guard let loss = rest() else { return nil }
        saidAt = now
        return loss
    }

    /// What was lost since the last words, if anything was.
    package mutating func rest() -> TapLoss? {
        // A total that fell began anew.
        func since(_ before: UInt64, _ now: UInt64) -> UInt64 { now >= before ? now - before : now }
        var loss = TapLoss()
        loss.limited = since(said.limited, latest.limited)
        loss.droppedRequests = since(said.droppedRequests, latest.droppedRequests)
        loss.droppedEvents = since(said.droppedEvents, latest.droppedEvents)
        loss.cut = since(said.cut, latest.cut)
        loss.gaps = since(said.gaps, latest.gaps)
        loss.unseenMilliseconds = since(said.unseenMs, latest.unseenMs)
        said = latest
        return loss.isEmpty ? nil : loss
    }

    /// Another stream took over: its totals begin at zero.
    ///
    /// - Parameter openCount: requests that were shown in part.
    /// - Returns: the interruption, with what the old stream had said and nobody passed on.
    package mutating func resumed(after interruption: TapInterruption, openCount: Int) -> TapLoss {
        var loss = rest() ?? TapLoss()
        loss.cut += UInt64(openCount)
        loss.interruption = interruption
        latest = Linkerd2_Tap_Live_Losses()
        said = latest
        return loss
    }
}
