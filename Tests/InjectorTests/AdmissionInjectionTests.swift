import Foundation
import Injector
import MeshModel
import Testing

@Suite("Injection at admission", .timeLimit(.minutes(1))) struct AdmissionInjectionTests {
    private static let injection = AdmissionInjection(values: InjectionGoldenTests.values)
    private static let owner = PodOwner(kind: "Deployment", apiVersion: "apps/v1", name: "web", uid: "u1")

    private static func pod(_ annotations: JSONValue? = nil, spec: JSONValue = [:]) -> JSONValue {
        var base: JSONValue = ["containers": [["name": "app", "image": "a", "ports": [["containerPort": 8080]]]]]
        for (key, value) in spec.objectValue ?? [:] { base[key] = value }
        var metadata: JSONValue = ["generateName": "web-1-", "labels": ["app": "web"]]
        if let annotations { metadata["annotations"] = annotations }
        return ["apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": base]
    }

    private static func decide(
        _ pod: JSONValue, namespace: [String: String] = [:]
    ) -> AdmissionInjectionResult {
        injection.pod(pod, namespace: "shop", annotations: namespace, owner: owner)
    }

    private static let inject = "linkerd.io/inject"

    @Test(
        "Namespace and pod decide together, and the pod wins",
        arguments: [
            ("enabled", "", []), ("enabled", "enabled", []), ("enabled", "ingress", []), ("ingress", "", []),
            ("enabled", "disabled", [SkipReason.injectionDisabled]), ("ingress", "disabled", [.injectionDisabled]),
            ("", "enabled", []), ("", "ingress", []), ("disabled", "enabled", []), ("disabled", "ingress", []),
            ("", "", [.annotationAbsent]), ("disabled", "", [.annotationAbsent]),
            ("yes", "enabled", [.invalidNamespaceAnnotation]), ("enabled", "true", [.invalidWorkloadAnnotation]),
        ])
    func decides(onNamespace: String, onPod: String, reasons: [SkipReason]) {
        let annotations: JSONValue? = onPod.isEmpty ? .none : [Self.inject: .string(onPod)]
        let result = Self.decide(
            Self.pod(annotations), namespace: onNamespace.isEmpty ? [:] : [Self.inject: onNamespace])
        #expect(result.reasons == reasons)
        #expect(result.isInjected == reasons.isEmpty)
        #expect(result.patch.isEmpty == !reasons.isEmpty)
        let isIngress = onPod == "ingress" || (onPod.isEmpty && onNamespace == "ingress")
        let text = JSONValue.array(result.patch).jsonText
        #expect(text.contains("INGRESS_MODE") == isIngress)
    }

    @Test("Pods on the host's network, and those with a proxy, are left alone")
    func leavesAlone() {
        let enabled = [Self.inject: "enabled"]
        let host = Self.decide(Self.pod(spec: ["hostNetwork": true]), namespace: enabled)
        #expect(host.reasons == [.hostNetwork] && host.patch.isEmpty)
        let sidecar: JSONValue = ["containers": [["name": "linkerd-proxy"]], "hostNetwork": true]
        #expect(Self.decide(Self.pod(spec: sidecar), namespace: [:]).reasons == [.hostNetwork, .sidecarExists, .annotationAbsent])
    }

    @Test("The patch adds parents first, containers, the volume, labels of namespace and owner, and inherited settings")
    func patches() throws {
        let namespace = [
            Self.inject: "enabled", "config.linkerd.io/proxy-log-level": "debug",
            "config.linkerd.io/skip-outbound-ports": "25", "config.linkerd.io/close-wait-timeout": "10s",
            "config.linkerd.io/admission-webhooks": "x", "config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "3",
            "other": "thing",
        ]
        let pod = Self.pod(["config.linkerd.io/skip-outbound-ports": "26"])
        let result = Self.decide(pod, namespace: namespace)
        #expect(result.annotationPlace == .namespace)
        #expect(result.settings == ["proxy-log-level", "skip-outbound-ports"])
        let paths = result.patch.compactMap { $0["path"]?.stringValue }
        #expect(result.patch.allSatisfy { $0["op"] == "add" })
        #expect(
            paths == [
                "/metadata/annotations/config.alpha.linkerd.io~1proxy-wait-before-exit-seconds",
                "/metadata/annotations/config.linkerd.io~1proxy-log-level",
                "/metadata/annotations/linkerd.io~1created-by", "/metadata/annotations/linkerd.io~1identity-mode",
                "/metadata/annotations/linkerd.io~1proxy-version", "/metadata/labels/linkerd.io~1control-plane-ns",
                "/metadata/labels/linkerd.io~1proxy-deployment", "/metadata/labels/linkerd.io~1workload-ns",
                "/spec/containers/-", "/spec/initContainers", "/spec/volumes",
            ])
        func value(_ path: String) -> JSONValue? { result.patch.first { $0["path"]?.stringValue == path }?["value"] }
        #expect(value("/metadata/labels/linkerd.io~1proxy-deployment") == "web")
        #expect(value("/metadata/labels/linkerd.io~1workload-ns") == "shop")
        let arguments = value("/spec/initContainers")?[0]?["args"]?.arrayValue ?? []
        let flag = try #require(arguments.firstIndex(of: "--outbound-ports-to-ignore"))
        #expect(arguments[flag + 1] == "26")
        let environment = value("/spec/containers/-")?["env"]?.arrayValue ?? []
        #expect(environment.contains(["name": "LINKERD2_PROXY_LOG", "value": "debug"]))
        // Without annotations of its own the pod gets the whole map.
        let bare = Self.decide(Self.pod(), namespace: [Self.inject: "enabled"])
        #expect(bare.patch.contains { $0["path"] == "/metadata/annotations" && $0["value"]?["linkerd.io/created-by"] != nil })
    }

    @Test(
        "Pods without a proxy, and Services, learn their opaque ports",
        arguments: [
            ([:], ["port": 3306], "3306"), ([:], ["port": 80], nil), ([:], ["port": 80, "targetPort": 3306], "80"),
            ([:], ["port": 3306, "targetPort": "sql"], nil), ([:], ["port": 3306, "targetPort": 8080], nil),
            (["config.linkerd.io/opaque-ports": "7"], ["port": 80], "7"),
        ] as [([String: String], JSONValue, String?)])
    func opaquePorts(namespace: [String: String], port: JSONValue, expected: String?) {
        let service: JSONValue = ["kind": "Service", "metadata": ["name": "db"], "spec": ["ports": [port]]]
        let result = Self.injection.service(service, annotations: namespace)
        let marked: JSONValue? = expected.map { ["config.linkerd.io/opaque-ports": .string($0)] }
        let wanted: [JSONValue] = marked.map { [["op": "add", "path": "/metadata/annotations", "value": $0]] } ?? []
        #expect(result.patch == wanted)
        var own = service
        own.set("1", at: ["metadata", "annotations", "config.linkerd.io/opaque-ports"])
        #expect(Self.injection.service(own, annotations: namespace).patch.isEmpty)
    }

    @Test("A pod that is skipped is marked with the default list's ports of its own")
    func opaquePortsOfPods() {
        let spec: JSONValue = ["containers": [["name": "db", "ports": [["containerPort": 5432], ["containerPort": 80]]]]]
        let result = Self.decide(Self.pod(spec: spec))
        #expect(!result.isInjected)
        #expect(
            result.patch == [
                ["op": "add", "path": "/metadata/annotations", "value": ["config.linkerd.io/opaque-ports": "5432"]]
            ])
    }

    @Test("A manifest is marked for the webhook, again without a change, and taken back by uninject")
    func annotates() throws {
        let injection = ProxyInjection(values: InjectionGoldenTests.values)
        let manifest = try String(
            contentsOf: InjectionGoldenTests.corpus.appending(path: "workloads.txt"), encoding: .utf8)
        let input = manifest.components(separatedBy: "\n\(InjectionGoldenTests.separator)manifest\n")[0] + "\n"
        let marked = try injection.annotateYAML(input, mode: "enabled")
        let marks = marked.yaml.components(separatedBy: "linkerd.io/inject: enabled").count - 1
        #expect(marks == marked.report.count { $0.outcome == .annotated })
        let deployment = try #require(YAMLText.documents(marked.yaml).first { $0["kind"] == "Deployment" })
        let mark = deployment.value(at: ["spec", "template", "metadata", "annotations", "linkerd.io/inject"])
        #expect(mark == "enabled")
        #expect(marked.report.contains { $0.outcome == .annotated } && !marked.yaml.contains("linkerd-proxy"))
        #expect(try injection.annotateYAML(marked.yaml, mode: "enabled").yaml == marked.yaml)
        let byHand = try injection.injectYAML(input).yaml
        #expect(try injection.annotateYAML(byHand, mode: "enabled").report.map(\.outcome) == marked.report.map(\.outcome))
        let namespace: JSONValue = ["kind": "Namespace", "metadata": ["name": "shop"]]
        let result = injection.annotate(namespace, mode: "ingress")
        #expect(result.document.value(at: ["metadata", "annotations", "linkerd.io/inject"]) == "ingress")
        #expect(result.reports.map(\.description) == ["namespace \"shop\" annotated"])
        let host: JSONValue = ["kind": "Pod", "metadata": ["name": "a"], "spec": ["hostNetwork": true]]
        #expect(injection.annotate(host).reports.map(\.outcome) == [.skipped([.hostNetwork])])
    }

    @Test("Every reason has words and a label of its own")
    func reasons() {
        #expect(Set(SkipReason.allCases.map(\.text)).count == SkipReason.allCases.count)
        #expect(Set(SkipReason.allCases.map(\.label)).count == SkipReason.allCases.count)
        #expect(SkipReason.annotationAbsent.label == "injection_enable_annotation_absent")
    }
}
