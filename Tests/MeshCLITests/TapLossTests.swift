import Foundation
import MeshAPI
import MeshCLI
import MeshModel
import SwiftProtobuf
import Testing

@Suite("What a tap did not show", .timeLimit(.minutes(1))) struct TapLossTests {
    private let start = ContinuousClock.now

    private func event(_ change: (inout Linkerd2_Tap_Live_Losses) -> Void) throws -> Linkerd2_Tap_TapEvent {
        let more = Linkerd2_Tap_Live_EventExtension.with { change(&$0.losses) }
        return try Linkerd2_Tap_TapEvent(serializedBytes: try more.serializedBytes() as [UInt8])
    }

    @Test("Totals become what is new, said at most every ten seconds")
    func totals() throws {
        var tracker = TapLossTracker()
        let first = try #require(tracker.take(try event { $0.limited = 3 }, at: start))
        #expect(first.text == "not shown: 3 requests over --max-rps")
        #expect(tracker.take(try event { $0.limited = 5 }, at: start + .seconds(9)) == nil)
        let second = try #require(tracker.take(try event { $0.limited = 6 }, at: start + .seconds(11)))
        #expect(second.limited == 3)
        #expect(tracker.rest() == nil)
        #expect(tracker.take(try event { $0.filtered = 9 }, at: start + .seconds(30)) == nil, "the user's filter is no loss")
    }

    @Test("After a break the count starts anew, and what was open is told")
    func breaks() throws {
        var tracker = TapLossTracker()
        _ = tracker.take(try event { $0.limited = 100 }, at: start)
        _ = tracker.take(try event { $0.limited = 100; $0.gaps = 1; $0.unseenMs = 4_210 }, at: start + .seconds(1))
        let away = TapInterruption(began: Date(timeIntervalSince1970: 1_760_000_000), length: .milliseconds(12_345))
        let loss = tracker.resumed(after: away, openCount: 2)
        #expect(
            loss.text
                == "not shown: whatever passed in the 12.3 s from 2025-10-09T08:53:20Z, when the tap was interrupted; "
                + "2 requests whose end was not seen; 1 time that a proxy could not be observed; proxies unobserved for 4.2 s in all")
        let next = try #require(tracker.take(try event { $0.limited = 101 }, at: start + .seconds(30)))
        #expect(next.limited == 101)
    }

    @Test("To programs a loss is an object with its own key, and reads back")
    func json() throws {
        var loss = TapLoss()
        loss.droppedEvents = 7
        loss.interruption = TapInterruption(began: Date(timeIntervalSince1970: 1_760_000_000), length: .seconds(3))
        let value = try JSONValue(parsing: TapJSON.pretty(loss))
        #expect(value.value(at: ["loss", "interruption", "milliseconds"])?.intValue == 3_000)
        #expect(TapJSON.loss(value) == loss)
        #expect(TapJSON.entry(value) == nil)
        #expect(TapJSON.loss(try JSONValue(parsing: TapJSON.pretty(TapFixtures.outbound))) == nil)
    }
}
