// How many requests may be sent again, as a share of those that were sent once. Without such a bound, retries
// double the load on a service at the very moment when it fails under load.
//
// Time is cut into slots of a tenth of the window. Each original request puts `ratio` retries into the present
// slot, each retry takes one out, and what lies further back than the window is forgotten. On top of that a
// fixed number of retries a second is always allowed. Source: Finagle's retry budget; `spec/proxy.md` 3.11.

/// A budget of retries. Pure; times are nanoseconds of any monotonic clock.
package struct RetryBudget: Sendable {
    /// What discovery says about a budget.
    package struct Settings: Sendable, Equatable {
        package let windowNanoseconds: UInt64
        package let ratio: Double
        package let minPerSecond: UInt32

        /// - Returns: `nil` for a window outside 1 to 60 s, a ratio outside 0 to 1000, or a floor beyond 31 bits.
        package init?(windowNanoseconds: UInt64, ratio: Double, minPerSecond: UInt32) {
            guard (1_000_000_000...60_000_000_000).contains(windowNanoseconds), (0...1_000).contains(ratio),
                minPerSecond <= Int32.max
            else { return nil }
            self.windowNanoseconds = windowNanoseconds
            self.ratio = ratio
            self.minPerSecond = minPerSecond
        }
    }

    private static let slotCount = 10
    /// A retry in the unit in which shares of one are counted.
    private static let retry: Int64 = 1_000

    private let slotNanoseconds: UInt64
    private let deposit: Int64
    private let reserve: Int64
    private var slots = [Int64](repeating: 0, count: slotCount)
    /// Number of the present slot since time 0.
    private var slot: UInt64 = 0

    /// - Parameter loopCount: event loops that each have such a budget and share the floor.
    package init(_ settings: Settings, loopCount: Int = 1) {
        slotNanoseconds = settings.windowNanoseconds / UInt64(Self.slotCount)
        deposit = Int64((settings.ratio * Double(Self.retry)).rounded())
        let seconds = Double(settings.windowNanoseconds) / 1e9
        let floor = Double(settings.minPerSecond) * seconds / Double(max(1, loopCount))
        reserve = Int64(floor.rounded(.up)) * Self.retry
    }

    /// Retries left at the time of the last call, rounded down.
    package var balance: Int { Int((reserve + slots.reduce(0, +)) / Self.retry) }

    /// An original request was answered and is not sent again.
    package mutating func depositRequest(at now: UInt64) {
        forget(before: now)
        slots[Int(slot % UInt64(Self.slotCount))] += deposit
    }

    /// Takes one retry.
    /// - Returns: `false`, and takes nothing, when none is left.
    package mutating func withdrawRetry(at now: UInt64) -> Bool {
        forget(before: now)
        guard reserve + slots.reduce(0, +) >= Self.retry else { return false }
        slots[Int(slot % UInt64(Self.slotCount))] -= Self.retry
        return true
    }

    private mutating func forget(before now: UInt64) {
        let present = now / slotNanoseconds
        guard present > slot else { return }  // A late call counts into the present slot.
        for step in 0..<min(present - slot, UInt64(Self.slotCount)) {
            slots[Int((present - step) % UInt64(Self.slotCount))] = 0
        }
        slot = present
    }
}
