import MeshModel
import NIOCore

/// Where an object lives: the kind's qualified name, the namespace (empty when the kind has none), the name.
struct ObjectAddress: Sendable, Hashable {
    let resource: String
    let namespace: String
    let name: String
}

/// One change of one object, as the log keeps it and watchers get it.
struct StoredEvent: Sendable {
    enum Change: Int, Sendable {
        case added = 1
        case modified, deleted

        var name: String {
            switch self {
            case .added: "ADDED"
            case .modified: "MODIFIED"
            case .deleted: "DELETED"
            }
        }
    }

    let resourceVersion: Int64
    let change: Change
    let address: ObjectAddress
    let object: JSONValue
    /// The object before the change; `nil` when it was added.
    let previous: JSONValue?
    /// The watch line for everyone who sees the change as it is: encoded once, shared by all.
    let line: ByteBuffer

    init(
        resourceVersion: Int64, change: Change, address: ObjectAddress, object: JSONValue,
        previous: JSONValue?,
        objectBytes: [UInt8]
    ) {
        self.resourceVersion = resourceVersion
        self.change = change
        self.address = address
        self.object = object
        self.previous = previous
        line = Self.line(type: change.name, objectBytes: objectBytes)
    }

    /// One line of a watch: `{"type":…,"object":…}` and a newline.
    static func line(type: String, objectBytes: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(objectBytes.count + 40)
        buffer.writeString("{\"type\":\"\(type)\",\"object\":")
        buffer.writeBytes(objectBytes)
        buffer.writeString("}\n")
        return buffer
    }
}
