import ArgumentParser
import Foundation
import Logging
import MeshModel
import MeshRollup
import RollupStore

/// `linkerd-viz store simulate`: fills a store with the traffic of a made-up mesh, or checks one that was filled so.
///
/// History older than seven hours is written a minute at a time and by one pod per workload: what is left of it
/// after the finest tier's six hours is the same. A run that was killed goes on where the file stopped.
struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Fills a store with a made-up mesh, to learn how large it gets, or checks one filled so.")

    @OptionGroup var file: StoreCommand.FileOption
    @Option(help: "Deployments.") var workloads = 100
    @Option(help: "Pods of each.") var podsPerWorkload = 3
    @Option(help: "Other deployments that each calls.") var calls = 5
    @Option(help: "Days of history up to now.") var days = 14.0
    @Option(help: "Milliseconds since 1970 at which it ends; 0 is now.") var end: Int64 = 0
    @Option(help: "Seconds between scrapes of what is older than seven hours; more than 60 leaves minutes empty.")
    var step: Int64 = 60
    @Option(help: "Bytes the file may take.") var storeSize = ByteCount(1_900_000_000)
    @Flag(help: "Every scrape 10 s apart by every pod, from the start.") var fine = false
    @Flag(help: "Only compare the file with what it should hold.") var verify = false

    func validate() throws {
        guard workloads > 0, podsPerWorkload > 0, calls >= 0, days > 0 else {
            throw ValidationError("--workloads, --pods-per-workload and --days must be positive")
        }
        guard step >= 60, step <= 3_600, step.isMultiple(of: 60) else {
            throw ValidationError("--step must be whole minutes, up to an hour")
        }
        guard fine || !verify else { throw ValidationError("--verify needs --fine: else most scrapes are left out") }
    }

    private static let minute: Int64 = 60_000
    private static let fineMilliseconds: Int64 = 7 * 3_600_000

    func run() async throws {
        let endTime = (end == 0 ? UnixTime(seconds: Date.now.timeIntervalSince1970) : UnixTime(milliseconds: end))
            .floored(to: Self.minute)
        let start = endTime.advanced(by: -Int64(days * 86_400_000)).floored(to: 3_600_000)
        let mesh = SimulatedMesh(
            workloads: workloads, podsPerWorkload: podsPerWorkload, callsPerWorkload: calls, start: start)
        var limits = StoreLimits()
        limits.fileBytesMax = storeSize.value
        let logger = Logger(label: "simulate", factory: { StreamLogHandler.standardError(label: $0) })
        // A store on a clock behind its newest chunks would write them anew.
        let hasHistory = ((try? StoreTools.summary(of: file.store))?.cursors ?? 0) > 0  // No file is no history.
        let store = try RollupStore(
            path: file.store, now: hasHistory ? endTime : start, limits: limits, logger: logger)
        let run = SimulationRun(
            mesh: mesh, store: store, end: endTime, isFine: fine, coarseMilliseconds: step * 1_000)
        if verify {
            let wrong = try await run.verify(podsPerWorkload: podsPerWorkload)
            guard wrong == 0 else { throw ExitCode.failure }
        } else {
            await run.fill(podsPerWorkload: podsPerWorkload, fineMilliseconds: Self.fineMilliseconds)
        }
    }
}

/// A number of bytes: plain, or with `k`, `M`, `G` (powers of 1000), `Ki`, `Mi`, `Gi` (powers of 1024).
struct ByteCount: ExpressibleByArgument {
    let value: Int64
    var defaultValueDescription: String { "\(value)" }

    init(_ value: Int64) { self.value = value }

    init?(argument: String) {
        let units: [(suffix: String, factor: Int64)] = [
            ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("", 1),
        ]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }),
            let number = Int64(argument.dropLast(unit.suffix.count)), number > 0
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit.factor)
        guard !overflow else { return nil }
        value = product
    }
}
