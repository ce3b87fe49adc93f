import Foundation
import MeshModel
import NIOCore
import NIOHTTP1
import Yams

/// Who sent a request.
struct UserIdentity: Sendable, Hashable {
    let name: String
    var uid = ""
    let groups: [String]
    var extra: [String: [String]] = [:]
}

/// One request, its body collected.
struct APIRequest: Sendable {
    /// Bodies above this are refused with 413, as Kubernetes does.
    static let bodyBytesMax = 3 * 1_024 * 1_024

    let method: HTTPMethod
    /// Percent-decoded path segments without the empty ones.
    let path: [String]
    /// Query parameters in order, percent-decoded.
    let query: [(name: String, value: String)]
    let headers: HTTPHeaders
    let body: ByteBuffer
    let user: UserIdentity
    /// Whether the path ended in a slash, which a proxied request must keep.
    let endsWithSlash: Bool
    /// Path and query as they came, for a request that is passed on.
    let uri: String

    init(head: HTTPRequestHead, body: ByteBuffer, user: UserIdentity) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        method = head.method
        path = Self.segments(String(parts.first ?? "/"))
        query = parts.count < 2 ? [] : Self.parameters(parts[1])
        endsWithSlash = parts.first?.hasSuffix("/") ?? false
        uri = head.uri
        headers = head.headers
        self.body = body
        self.user = user
    }

    /// The segments of a path, percent-decoded.
    static func segments(_ path: String) -> [String] {
        path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
    }

    /// The parameters of a query, in order, percent-decoded.
    static func parameters(_ text: Substring) -> [(name: String, value: String)] {
        text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            func decode(_ part: Substring) -> String {
                let spaced = part.replacing("+", with: " ")
                return spaced.removingPercentEncoding ?? String(spaced)
            }
            return (decode(parts[0]), parts.count > 1 ? decode(parts[1]) : "")
        }
    }

    /// The first value of a query parameter; `nil` when absent.
    func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// A truth value: `true`, `1` or present without a value.
    func flag(_ name: String) -> Bool {
        guard let text = parameter(name) else { return false }
        return text.isEmpty || text == "true" || text == "1"
    }

    /// The media type of the body without parameters, in lower case; JSON when not given.
    var contentType: String {
        let value = headers.first(name: "Content-Type") ?? "application/json"
        return value.prefix { $0 != ";" }.lowercased().trimmingCharacters(in: .whitespaces)
    }

    /// Whether `Accept` asks for a Table, and in which version.
    var tableVersion: String? {
        let accept = headers[canonicalForm: "Accept"].joined(separator: ",")
        guard accept.contains("as=Table") else { return nil }
        return accept.contains("v=v1;") || accept.contains("v=v1,") || accept.hasSuffix("v=v1")
            ? "v1" : "v1beta1"
    }

    /// Whether `Accept` asks for metadata alone.
    var wantsPartialMetadata: Bool {
        headers[canonicalForm: "Accept"].contains { $0.contains("as=PartialObjectMetadata") }
    }

    /// The body as a tree; JSON or YAML by its media type.
    ///
    /// - Throws: `StatusError` 400 when malformed, 415 for a media type that is not read here.
    func document() throws(StatusError) -> JSONValue {
        let type = contentType
        if type.hasSuffix("yaml") {
            // What says YAML is JSON more often than not, and that is read many times faster.
            if let value = try? JSONValue(parsing: body.readableBytesView) { return value }
            return try yaml()
        }
        if type == "application/vnd.kubernetes.protobuf" {
            return try ProtobufReader(library: KindCatalogue.schemas, table: .shared).document(body)
        }
        guard type.hasSuffix("json") || type == "*/*" || type == "text/plain" else {
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json, application/yaml, application/vnd.kubernetes.protobuf")
        }
        do { return try JSONValue(parsing: body.readableBytesView) } catch {
            throw .badRequest("the object provided is unrecognized: couldn't parse JSON: \(error)")
        }
    }

    private func yaml() throws(StatusError) -> JSONValue {
        do {
            guard let node = try Yams.compose(yaml: String(buffer: body)) else { return .null }
            return YAMLTree.value(node)
        } catch {
            throw .badRequest("the object provided is unrecognized: couldn't parse YAML: \(error)")
        }
    }
}

/// YAML nodes as JSON trees.
enum YAMLTree {
    static func value(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            for (key, value) in mapping { members[key.string ?? ""] = self.value(value) }
            return .object(members)
        case .sequence(let sequence): return .array(sequence.map(value))
        case .scalar(let scalar):
            if scalar.style != .plain && scalar.style != .any { return .string(scalar.string) }
            if let flag = node.bool,
                ["true", "false", "True", "False", "TRUE", "FALSE"].contains(scalar.string)
            {
                return .bool(flag)
            }
            if let number = node.int { return .int(Int64(number)) }
            if node.null != nil { return .null }
            if let number = node.float, scalar.string.first.map({ $0.isNumber || "+-.".contains($0) }) == true
            {
                return .double(number)
            }
            return .string(scalar.string)
        case .alias: return .null
        }
    }
}
