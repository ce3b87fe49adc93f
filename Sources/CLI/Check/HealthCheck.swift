// What `check` commands are made of: checks in order, each of which says in words what is wrong, and a run of them
// that ends at the first one without which the rest would mean nothing.

/// One thing to look at.
package struct HealthCheck: Sendable {
    /// What a failure means for the run.
    package enum Severity: Sendable {
        /// The mesh works; someone should look at it.
        case warning
        /// Nothing that follows could be trusted: the run ends.
        case fatal
    }

    /// A part of the check with a verdict of its own.
    package struct Part: Sendable {
        package let description: String
        /// `nil` when all is well.
        package let problem: String?

        package init(description: String, problem: String?) {
            self.description = description
            self.problem = problem
        }
    }

    let description: String
    /// Where on the page of hints it is explained.
    let anchor: String
    let severity: Severity
    /// Tried again for as long as the run waits: what it looks at may just be starting.
    let isRetried: Bool
    let body: @Sendable () async throws -> [Part]

    /// - Parameter body: throws what is wrong; its parts are shown behind the check.
    package init(
        _ description: String, anchor: String, _ severity: Severity, isRetried: Bool = false,
        body: @escaping @Sendable () async throws -> [Part]
    ) {
        self.description = description
        self.anchor = anchor
        self.severity = severity
        self.isRetried = isRetried
        self.body = body
    }
}

/// What a check found wrong, in words for the user; several lines are fine.
package struct HealthProblem: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    /// A heading and the things it is about; nothing when there are none.
    package static func throwing(_ heading: String, about things: [String]) throws {
        guard !things.isEmpty else { return }
        throw HealthProblem(heading + things.map { "\n\t* \($0)" }.joined())
    }
}

/// Checks under one heading.
package struct HealthCategory: Sendable {
    package let name: String
    package let checks: [HealthCheck]

    package init(_ name: String, _ checks: [HealthCheck]) {
        self.name = name
        self.checks = checks
    }
}

/// Runs checks one after another.
package struct HealthRun: Sendable {
    /// Between two tries of a check.
    package static let retryInterval = Duration.seconds(5)

    private let deadline: ContinuousClock.Instant
    private let retryInterval: Duration
    /// Hears of every verdict as it comes.
    private let heard: @Sendable (_ category: String, HealthReport.Line) -> Void
    /// Hears that a check will be tried again.
    private let waits: @Sendable () -> Void

    /// - Parameter wait: how long checks that may be tried again are tried, all together.
    package init(
        wait: Duration, retryInterval: Duration = retryInterval, waits: @escaping @Sendable () -> Void = {},
        heard: @escaping @Sendable (_ category: String, HealthReport.Line) -> Void = { _, _ in }
    ) {
        deadline = .now + wait
        self.retryInterval = retryInterval
        self.waits = waits
        self.heard = heard
    }

    /// Runs all checks, or as many as there are before a fatal one fails.
    package func report(on categories: [HealthCategory]) async -> HealthReport {
        var report = HealthReport()
        for category in categories {
            for check in category.checks {
                let lines = await verdict(check)
                for line in lines {
                    report.add(line, to: category.name)
                    heard(category.name, line)
                }
                if lines.contains(where: { $0.result == .error }) { return report }
            }
        }
        return report
    }

    private func verdict(_ check: HealthCheck) async -> [HealthReport.Line] {
        while true {
            var parts: [HealthCheck.Part] = []
            var problem: String?
            do {
                parts = try await check.body()
            } catch {
                problem = "\(error)"
            }
            let isWell = problem == nil && parts.allSatisfy { $0.problem == nil }
            guard isWell || !check.isRetried || .now + retryInterval > deadline else {
                waits()
                // Interrupted only when the whole run is.
                try? await Task.sleep(for: retryInterval)
                continue
            }
            let own = HealthReport.Line(check, check.description, problem: problem)
            return [own] + parts.map { HealthReport.Line(check, $0.description, problem: $0.problem) }
        }
    }
}
