import ArgumentParser
import Foundation
import MeshModel
import MeshRollup
import RollupStore

/// `linkerd-viz store …`: looks after the file of the rollup store.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Looks at, checks and copies the file of the rollup store.",
        subcommands: [Info.self, Check.self, Backup.self, SimulateCommand.self])

    /// The file that all of them are about.
    struct FileOption: ParsableArguments {
        @Option(help: "SQLite file of the rollup store.") var store = "/data/rollups.db"
    }

    /// `linkerd-viz store info`.
    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints what the file holds, as JSON.")
        @OptionGroup var file: FileOption

        func run() throws { StoreCommand.show(try StoreTools.summary(of: file.store)) }
    }

    /// `linkerd-viz store check`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads every page and unpacks every chunk; fails when anything is damaged.")
        @OptionGroup var file: FileOption

        func run() throws {
            let summary = try StoreTools.check(file.store)
            StoreCommand.show(summary)
            guard summary.isSound else { throw ExitCode.failure }
        }
    }

    /// `linkerd-viz store backup`.
    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copies the file while metrics-api writes to it, and checks the copy.")
        @OptionGroup var file: FileOption
        @Option(help: "File to write; must not exist.") var to: String

        func run() throws { StoreCommand.show(try StoreTools.backUp(file.store, to: to)) }
    }

    /// Prints a summary as JSON on standard output.
    static func show(_ summary: StoreTools.Summary) {
        var tiers: [JSONValue] = []
        for tier in Tier.allCases {
            var fields: [String: JSONValue] = [
                "bucketSeconds": .int(tier.bucketMilliseconds / 1_000), "chunks": .int(Int64(summary.chunks[tier] ?? 0)),
                "bytes": .int(summary.chunkBytes[tier] ?? 0),
            ]
            if let oldest = summary.oldest[tier] { fields["oldestSpanMs"] = .int(oldest.milliseconds) }
            tiers.append(.object(fields))
        }
        show([
            "fileBytes": .int(summary.fileBytes), "migrations": .array(summary.migrations.map { .string($0) }),
            "tiers": .array(tiers), "keys": .int(Int64(summary.keys)), "cursors": .int(Int64(summary.cursors)),
            "damagedChunks": .int(Int64(summary.damagedChunks)), "finding": .string(summary.finding),
            "isSound": .bool(summary.isSound),
        ])
    }

    /// Prints one line of JSON on standard output, at once.
    static func show(_ fields: [String: JSONValue]) {
        FileHandle.standardOutput.write(Data(JSONValue.object(fields).serialized() + [UInt8(ascii: "\n")]))
    }
}
