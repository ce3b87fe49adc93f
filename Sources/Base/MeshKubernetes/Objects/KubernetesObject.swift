// What the typed objects have in common. They name the fields that this mesh reads or writes and drop
// the others, so change objects of other people with `patch`, never by reading and replacing them whole.

/// A field group of an object: starts empty and is filled in place.
public protocol KubernetesValue: Codable, Sendable, Hashable {
    /// Creates a value with everything unset.
    init()
}

extension KubernetesValue {
    /// Creates a value and fills it: `Pod { $0.metadata.name = "web" }`.
    public init(_ fill: (inout Self) throws -> Void) rethrows {
        self.init()
        try fill(&self)
    }
}

/// An object that the API server stores under a name.
public protocol KubernetesObject: Codable, Sendable {
    /// Where the API server keeps objects of this kind.
    static var resource: APIResource { get }
    /// Name, labels, ownership.
    var metadata: ObjectMeta { get set }
}

extension KubernetesObject {
    /// Namespace and name; empty text where unset.
    public var key: ObjectKey { ObjectKey(namespace: metadata.namespace ?? "", name: metadata.name ?? "") }
}

/// A kind of object and its place in the API.
public struct APIResource: Sendable, Hashable {
    /// Empty for the core group.
    public let group: String
    public let version: String
    /// Lower-case plural, as in the path.
    public let plural: String
    public let kind: String
    public let isNamespaced: Bool

    public init(group: String, version: String, plural: String, kind: String, isNamespaced: Bool) {
        self.group = group
        self.version = version
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    /// `v1` or `apps/v1`.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// The path of a collection, an object or a sub-resource.
    ///
    /// - Parameter namespace: `nil` or empty for all namespaces; ignored for cluster-wide kinds.
    public func path(namespace: String?, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced, let namespace, !namespace.isEmpty {
            path += "/namespaces/\(URLText.segment(namespace))"
        }
        path += "/\(plural)"
        if let name { path += "/\(URLText.segment(name))" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

/// Namespace and name of an object; the namespace is empty for cluster-wide kinds.
public struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let namespace: String
    public let name: String

    public init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }

    /// Orders by namespace, then by name.
    public static func < (a: ObjectKey, b: ObjectKey) -> Bool {
        (a.namespace, a.name) < (b.namespace, b.name)
    }
}

/// One whole answer to a list request.
public struct ObjectList<T: KubernetesObject>: Sendable {
    public var items: [T]
    /// The version to start a watch from.
    public var resourceVersion: String
    /// Items that did not have the expected shape and were left out.
    public var skippedCount: Int

    public init(items: [T], resourceVersion: String, skippedCount: Int = 0) {
        self.items = items
        self.resourceVersion = resourceVersion
        self.skippedCount = skippedCount
    }
}

/// One message of a watch.
public enum WatchEvent<T: KubernetesObject>: Sendable {
    case added(T)
    case modified(T)
    case deleted(T)
    /// Nothing changed up to this version.
    case bookmark(resourceVersion: String)
}

/// A number or a text, as ports and quantities may be.
public enum IntOrString: Sendable, Hashable, Codable, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral
{
    case int(Int)
    case string(String)

    public init(integerLiteral value: Int) { self = .int(value) }
    public init(stringLiteral value: String) { self = .string(value) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {  // Fails when this is text.
            self = .int(number)
        } else if let number = try? container.decode(Double.self) {  // A quantity such as 0.5.
            self = .string(String(number))
        } else {
            self = .string(try container.decode(String.self))
        }
    }

    /// Writes a number as a number, and text as text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .int(let number): try container.encode(number)
        case .string(let text): try container.encode(text)
        }
    }

    /// The value as text.
    public var text: String {
        switch self {
        case .int(let number): String(number)
        case .string(let text): text
        }
    }

    /// The number, also when it was given as decimal text.
    public var intValue: Int? {
        switch self {
        case .int(let number): number
        case .string(let text): Int(text)
        }
    }
}

/// Percent-encoding for the parts of a request target (RFC 3986 section 2).
enum URLText {
    /// One path segment or query value.
    static func segment(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.count == 1 ? "0" + digits : digits)
            }
        }
        return encoded
    }

    /// `?a=b&c=d`, or empty text without items.
    static func query(_ items: [(String, String)]) -> String {
        guard !items.isEmpty else { return "" }
        return "?" + items.map { "\($0.0)=\(segment($0.1))" }.joined(separator: "&")
    }
}
