import Foundation
import Identity
import MeshKubernetes
import MeshModel

/// The trust of one installation, kept in its cluster: a Secret with the issuer, and a ConfigMap with the trust
/// anchors that every proxy is given.
struct MeshCredentials {
    static let issuerSecret = "linkerd-identity-issuer"
    static let trustRootsConfigMap = "linkerd-identity-trust-roots"
    static let trustRootsKey = "ca-bundle.crt"

    let client: KubernetesClient
    /// The control plane's namespace.
    let namespace: String

    /// The trust anchors in PEM; `nil` when nothing was installed yet.
    func trustAnchors() async throws -> String? {
        do {
            let map = try await client.get(
                ConfigMap.self, namespace: namespace, name: Self.trustRootsConfigMap)
            return map.data?[Self.trustRootsKey]
        } catch let error as KubernetesError where error.isNotFound {
            return nil
        }
    }

    /// The trust anchors that are there, or new ones with their issuer. The anchors' own key is forgotten: who
    /// wants to keep it brings credentials of their own.
    func ensure(trustDomain: String, now: Date) async throws -> String {
        if let known = try await trustAnchors() { return known }
        let made = try IssuerCredentials.make(trustDomain: trustDomain, now: now)
        let applier = ManifestApplier(client: client)
        // The Secret first: anchors without an issuer would be taken for a finished installation.
        try await applier.apply([
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": metadata(Self.issuerSecret, expiry: made.notAfter),
            "data": [
                "crt.pem": base64(made.issuerCertificatePEM), "key.pem": base64(made.issuerKeyPEM),
            ],
        ])
        try await applier.apply([
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(Self.trustRootsConfigMap, expiry: nil),
            "data": [Self.trustRootsKey: .string(made.trustAnchorPEM)],
        ])
        return made.trustAnchorPEM
    }

    private func metadata(_ name: String, expiry: Date?) -> JSONValue {
        var metadata: JSONValue = [
            "name": .string(name), "namespace": .string(namespace),
            "labels": [
                "linkerd.io/control-plane-component": "identity",
                "linkerd.io/control-plane-ns": .string(namespace),
            ],
        ]
        if let expiry {
            metadata.set(
                .string(expiry.ISO8601Format()),
                at: ["annotations", "linkerd.io/identity-issuer-expiry"])
        }
        return metadata
    }

    private func base64(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }
}
