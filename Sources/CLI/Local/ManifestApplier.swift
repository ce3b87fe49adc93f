import Foundation
import MeshKubernetes
import MeshModel
import Yams

// `kubectl apply` for our own manifests: paths by discovery, create, and merge when the object exists. It
// leaves the annotation that kubectl's client-side apply compares with, so that both can be used on the same
// objects.

struct ManifestApplier {
    private struct Kind: Hashable {
        let plural: String
        let isNamespaced: Bool
    }

    private static let appliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

    let client: KubernetesClient

    init(client: KubernetesClient) { self.client = client }

    /// Applies every document of a YAML text, in order; documents that are lists are applied item by item.
    func apply(yaml: String) async throws {
        for document in try Yams.compose_all(yaml: yaml) {
            let tree = JSONValue(node: document)
            if let items = tree["items"]?.arrayValue, tree["kind"]?.stringValue?.hasSuffix("List") == true {
                for item in items { try await apply(item) }
            } else if !tree.isNull {
                try await apply(tree)
            }
        }
    }

    /// Creates one object, or merges it into the one that exists.
    func apply(_ given: JSONValue) async throws {
        let object = try await ServingCertificates(client: client).filled(given, now: .now)
        guard let apiVersion = object["apiVersion"]?.stringValue, let kindName = object["kind"]?.stringValue,
            let name = object.value(at: ["metadata", "name"])?.stringValue
        else { throw ArgumentMistake("a document in the manifest has no apiVersion, kind or metadata.name") }
        let kind = try await discover(kindName, in: apiVersion)
        let base = apiVersion.contains("/") ? "/apis/\(apiVersion)" : "/api/\(apiVersion)"
        let namespace = object.value(at: ["metadata", "namespace"])?.stringValue ?? "default"
        let collection =
            kind.isNamespaced ? "\(base)/namespaces/\(namespace)/\(kind.plural)" : "\(base)/\(kind.plural)"
        var annotated = object
        annotated.set(
            .string(object.jsonText + "\n"), at: ["metadata", "annotations", Self.appliedAnnotation])
        do {
            _ = try await client.raw("POST", path: collection, body: annotated)
        } catch let error as KubernetesError where error.isConflict {
            _ = try await client.raw(
                "PATCH", path: "\(collection)/\(name)", body: annotated,
                contentType: "application/merge-patch+json")
        }
    }

    private func discover(_ kind: String, in apiVersion: String) async throws -> Kind {
        let base = apiVersion.contains("/") ? "/apis/\(apiVersion)" : "/api/\(apiVersion)"
        let list = try await client.raw("GET", path: base)
        for resource in list["resources"]?.arrayValue ?? [] {
            guard resource["kind"]?.stringValue == kind, let plural = resource["name"]?.stringValue,
                !plural.contains("/")
            else { continue }
            return Kind(plural: plural, isNamespaced: resource["namespaced"]?.boolValue ?? true)
        }
        throw ArgumentMistake("the cluster has no kind \(kind) in \(apiVersion)")
    }
}

extension JSONValue {
    /// A YAML node as JSON, with YAML 1.2's core types.
    init(node: Yams.Node) {
        switch node {
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            for (key, value) in mapping { members[key.string ?? ""] = JSONValue(node: value) }
            self = .object(members)
        case .sequence(let sequence): self = .array(sequence.map { JSONValue(node: $0) })
        case .scalar(let scalar): self = Self.scalar(node, scalar)
        case .alias: self = .null
        }
    }

    private static func scalar(_ node: Yams.Node, _ scalar: Yams.Node.Scalar) -> JSONValue {
        // Quoted and block scalars are text, whatever they look like.
        guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
        if node.null != nil { return .null }
        if let flag = node.bool, ["true", "false"].contains(scalar.string.lowercased()) {
            return .bool(flag)
        }
        if let number = node.int { return .int(Int64(number)) }
        if let number = node.float { return .double(number) }
        return .string(scalar.string)
    }
}
