/// What was found wrong with one scrape that was answered.
package struct ScrapeReport: Sendable, Equatable {
    /// Wrong types that are named; more are not.
    static let examplesMax = 8

    /// Lines that are no samples.
    package var malformedLines = 0
    /// Values that are no counts: NaN, negative, beyond 2⁵³, or of a family with the wrong type.
    package var unusableValues = 0
    /// Series beyond the pod's share.
    package var ignoredSeries = 0
    /// Counters that grew by more than any network carries.
    package var implausibleCounters = 0
    /// Families whose declared type is not what they are.
    package var wrongTypes: Set<String> = []
    /// Whether the document said that it is complete, as OpenMetrics documents do.
    package var hasEnd = false
    /// Why nothing of it was taken in; `nil` when it was.
    package var rejection: String?
    /// Series that the pod has.
    package var seriesCount = 0

    /// One sentence for each thing that is wrong; empty for a good scrape.
    package var problems: [String] {
        var problems: [String] = rejection.map { [$0] } ?? []
        func add(_ count: Int, _ text: String) {
            if count > 0 { problems.append("\(count) \(text)") }
        }
        add(malformedLines, "lines are no samples")
        problems += wrongTypes.sorted()
        add(unusableValues, "values are no counts")
        add(ignoredSeries, "series are too many and were left out")
        add(implausibleCounters, "counters grew beyond belief and were not counted")
        return problems
    }
}
