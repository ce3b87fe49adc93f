import ArgumentParser
import MeshCLI

// Named in full: at top level, plain `LinkerdCommand.main()` is the synchronous one, which refuses asynchronous commands.
let entry: @Sendable () async -> Void = { await LinkerdCommand.main() }
if !SingleThreadedProcess.run(CommandLine.arguments) { await entry() }
