// Typed objects to and from the JSON of the API.

internal import Foundation
public import MeshModel

/// How typed objects become JSON and back.
public enum ObjectCoding {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ text: String) { stringValue = text }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    /// An object together with the `apiVersion` and `kind` that its type implies.
    private struct Enveloped<T: KubernetesObject>: Encodable {
        let object: T

        func encode(to encoder: any Encoder) throws {
            try object.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(T.resource.apiVersion, forKey: Key("apiVersion"))
            try container.encode(T.resource.kind, forKey: Key("kind"))
        }
    }

    /// The object as compact JSON with `apiVersion` and `kind`.
    public static func encode<T: KubernetesObject>(_ object: T) throws -> [UInt8] {
        Array(try JSONEncoder().encode(Enveloped(object: object)))
    }

    /// An object or field group from JSON; unknown fields are dropped.
    ///
    /// - Throws: `KubernetesError` with code 0 that names the field when the shape does not fit.
    public static func decode<T: Decodable>(_ type: T.Type, from bytes: some Sequence<UInt8>) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw KubernetesError(code: 0, reason: "InvalidResponse", message: describe(error, of: "\(type)"))
        }
    }

    /// The object as a tree, with `apiVersion` and `kind`.
    public static func tree<T: KubernetesObject>(of object: T) throws -> JSONValue {
        try JSONValue(parsing: encode(object))
    }

    /// An object or field group from a tree.
    public static func decode<T: Decodable>(_ type: T.Type, from tree: JSONValue) throws -> T {
        try decode(type, from: tree.serialized(sortedKeys: false))
    }

    static func describe(_ error: DecodingError, of type: String) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        return switch error {
        case .keyNotFound(let key, let context): "\(type): \(path(context)) lacks \(key.stringValue)"
        case .valueNotFound(_, let context): "\(type): \(path(context)) is null"
        case .typeMismatch(let expected, let context): "\(type): \(path(context)) is not \(expected)"
        case .dataCorrupted(let context): "\(type): \(path(context)) \(context.debugDescription)"
        @unknown default: "\(type): unreadable"
        }
    }
}

/// One page of a list; items of the wrong shape are counted, not fatal.
struct ListPage<T: KubernetesObject>: Decodable {
    let items: [T]
    let skippedCount: Int
    let resourceVersion: String
    let continueToken: String?

    private enum Key: String, CodingKey { case items, metadata }
    private struct Metadata: Decodable {
        var resourceVersion: String?
        var `continue`: String?
    }
    private struct Lenient: Decodable {
        let object: T?
        // A malformed object is left out: the others must still reach their readers.
        init(from decoder: any Decoder) throws { object = try? T(from: decoder) }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let metadata = try container.decodeIfPresent(Metadata.self, forKey: .metadata)
        let lenient = try container.decodeIfPresent([Lenient].self, forKey: .items) ?? []
        items = lenient.compactMap(\.object)
        skippedCount = lenient.count - items.count
        resourceVersion = metadata?.resourceVersion ?? ""
        let token = metadata?.continue ?? ""
        continueToken = token.isEmpty ? nil : token
    }
}

/// One line of a watch.
struct WatchLine<T: KubernetesObject>: Decodable {
    /// What the line says.
    enum Content {
        case event(WatchEvent<T>)
        case failure(KubernetesError)
        /// An object of the wrong shape, or an event type of the future; its version when it has one.
        case skipped(resourceVersion: String?)
    }

    let content: Content

    private enum Key: String, CodingKey { case type, object }
    private struct Versioned: Decodable {
        struct Metadata: Decodable { var resourceVersion: String? }
        var metadata: Metadata?
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let type = try container.decode(String.self, forKey: .type)
        if type == "ERROR" {
            content = .failure(try container.decode(StatusBody.self, forKey: .object).error(httpStatus: 500))
            return
        }
        let version = try container.decode(Versioned.self, forKey: .object).metadata?.resourceVersion
        if type == "BOOKMARK" {
            content = .event(.bookmark(resourceVersion: version ?? ""))
            return
        }
        // A malformed object is skipped, as in lists.
        guard let object = try? container.decode(T.self, forKey: .object) else {
            content = .skipped(resourceVersion: version)
            return
        }
        switch type {
        case "ADDED": content = .event(.added(object))
        case "MODIFIED": content = .event(.modified(object))
        case "DELETED": content = .event(.deleted(object))
        default: content = .skipped(resourceVersion: version)
        }
    }
}
