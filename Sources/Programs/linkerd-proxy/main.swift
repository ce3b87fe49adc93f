// The sidecar: reads its configuration from the environment, runs inbound, outbound and admin until it is
// told to end, then drains. Exit codes: 64 for a configuration that cannot be used, 1 when it cannot start.

import Logging
import MeshModel
import MeshTransport
import NIOCore
import NIOPosix
import ProxyCore
import ProxyInbound
import ProxyOutbound

guard let signals = SignalWaiter() else { ProcessEnd.exit(1, "no descriptor for signals") }

let environment = ProcessEnvironment.current()
let config: ProxyConfig
do {
    config = try ProxyConfig(from: DictionarySource(environment), coresAvailable: System.coreCount)
} catch {
    let handler = ProxyLogHandler(label: "linkerd2_proxy", filter: LogFilter("error"))
    let log = Logger(label: "linkerd2_proxy") { _ in handler }
    for mistake in error.mistakes { log.error("Invalid configuration: \(mistake)") }
    ProcessEnd.exit(64, "Invalid configuration: \(error)")
}
let filter = LogFilter(config.log)
LoggingSystem.bootstrap { ProxyLogHandler(label: $0, filter: filter, format: config.logFormat) }
let logger = Logger(label: "linkerd2_proxy")
for key in config.unknownKeys { logger.warning("Unknown configuration key", metadata: ["key": "\(key)"]) }
for warning in config.warnings { logger.warning("\(warning)") }

let group = MultiThreadedEventLoopGroup(numberOfThreads: config.coreCount)
let adminGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)

let runtime = ProxyRuntime(
    config: config, group: group, adminGroup: adminGroup, environment: environment, logFilter: filter,
    logger: logger)
let started = adminGroup.next().makeFutureWithTask {
    try await runtime.start { loops in
        let discovery = try await runtime.makeDiscovery(loops)
        return [
            try await InboundProxy(
                config: config, group: group, proxyLoops: loops,
                discovery: discovery, originalDestination: OriginalDestination.ofKernel,
                logger: logger),
            try await OutboundProxy(
                config: config, group: group, proxyLoops: loops, discovery: discovery,
                originalDestination: OriginalDestination.ofKernel, logger: logger),
        ]
    }
}
// Not waited for: the first certificate may take its time, and the order to end may come before.
started.whenFailure { ProcessEnd.exit(1, "cannot start: \($0)") }
started.whenSuccess { StartupCode.giveBack() }
signals.waitForTermination()
logger.info("Draining")
let drained = adminGroup.next().makeFutureWithTask { await runtime.drain() }
do {
    try drained.wait()
} catch {
    ProcessEnd.exit(1, "drain failed: \(error)")
}
