import MeshMetrics
import MeshTransport
import Testing

@Suite("Code that only the start needs", .timeLimit(.minutes(1)))
struct StartupCodeTests {
    @Test("Giving code back unmaps it, and everything goes on")
    func givesBack() {
        let before = ProcessStatistics.current().residentBytes
        let mapped = StartupCode.giveBack()
        let after = ProcessStatistics.current().residentBytes
        #expect(mapped > 1_000_000, "this program and its libraries")
        #expect(after < before)
        #expect((1...100).reduce(0, +) == 5_050)
    }
}
