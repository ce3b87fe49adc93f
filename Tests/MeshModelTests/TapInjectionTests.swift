import MeshModel
import Testing

@Suite("Tap injection", .timeLimit(.minutes(1))) struct TapInjectionTests {
    private func pod(_ annotations: String = "{\"a\":\"b\"}", container: String = "linkerd-proxy", list: String = "containers", env: String = ",\"env\":[]") throws -> JSONValue {
        try JSONValue(parsing: "{\"metadata\":{\"annotations\":\(annotations)},\"spec\":{\"\(list)\":[{\"name\":\"app\"},{\"name\":\"\(container)\"\(env)}]}}")
    }

    private func paths(_ pod: JSONValue, namespace: [String: String] = [:]) -> [String] {
        TapInjection.patch(pod, namespaceAnnotations: namespace, serviceName: "tap.id").compactMap { $0["path"]?.stringValue }
    }

    @Test("The proxy is told who may tap, and the pod says so")
    func enables() throws {
        #expect(try paths(pod()) == ["/metadata/annotations/viz.linkerd.io~1tap-enabled", "/spec/containers/1/env/-"])
        let last = try TapInjection.patch(pod(), namespaceAnnotations: [:], serviceName: "tap.id").last
        #expect(last?["value"]?["name"]?.stringValue == "LINKERD2_PROXY_TAP_SVC_NAME")
        #expect(last?["value"]?["value"]?.stringValue == "tap.id")
    }

    @Test("What is missing is made first")
    func makes() throws {
        #expect(
            try paths(pod("null", list: "initContainers", env: "")) == [
                "/metadata/annotations", "/metadata/annotations/viz.linkerd.io~1tap-enabled", "/spec/initContainers/1/env",
                "/spec/initContainers/1/env/-",
            ])
    }

    @Test(
        "Pods without a proxy, enabled ones and those that want none are left alone",
        arguments: ["{\"viz.linkerd.io/disable-tap\":\"true\"}", "{\"viz.linkerd.io/disable-tap\":\"1\"}", "{\"viz.linkerd.io/tap-enabled\":\"true\"}"])
    func leaves(annotations: String) throws {
        #expect(try paths(pod(annotations)).isEmpty)
        #expect(try paths(pod(container: "other")).isEmpty)
        #expect(try paths(pod(), namespace: ["viz.linkerd.io/disable-tap": "t"]).isEmpty)
        #expect(try !paths(pod("{\"viz.linkerd.io/disable-tap\":\"no\"}")).isEmpty)
        #expect(try paths(JSONValue(parsing: "{}")).isEmpty)
    }
}
