package import MeshRollup

// Samples are no metrics of any proxy: a Prometheus server has never seen them.

extension PrometheusBackend {
    private static let refusal = StatError(
        .unsupported, "requests are sampled into the built-in rollup store, and this metrics-api asks a Prometheus server")

    package func requests(_ query: SampleQuery) async throws -> [RequestKey: Rollup] { throw Self.refusal }

    package func exemplars(_ filter: ExemplarFilter, _ window: StatWindow) async throws -> ExemplarLists {
        throw Self.refusal
    }
}
