// What makes a meshed pod's proxy open its tap port: the name of who may tap, and an annotation that says so. Pure.
// Source: `spec/viz.md` 3.8.

/// Enables taps in pods.
public enum TapInjection {
    /// Whoever has this set to true, pod or namespace, is left alone.
    public static let disableAnnotation = "viz.linkerd.io/disable-tap"
    /// Says that the proxy was told who may tap.
    public static let enabledAnnotation = "viz.linkerd.io/tap-enabled"
    /// The proxy's variable.
    public static let variable = "LINKERD2_PROXY_TAP_SVC_NAME"
    private static let container = "linkerd-proxy"

    /// The changes for a pod, or for what a controller makes pods of: operations of RFC 6902, in order.
    ///
    /// - Parameters:
    ///   - pod: an object with `metadata` and `spec`.
    ///   - namespaceAnnotations: of the pod's namespace.
    ///   - serviceName: the tap service's identity.
    /// - Returns: none when the pod has no proxy, is enabled already, or wants to be left alone.
    public static func patch(
        _ pod: JSONValue, namespaceAnnotations: [String: String], serviceName: String
    ) -> [JSONValue] {
        let annotations = (pod["metadata"]?["annotations"]?.objectValue ?? [:]).compactMapValues(\.stringValue)
        guard annotations[enabledAnnotation] == nil, !isTrue(annotations[disableAnnotation]),
            !isTrue(namespaceAnnotations[disableAnnotation]), let (list, index) = proxy(pod)
        else { return [] }
        var patch: [JSONValue] = []
        func add(_ path: String, _ value: JSONValue) {
            patch.append(["op": "add", "path": .string(path), "value": value])
        }
        if pod["metadata"]?["annotations"]?.objectValue == nil { add("/metadata/annotations", [:]) }
        add("/metadata/annotations/" + enabledAnnotation.replacing("/", with: "~1"), "true")
        let path = "/spec/\(list)/\(index)/env"
        if pod["spec"]?[list]?[index]?["env"]?.arrayValue == nil { add(path, []) }
        add(path + "/-", ["name": .string(variable), "value": .string(serviceName)])
        return patch
    }

    /// Where the proxy's container is: beside the others, or before them as a sidecar of the kubelet's own.
    private static func proxy(_ pod: JSONValue) -> (list: String, index: Int)? {
        for list in ["containers", "initContainers"] {
            let containers = pod["spec"]?[list]?.arrayValue ?? []
            if let index = containers.firstIndex(where: { $0["name"]?.stringValue == container }) { return (list, index) }
        }
        return nil
    }

    /// As Go reads a bool.
    private static func isTrue(_ text: String?) -> Bool {
        ["1", "t", "T", "true", "TRUE", "True"].contains(text ?? "")
    }
}
