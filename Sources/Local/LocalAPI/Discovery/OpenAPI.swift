// The OpenAPI documents, derived from the schema library. kubectl 1.20 asks version 2 in protobuf only and
// is content with an empty document; newer ones read version 3, where each PATCH must declare
// `fieldValidation` for validation to be left to the server.

import MeshModel
import NIOCore
import NIOHTTP1

/// Answers `/openapi/v2`, `/openapi/v3` and its documents.
struct OpenAPI {
    let kinds: KindCatalogue

    /// The media type that carries no `@`, on which kubectl 1.20 would choke.
    private static let protobufType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

    func respond(_ request: APIRequest) throws(StatusError) -> APIResponse {
        let path = request.path
        if path == ["openapi", "v2"] {
            let accept = request.headers[canonicalForm: "Accept"].joined(separator: ",")
            if accept.contains("protobuf") { return .bytes(ByteBuffer(), contentType: Self.protobufType) }
            return .json(versionTwo)
        }
        guard path.count >= 2, path[1] == "v3" else { throw .unknownPath }
        if path.count == 2 { return .json(index) }
        let apiVersion = path.dropFirst(3).joined(separator: "/")
        guard path.count > 3, Discovery(kinds: kinds).apiVersions.contains(apiVersion) else {
            throw .unknownPath
        }
        return .json(versionThree(apiVersion))
    }

    private var information: JSONValue { ["title": "linkerd local cluster", "version": "v1.32.0"] }

    private var versionTwo: JSONValue {
        [
            "swagger": "2.0", "info": information, "paths": [:],
            "definitions": .object(definitions(kinds.kinds, reference: "#/definitions/")),
        ]
    }

    private var index: JSONValue {
        var paths: [String: JSONValue] = [:]
        for apiVersion in Discovery(kinds: kinds).apiVersions {
            let path = apiVersion.contains("/") ? "apis/\(apiVersion)" : "api/\(apiVersion)"
            paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)")]
        }
        return ["paths": .object(paths)]
    }

    private func versionThree(_ apiVersion: String) -> JSONValue {
        let known = kinds.kinds.filter { $0.apiVersion == apiVersion }
        var paths: [String: JSONValue] = [:]
        for kind in known {
            let prefix = kind.group.isEmpty ? "/api/\(kind.version)" : "/apis/\(apiVersion)"
            let scope = kind.isNamespaced ? "/namespaces/{namespace}" : ""
            let collection = "\(prefix)\(scope)/\(kind.plural)"
            paths[collection] = ["get": operation(kind, "list"), "post": operation(kind, "post")]
            paths[collection + "/{name}"] = [
                "get": operation(kind, "get"), "put": operation(kind, "put"),
                "patch": operation(kind, "patch"),
                "delete": operation(kind, "delete"),
            ]
        }
        return [
            "openapi": "3.0.0", "info": information, "paths": .object(paths),
            "components": ["schemas": .object(definitions(known, reference: "#/components/schemas/"))],
        ]
    }

    private func operation(_ kind: KindDescription, _ action: String) -> JSONValue {
        let names =
            switch action {
            case "post", "put", "patch": ["dryRun", "fieldManager", "fieldValidation"]
            case "delete": ["dryRun", "gracePeriodSeconds", "propagationPolicy"]
            case "list": ["fieldSelector", "labelSelector", "resourceVersion", "timeoutSeconds", "watch"]
            default: [String]()
            }
        let parameters = names.map { name -> JSONValue in
            ["name": .string(name), "in": "query", "schema": ["type": "string", "uniqueItems": true]]
        }
        return [
            "operationId": .string("\(action)\(kind.kind)"), "x-kubernetes-action": .string(action),
            "x-kubernetes-group-version-kind": gvk(kind), "parameters": .array(parameters),
            "responses": ["200": ["description": "OK"]],
        ]
    }

    private func gvk(_ kind: KindDescription) -> JSONValue {
        ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
    }

    /// Schemas of kinds and of every type that they reach.
    private func definitions(_ kinds: [KindDescription], reference: String) -> [String: JSONValue] {
        let writer = SchemaWriter(library: KindCatalogue.schemas, reference: reference)
        var result: [String: JSONValue] = [:]
        var pending: [String] = []
        for kind in kinds {
            let name = "io.k8s.api.\(kind.group.isEmpty ? "core" : kind.group).\(kind.version).\(kind.kind)"
            var schema: JSONValue = ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
            if let type = KindCatalogue.schemas[kind.schema] {
                schema = writer.schema(type)
                pending += writer.references(type)
            }
            schema["x-kubernetes-group-version-kind"] = [gvk(kind)]
            result[name] = schema
        }
        while let name = pending.popLast() {
            guard result[name] == nil, let type = KindCatalogue.schemas[name] else { continue }
            result[name] = writer.schema(type)
            pending += writer.references(type)
        }
        return result
    }
}

/// Writes types of the library as OpenAPI schemas.
struct SchemaWriter {
    let library: SchemaLibrary
    let reference: String

    func schema(_ type: SchemaType) -> JSONValue {
        var properties: [String: JSONValue] = [:]
        for field in type.fields.values {
            var property = schema(field.type)
            if let value = field.defaultValue { property["default"] = value }
            properties[field.name] = property
        }
        var schema: JSONValue = ["type": "object", "properties": .object(properties)]
        let required = type.fields.values.filter(\.isRequired).map(\.name).sorted()
        if !required.isEmpty { schema["required"] = .array(required.map { .string($0) }) }
        return schema
    }

    /// Names of the types that a type refers to.
    func references(_ type: SchemaType) -> [String] { type.fields.values.compactMap { reference($0.type) } }

    private func reference(_ type: FieldType) -> String? {
        switch type {
        case .object(let name, _): name
        case .list(let element, _), .map(let element): reference(element)
        default: nil
        }
    }

    private func schema(_ type: FieldType) -> JSONValue {
        switch type {
        case .string, .quantity: ["type": "string"]
        case .integer: ["type": "integer", "format": "int64"]
        case .boolean: ["type": "boolean"]
        case .number: ["type": "number"]
        case .intOrString: ["type": "string", "format": "int-or-string", "x-kubernetes-int-or-string": true]
        case .bytes: ["type": "string", "format": "byte"]
        case .time: ["type": "string", "format": "date-time"]
        case .any: ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
        case .object(let name, let retainKeys):
            retainKeys
                ? [
                    "allOf": [["$ref": .string(reference + name)]],
                    "x-kubernetes-patch-strategy": "retainKeys",
                ]
                : ["$ref": .string(reference + name)]
        case .map(let element): ["type": "object", "additionalProperties": schema(element)]
        case .list(let element, let rule): list(element, rule)
        }
    }

    private func list(_ element: FieldType, _ rule: ListMerge) -> JSONValue {
        var schema: JSONValue = ["type": "array", "items": self.schema(element)]
        switch rule {
        case .replace: schema["x-kubernetes-list-type"] = "atomic"
        case .asSet:
            schema["x-kubernetes-list-type"] = "set"
            schema["x-kubernetes-patch-strategy"] = "merge"
        case .byKey(let key):
            schema["x-kubernetes-patch-merge-key"] = .string(key)
            schema["x-kubernetes-patch-strategy"] = "merge"
        }
        return schema
    }
}
