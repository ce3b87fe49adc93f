// What the linked sources name, without what it brings along in the product.

import MeshModel

/// As much of an endpoint as a carried head needs.
struct EndpointHandle {
    let canonicalName: String?
    let defaultAuthority: [UInt8]
}

/// What a tap's path is made of.
package struct TapQuestion: Equatable {
    let kind: ResourceKind
    let namespace: String
    let name: String
}

/// What a tap's path asks for.
package struct TapAccessRequest: Equatable {
    let resource: String
    let namespace: String
    let name: String

    init(resource: String, namespace: String, name: String) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    init(_ question: TapQuestion) {
        self.init(resource: question.kind.plural, namespace: question.namespace, name: question.name)
    }
}

/// The bound of the store's key numbers.
enum KeyTable {
    static let idMax = 1 << 24
}
