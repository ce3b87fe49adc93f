// What one caller is not shown, added up over all of its proxies and their streams, one after another.

package import MeshAPI
import SwiftProtobuf
import Synchronization

/// Counts of one tap.
package struct TapCounts: Sendable, Equatable {
    /// Events given to the caller.
    package var events: UInt64 = 0
    /// Requests shown.
    package var requests: UInt64 = 0
    package var limited: UInt64 = 0
    package var droppedRequests: UInt64 = 0
    package var droppedEvents: UInt64 = 0
    package var filtered: UInt64 = 0
    package var gaps: UInt64 = 0
    package var cut: UInt64 = 0
    package var unseenMilliseconds: UInt64 = 0

    package init() {}

    /// The part that callers are told.
    package var losses: Linkerd2_Tap_Live_Losses {
        .with {
            $0.limited = limited
            $0.droppedRequests = droppedRequests
            $0.droppedEvents = droppedEvents
            $0.filtered = filtered
            $0.gaps = gaps
            $0.cut = cut
            $0.unseenMs = unseenMilliseconds
        }
    }

    /// Adds another tap's counts.
    package static func += (left: inout TapCounts, right: TapCounts) {
        left.events &+= right.events
        left.requests &+= right.requests
        left.limited &+= right.limited
        left.droppedRequests &+= right.droppedRequests
        left.droppedEvents &+= right.droppedEvents
        left.filtered &+= right.filtered
        left.gaps &+= right.gaps
        left.cut &+= right.cut
        left.unseenMilliseconds &+= right.unseenMilliseconds
    }

    /// What was counted since `earlier`.
    package static func - (later: TapCounts, earlier: TapCounts) -> TapCounts {
        var result = TapCounts()
        result.events = later.events &- earlier.events
        result.requests = later.requests &- earlier.requests
        result.limited = later.limited &- earlier.limited
        result.droppedRequests = later.droppedRequests &- earlier.droppedRequests
        result.droppedEvents = later.droppedEvents &- earlier.droppedEvents
        result.filtered = later.filtered &- earlier.filtered
        result.gaps = later.gaps &- earlier.gaps
        result.cut = later.cut &- earlier.cut
        result.unseenMilliseconds = later.unseenMilliseconds &- earlier.unseenMilliseconds
        return result
    }
}

/// The counts of one tap while it runs, shared by its observers.
final class LossLedger: Sendable {
    private struct State {
        var counts = TapCounts()
        var reported = TapCounts().losses
    }

    private let state = Mutex(State())
    private let total: TapTotals

    init(total: TapTotals) { self.total = total }

    /// Counts, here and for the process.
    func add(_ change: (inout TapCounts) -> Void) {
        var delta = TapCounts()
        change(&delta)
        let counted = delta
        state.withLock { $0.counts += counted }
        total.add(counted)
    }

    var counts: TapCounts { state.withLock { $0.counts } }

    /// What the caller is to be told, if it changed since it was told.
    func unreported() -> Linkerd2_Tap_Live_Losses? {
        state.withLock { state in
            let losses = state.counts.losses
            guard losses != state.reported else { return nil }
            state.reported = losses
            return losses
        }
    }
}

/// The counts of every tap since the process began.
package final class TapTotals: Sendable {
    private struct State {
        var counts = TapCounts()
        var taps: UInt64 = 0
        var active = 0
        var observers = 0
        var refusals: [TapRefusal.Kind: UInt64] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    func add(_ counts: TapCounts) { state.withLock { $0.counts += counts } }

    func began() {
        state.withLock {
            $0.taps += 1
            $0.active += 1
        }
    }

    func ended() { state.withLock { $0.active -= 1 } }
    func observers(_ change: Int) { state.withLock { $0.observers += change } }
    func refused(_ kind: TapRefusal.Kind) { state.withLock { $0.refusals[kind, default: 0] += 1 } }

    /// All counts of the process.
    package var counts: TapCounts { state.withLock { $0.counts } }
    /// Taps that run now, and taps that ever ran.
    package var taps: (active: Int, total: UInt64) { state.withLock { ($0.active, $0.taps) } }
    /// Streams from proxies that are open now.
    package var observerCount: Int { state.withLock { $0.observers } }
    package var refusals: [TapRefusal.Kind: UInt64] { state.withLock { $0.refusals } }
}
