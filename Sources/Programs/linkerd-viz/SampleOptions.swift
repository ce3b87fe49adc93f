import ArgumentParser
import MeshModel
import MeshRollup
import MetricsAPI

/// What is sampled of live requests, so that top can be asked about the past.
struct SampleOptions: ParsableArguments {
    @Option(help: "Requests each second that every proxy shows at most for samples; 0 turns them off.")
    var sampleRate = 2.0
    @Option(help: "Slowest, and failed, requests kept of each workload every ten seconds; 0 keeps none.")
    var sampleExemplars: UInt32 = 3
    @Option(help: "Namespace of the tap service.") var vizNamespace = "linkerd-viz"
    @Option(help: "gRPC port of the tap service.") var tapApiPort = 8_088
    @Option(help: "How long samples are kept by the minute.")
    var retentionSampleMinutes = GoDurationArgument(.seconds(3 * 86_400))
    @Option(help: "How long samples are kept by the hour.")
    var retentionSampleHours = GoDurationArgument(.seconds(30 * 86_400))
    @Option(help: "How long slowest and failed requests are kept.")
    var retentionExemplars = GoDurationArgument(.seconds(14 * 86_400))

    func validate() throws {
        guard sampleRate >= 0, sampleRate <= 100 else { throw ValidationError("--sample-rate must be between 0 and 100") }
        guard sampleExemplars <= 100 else { throw ValidationError("--sample-exemplars must be at most 100") }
        guard (1...65_535).contains(tapApiPort) else { throw ValidationError("--tap-api-port must be a port") }
    }

    var config: SampleConfig {
        var config = SampleConfig()
        config.requestsPerSecond = sampleRate
        config.exemplars = sampleExemplars
        config.namespace = vizNamespace
        config.port = tapApiPort
        return config
    }

    var retention: [Tier: Int64] {
        [.minute: retentionSampleMinutes.value.milliseconds, .hour: retentionSampleHours.value.milliseconds]
    }
}
