import ArgumentParser
import MeshModel
import MetricsAPI

/// How to reach a Prometheus-compatible server that is asked instead of the built-in store.
struct PrometheusOptions: ParsableArguments {
    @Option(help: "Ask this Prometheus-compatible server instead of keeping rollups.") var prometheusUrl = ""
    @Option(help: "File with the user of basic authentication.") var prometheusUserFile = ""
    @Option(help: "File with the password of basic authentication.") var prometheusPasswordFile = ""
    @Option(help: "File with a bearer token.") var prometheusTokenFile = ""
    @Option(help: "Tenant to ask about, as Mimir, Cortex and Thanos know it.") var prometheusTenant = ""
    @Option(help: "Header that carries the tenant.") var prometheusTenantHeader = "X-Scope-OrgID"
    @Option(help: "PEM file of who signed the server's certificate; the system's by default.")
    var prometheusCaFile = ""
    @Option(help: "PEM file of a client certificate.") var prometheusCertFile = ""
    @Option(help: "PEM file of its key.") var prometheusKeyFile = ""
    @Option(help: "true: do not verify the server's certificate.") var prometheusSkipVerify = "false"
    @Option(help: "Time for one query.") var prometheusTimeout = GoDurationArgument(.seconds(15))

    func validate() throws {
        guard GoFlags.bool(prometheusSkipVerify) != nil else {
            throw ValidationError("--prometheus-skip-verify must be true or false")
        }
        guard prometheusUrl.isEmpty else { return }
        let others = [
            prometheusUserFile, prometheusPasswordFile, prometheusTokenFile, prometheusTenant, prometheusCaFile,
            prometheusCertFile, prometheusKeyFile,
        ]
        guard others.allSatisfy(\.isEmpty) else {
            throw ValidationError("--prometheus-… flags take effect with --prometheus-url only, which is missing")
        }
    }

    /// The server to ask; `nil` for the built-in store.
    var config: PrometheusConfig? {
        guard !prometheusUrl.isEmpty else { return nil }
        func file(_ path: String) -> String? { path.isEmpty ? nil : path }
        var config = PrometheusConfig(url: prometheusUrl)
        config.userFile = file(prometheusUserFile)
        config.passwordFile = file(prometheusPasswordFile)
        config.tokenFile = file(prometheusTokenFile)
        config.tenantHeader = prometheusTenantHeader
        config.tenant = file(prometheusTenant)
        config.authorityFile = file(prometheusCaFile)
        config.certificateFile = file(prometheusCertFile)
        config.keyFile = file(prometheusKeyFile)
        config.skipsVerification = GoFlags.bool(prometheusSkipVerify) ?? false
        config.timeout = prometheusTimeout.value
        return config
    }
}
