// Who asks: an opaque text that the injector put into the proxy's environment.

internal import MeshModel

/// The asking pod's surroundings; empty text where unknown.
package struct ContextToken: Equatable, Sendable {
    package var namespace = ""
    package var nodeName = ""
    package var pod = ""

    package init(namespace: String = "", nodeName: String = "", pod: String = "") {
        self.namespace = namespace
        self.nodeName = nodeName
        self.pod = pod
    }

    /// Reads the JSON form `{"ns":…,"nodeName":…,"pod":…}` or the older `ns:<namespace>`.
    /// A token of another form is the same as none: it refines answers and is never required.
    package init(parsing text: String) {
        if text.hasPrefix("ns:") {
            namespace = String(text.dropFirst(3))
        } else if let tree = try? JSONValue(parsing: text) {  // See above.
            namespace = tree["ns"]?.stringValue ?? ""
            nodeName = tree["nodeName"]?.stringValue ?? ""
            pod = tree["pod"]?.stringValue ?? ""
        }
    }
}
