// The paths of the aggregated API `tap.linkerd.io/v1alpha1`, and its discovery documents. Pure.
// Source: `spec/viz.md` 3.1, `spec/wire.md` 8.3.

import MeshModel

/// What a POST asks to tap.
package enum TapPath {
    static let root = "/apis/tap.linkerd.io/v1alpha1"

    /// Reads `…/watch/namespaces/<ns>/tap` or `…/watch/namespaces/<ns>/<plural>/<name>/tap`; the name may be empty.
    ///
    /// - Returns: `nil` for any other path.
    package static func parse(_ path: String) -> TapAccessRequest? {
        let prefix = root + "/watch/namespaces/"
        guard path.hasPrefix(prefix) else { return nil }
        let raw = path.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        let parts = raw.map { String($0).removingPercentEscapes }
        guard parts.last == "tap", let namespace = parts.first, !namespace.isEmpty else { return nil }
        switch parts.count {
        case 2: return TapAccessRequest(resource: "namespaces", namespace: namespace, name: namespace)
        case 4 where !parts[1].isEmpty:
            return TapAccessRequest(resource: parts[1], namespace: namespace, name: parts[2])
        default: return nil
        }
    }

    /// The path that a question belongs to, escaped.
    package static func path(_ question: TapQuestion) -> String {
        let base = "\(root)/watch/namespaces/\(escaped(question.namespace))"
        if question.kind == .namespace { return base + "/tap" }
        return base + "/\(question.kind.plural)/\(escaped(question.name))/tap"
    }

    /// Whether a request at this path may carry this question.
    static func fits(_ request: TapAccessRequest, _ question: TapQuestion) -> Bool {
        request == TapAccessRequest(question)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return result
    }
}

/// The documents that make the API server and `kubectl api-resources` take this for an API.
enum TapDiscovery {
    private static let kinds: [(plural: String, isNamespaced: Bool)] = [
        ("namespaces", false), ("pods", true), ("replicationcontrollers", true), ("services", true),
        ("daemonsets", true), ("deployments", true), ("replicasets", true), ("statefulsets", true),
        ("jobs", true), ("cronjobs", true),
    ]

    private static let paths: [String] = [
        "/", "/apis", "/apis/tap.linkerd.io", "/apis/tap.linkerd.io/v1alpha1", "/healthz", "/healthz/log",
        "/healthz/ping", "/metrics", "/openapi/v2", "/version",
    ]

    /// The answer to a GET; `nil` when there is no such document.
    static func document(_ path: String) -> JSONValue? {
        switch path {
        case "/": pathList
        case "/apis":
            ["kind": "APIGroupList", "apiVersion": "v1", "groups": [group]]
        case "/apis/tap.linkerd.io": group
        case TapPath.root:
            [
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "tap.linkerd.io/v1alpha1",
                "resources": .array(kinds.flatMap { [resource($0.plural, $0), resource($0.plural + "/tap", $0)] }),
            ]
        case "/openapi/v2":
            [
                "swagger": "2.0", "paths": [:],
                "info": ["title": "Linkerd tap", "version": .string(BuildVersion.current)],
            ]
        case "/version": ["gitVersion": .string(BuildVersion.current), "major": "0", "minor": "0"]
        default: nil
        }
    }

    /// What is answered where there is nothing.
    static var pathList: JSONValue { ["paths": .array(paths.map(JSONValue.string))] }

    private static var group: JSONValue {
        let version: JSONValue = ["groupVersion": "tap.linkerd.io/v1alpha1", "version": "v1alpha1"]
        return [
            "kind": "APIGroup", "apiVersion": "v1", "name": "tap.linkerd.io", "versions": [version],
            "preferredVersion": version,
        ]
    }

    private static func resource(_ name: String, _ kind: (plural: String, isNamespaced: Bool)) -> JSONValue {
        [
            "name": .string(name), "singularName": "", "namespaced": .bool(kind.isNamespaced), "kind": "Tap",
            "verbs": ["watch"],
        ]
    }
}
