import Foundation
import Identity
import MeshKubernetes
import MeshModel

/// Certificates of programs that the API server calls: webhooks and aggregated APIs. A manifest names the Secret by
/// cert-manager's annotation, so that the same manifest works where cert-manager fills it in; here it is made when it
/// is absent or about to end, and the authority goes into the manifest's `caBundle`.
struct ServingCertificates {
    /// `<namespace>/<name>` of a Secret with `tls.crt`, `tls.key` and `ca.crt`.
    static let annotation = "cert-manager.io/inject-ca-from-secret"
    private static let expiryAnnotation = "linkerd.io/serving-certificate-expiry"
    /// A certificate that ends sooner than this is made again.
    private static let renewBefore: TimeInterval = 30 * 86_400

    let client: KubernetesClient

    /// The object with its `caBundle`, when it asks for one.
    func filled(_ object: JSONValue, now: Date) async throws -> JSONValue {
        guard let wanted = object.value(at: ["metadata", "annotations", Self.annotation])?.stringValue else { return object }
        let parts = wanted.split(separator: "/").map(String.init)
        guard parts.count == 2 else {
            throw ArgumentMistake("annotation \(Self.annotation) must be <namespace>/<secret>, not \"\(wanted)\"")
        }
        guard let name = Self.serverName(object) else { return object }
        let bundle = try await bundle(namespace: parts[0], secret: parts[1], serverName: name, now: now)
        return Self.filled(object, bundle: bundle)
    }

    /// The name that the API server asks for: that of the first Service the object points at.
    static func serverName(_ object: JSONValue) -> String? {
        let service =
            object.value(at: ["spec", "service"]) ?? object["webhooks"]?[0]?.value(at: ["clientConfig", "service"])
        guard let name = service?["name"]?.stringValue, let namespace = service?["namespace"]?.stringValue else { return nil }
        return "\(name).\(namespace).svc"
    }

    /// The object with an authority, in base64, wherever it has a place for one.
    static func filled(_ object: JSONValue, bundle: JSONValue) -> JSONValue {
        var object = object
        if object.value(at: ["spec", "service"]) != nil { object.set(bundle, at: ["spec", "caBundle"]) }
        if let webhooks = object["webhooks"]?.arrayValue {
            object["webhooks"] = .array(
                webhooks.map { webhook in
                    var webhook = webhook
                    webhook.set(bundle, at: ["clientConfig", "caBundle"])
                    return webhook
                })
        }
        return object
    }

    private func bundle(namespace: String, secret: String, serverName: String, now: Date) async throws -> JSONValue {
        let path = "/api/v1/namespaces/\(namespace)/secrets"
        do {
            let present = try await client.raw("GET", path: "\(path)/\(secret)")
            let expiry = present.value(at: ["metadata", "annotations", Self.expiryAnnotation])?.stringValue
            // Without our annotation it is somebody else's Secret, and theirs to renew.
            let ends = expiry.flatMap { try? Date($0, strategy: .iso8601) } ?? .distantFuture
            if ends > now + Self.renewBefore, let bundle = present.value(at: ["data", "ca.crt"]) { return bundle }
        } catch let error as KubernetesError where error.isNotFound {}  // Made below.
        let made = try ServingCredentials.make(name: serverName, now: now)
        func base64(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }
        let object: JSONValue = [
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": [
                "name": .string(secret), "namespace": .string(namespace),
                "annotations": [Self.expiryAnnotation: .string(made.notAfter.formatted(.iso8601))],
            ],
            "data": [
                "tls.crt": base64(made.certificatePEM), "tls.key": base64(made.keyPEM),
                "ca.crt": base64(made.authorityPEM),
            ],
        ]
        try await ManifestApplier(client: client).apply(object)
        return base64(made.authorityPEM)
    }
}
