internal import MeshModel

/// What the identity controller is told by its flags.
public struct IdentitySettings: Sendable {
    /// The names of the issuer's files, which depend on who writes the Secret.
    public enum Scheme: String, Sendable, CaseIterable {
        /// Written by the chart or the CLI.
        case linkerd = "linkerd.io/tls"
        /// Written by cert-manager and the like.
        case kubernetes = "kubernetes.io/tls"

        /// File names of certificate and key in the issuer's directory.
        var fileNames: (certificate: String, key: String) {
            switch self {
            case .linkerd: ("crt.pem", "key.pem")
            case .kubernetes: ("tls.crt", "tls.key")
            }
        }
    }

    /// Namespace of this control plane; part of every identity.
    public var controllerNamespace = "linkerd"
    /// The suffix of every identity.
    public var trustDomain = "cluster.local"
    /// How long a certificate is good.
    public var issuanceLifetime: Duration = .seconds(24 * 3_600)
    /// By how much clocks may differ; widens the validity at both ends.
    public var clockSkewAllowance: Duration = .seconds(20)
    public var scheme: Scheme = .linkerd
    /// The directory that the issuer's Secret is mounted on.
    public var issuerPath = "/var/run/linkerd/identity/issuer"
    /// The trust anchor bundle.
    public var trustAnchorsPath = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt"
    /// How often the issuer's files are looked at: cheap, and unlike a file event never missed.
    public var issuerPollInterval: Duration = .seconds(10)

    /// The defaults of Linkerd's chart.
    public init() {}
}
