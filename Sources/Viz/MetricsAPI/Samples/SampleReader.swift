// The way to the tap service's samples: finds its pods by watch, asks one, and follows until the stream breaks; then the
// next one, with growing pauses. What passes meanwhile is not sampled. Our own proxy makes the connection mTLS and checks
// who answers.

import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Logging
import MeshAPI
import MeshGRPC
package import MeshRollup
import Synchronization

/// What is asked of the tap service.
package struct SampleConfig: Sendable, Equatable {
    /// Requests each second that one proxy shows at most; 0 samples nothing.
    package var requestsPerSecond = 2.0
    /// Slowest, and failed, requests of one destination that a batch of ten seconds brings; 0 keeps none.
    package var exemplars: UInt32 = 3
    /// Where the tap service runs: pods elsewhere are not shown our token, whatever they call themselves.
    package var namespace = "linkerd-viz"
    /// The tap service's gRPC port.
    package var port = 8_088

    package init() {}
}

/// How the samples come in.
package struct SampleStatus: Sendable, Equatable {
    package var isConnected = false
    package var batches: UInt64 = 0
    /// Requests counted, and those that they stand for.
    package var requests: UInt64 = 0
    package var estimatedRequests: UInt64 = 0
    package var observedProxies: UInt32 = 0
    package var knownProxies: UInt32 = 0
    /// Streams that could not be opened or broke.
    package var failures: UInt64 = 0
    /// Why the last one did; empty while one goes on.
    package var problem = ""
}

/// Reads samples for ever.
package final class SampleReader: Sendable {
    static let pauseFirst: Duration = .milliseconds(500)
    static let pauseMax: Duration = .seconds(30)

    private let config: SampleConfig
    private let pods: @Sendable () -> [PodFacts]
    private let token: @Sendable () -> String?
    private let now: @Sendable () -> UnixTime
    private let logger: Logger
    private let state = Mutex(SampleStatus())

    /// - Parameters:
    ///   - pods: The pods there are.
    ///   - token: What the tap service knows us by.
    package init(
        config: SampleConfig, pods: @escaping @Sendable () -> [PodFacts], token: @escaping @Sendable () -> String?,
        now: @escaping @Sendable () -> UnixTime, logger: Logger
    ) {
        self.config = config
        self.pods = pods
        self.token = token
        self.now = now
        self.logger = logger
    }

    package var status: SampleStatus { state.withLock { $0 } }

    /// Reads until cancelled.
    package func run(into intake: SampleIntake) async {
        guard config.requestsPerSecond > 0 else { return }
        let intake = IntakeBox(intake)
        var pause = Self.pauseFirst
        var turn = 0
        while !Task.isCancelled {
            let taps = Self.taps(pods(), config)
            if !taps.isEmpty {
                let began = ContinuousClock.now
                await follow(taps[turn % taps.count], intake)
                if ContinuousClock.now - began > Self.pauseMax { pause = Self.pauseFirst }
                turn += 1
            }
            // Cancelled: the loop ends.
            try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    /// Pods of the tap service that can be asked.
    static func taps(_ pods: [PodFacts], _ config: SampleConfig) -> [PodFacts] {
        pods.filter { pod in
            pod.namespace == config.namespace && pod.labels["component"] == "tap"
                && pod.labels["linkerd.io/extension"] == "viz" && pod.phase == "Running" && !pod.isTerminating
                && !pod.ip.isEmpty
        }
    }

    /// One stream, from its opening to its end.
    private func follow(_ pod: PodFacts, _ intake: IntakeBox) async {
        do {
            let target: any ResolvableTarget =
                pod.ip.contains(":")
                ? .ipv6(address: pod.ip, port: config.port) : .ipv4(address: pod.ip, port: config.port)
            let transport = try HTTP2ClientTransport.Posix(target: target, transportSecurity: .plaintext)
            try await withGRPCClient(transport: transport) { client in
                var message = Linkerd2_Tap_Samples_SampleRequest()
                message.requestsPerSecond = config.requestsPerSecond
                message.exemplars = config.exemplars
                var request = ClientRequest(message: message)
                request.metadata.addString("Bearer \(token() ?? "")", forKey: "authorization")
                if !pod.identity.isEmpty { request.metadata.addString(pod.identity, forKey: "l5d-require-id") }
                var options = CallOptions.defaults
                options.waitForReady = false
                let sampler = Linkerd2_Tap_Samples_Sampler.Client(wrapping: client)
                try await sampler.sample(request: request, options: options) { [self] response in
                    for try await batch in response.messages {
                        note(batch)
                        await intake.take(batch, now: now())
                    }
                }
            }
            failed(pod, "the tap service ended the stream")
        } catch {
            if !Task.isCancelled { failed(pod, (error as? RPCError)?.message ?? "\(error)") }
        }
    }

    private func note(_ batch: Linkerd2_Tap_Samples_SampleBatch) {
        let isNew = state.withLock { state in
            defer {
                state.isConnected = true
                state.problem = ""
            }
            state.batches += 1
            state.requests &+= batch.rows.reduce(0) { $0 &+ $1.successes &+ $1.failures }
            state.estimatedRequests &+= batch.rows.reduce(0) { $0 &+ $1.requests }
            state.observedProxies = batch.observedProxies
            state.knownProxies = batch.knownProxies
            return !state.isConnected
        }
        if isNew { logger.info("Sampling requests", metadata: ["proxies": "\(batch.observedProxies)"]) }
    }

    private func failed(_ pod: PodFacts, _ problem: String) {
        let isNew = state.withLock { state in
            defer {
                state.isConnected = false
                state.problem = problem
            }
            state.failures += 1
            return state.problem != problem
        }
        logger.log(
            level: isNew ? .info : .debug, "No samples",
            metadata: ["tap": "\(pod.namespace)/\(pod.name)", "error": "\(problem)"])
    }
}

/// The intake, which one stream after another feeds.
private actor IntakeBox {
    private var intake: SampleIntake?

    init(_ intake: SampleIntake) { self.intake = intake }

    /// Moved out and back in, so that it is not copied; batches of one stream come one after another.
    func take(_ batch: Linkerd2_Tap_Samples_SampleBatch, now: UnixTime) async {
        guard var current = intake.take() else { return }
        await current.take(batch, now: now)
        intake = current
    }
}
