import Foundation
import Injector
import MeshModel
import Testing

/// Each file under `Corpus/` holds a manifest, then the expected one, then the expected report.
@Suite("Injection of manifests", .timeLimit(.minutes(1))) struct InjectionGoldenTests {
    static let separator = "=== "
    static let corpus = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")
    static let cases = ["pod", "workloads", "skipped", "annotations"]

    @Test("A manifest and its report come out as recorded", arguments: cases)
    func injects(name: String) throws {
        let file = Self.corpus.appending(path: "\(name).txt")
        let recorded = try String(contentsOf: file, encoding: .utf8)
        let input = recorded.components(separatedBy: "\n\(Self.separator)manifest\n")[0] + "\n"
        let result = try ProxyInjection(values: Self.values).injectYAML(input)
        let actual =
            input + "\(Self.separator)manifest\n" + result.yaml + "\(Self.separator)report\n"
            + result.report.rendered()
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try actual.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(actual == recorded)
        }
    }

    @Test("Taking the proxy out gives the manifest back", arguments: ["pod", "workloads"])
    func uninjects(name: String) throws {
        let recorded = try String(contentsOf: Self.corpus.appending(path: "\(name).txt"), encoding: .utf8)
        let input = recorded.components(separatedBy: "\n\(Self.separator)manifest\n")[0] + "\n"
        let injection = ProxyInjection(values: Self.values)
        let injected = try injection.injectYAML(input)
        let back = try injection.uninjectYAML(injected.yaml)
        // Maps that injection had to create stay behind empty-handed: compare without them.
        #expect(
            try YAMLText.documents(back.yaml).map(Self.pruned) == YAMLText.documents(input).map(Self.pruned))
        #expect(back.report.contains { $0.outcome == .uninjected })
    }

    @Test("A second injection is refused with its reason")
    func injectsOnce() throws {
        let pod: JSONValue = [
            "kind": "Pod", "metadata": ["name": "a"], "spec": ["containers": [["name": "app"]]],
        ]
        let injection = ProxyInjection(values: Self.values)
        let once = injection.inject(pod)
        let twice = injection.inject(once.document)
        #expect(once.reports.map(\.outcome) == [.injected])
        #expect(twice.reports.map(\.outcome) == [.skipped([.sidecarExists])])
        #expect(twice.document == once.document)
    }

    @Test("With trust anchors, proxies are told who they are; a controller's own proxy asks it on loopback")
    func identity() throws {
        var values = Self.values
        values.trustAnchorsPEM = "PEM"
        func environment(_ component: String?) throws -> [String: String] {
            var pod: JSONValue = [
                "kind": "Pod", "metadata": ["name": "a"], "spec": ["containers": [["name": "app"]]],
            ]
            if let component {
                pod.set(.string(component), at: ["metadata", "labels", "linkerd.io/control-plane-component"])
            }
            let injected = ProxyInjection(values: values).inject(pod).document
            #expect(
                injected.value(at: ["metadata", "annotations", "linkerd.io/identity-mode"]) == "default")
            let volumes = injected.value(at: ["spec", "volumes"])?.arrayValue ?? []
            #expect(volumes.contains { $0["name"] == "linkerd-identity-token" })
            let proxy = try #require(injected.value(at: ["spec", "containers"])?.arrayValue?.last)
            return Dictionary(
                (proxy["env"]?.arrayValue ?? []).compactMap { entry in
                    entry["name"]?.stringValue.flatMap { name in entry["value"]?.stringValue.map { (name, $0) } }
                }, uniquingKeysWith: { $1 })
        }
        let web = try environment(nil)
        #expect(web["LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"] == "PEM")
        #expect(web["LINKERD2_PROXY_IDENTITY_DISABLED"] == nil)
        #expect(
            web["LINKERD2_PROXY_IDENTITY_LOCAL_NAME"]
                == "$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local")
        #expect(
            web["LINKERD2_PROXY_IDENTITY_SVC_ADDR"] == "linkerd-identity-headless.linkerd.svc.cluster.local.:8080")
        #expect(
            web["LINKERD2_PROXY_DESTINATION_SVC_NAME"]
                == "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local")
        #expect(try environment("identity")["LINKERD2_PROXY_IDENTITY_SVC_ADDR"] == "localhost.:8080")
        #expect(try environment("destination")["LINKERD2_PROXY_DESTINATION_SVC_ADDR"] == "localhost.:8086")
    }

    static var values: InjectionValues {
        var values = InjectionValues()
        values.proxyVersion = "test"
        values.initVersion = "test"
        values.createdBy = "linkerd/cli test"
        return values
    }

    static func pruned(_ value: JSONValue) -> JSONValue {
        guard case .object(let members) = value else {
            return value.arrayValue.map { .array($0.map(pruned)) } ?? value
        }
        return .object(members.mapValues(pruned).filter { $0.value != [:] })
    }
}

@Suite("YAML text", .timeLimit(.minutes(1))) struct YAMLTextTests {
    @Test(
        "Plain scalars mean what they mean to kubectl",
        arguments: [
            ("1", JSONValue.int(1)), ("0644", .int(420)), ("1.5", .double(1.5)), ("1e3", .double(1000)),
            ("yes", .bool(true)), ("off", .bool(false)), ("~", .null), ("v1", .string("v1")),
            ("1.2.3", .string("1.2.3")),
            ("0x1F", .int(31)), ("100m", .string("100m")), ("'1'", .string("1")),
            ("\"true\"", .string("true")),
            ("2024-01-01", .string("2024-01-01")), ("infinity", .string("infinity")), ("089", .int(89)),
        ])
    func resolves(text: String, value: JSONValue) throws {
        #expect(try YAMLText.documents("a: \(text)\n") == [["a": value]])
    }

    @Test(
        "Every string survives writing and reading",
        arguments: [
            "", " ", "a: b", "- a", "-", "---", "--flag", "a #b", "#a", "true", "No", "y", "1", "1.0", "0644",
            "1_000",
            "12:30:45", "2024-01-01", "null", "~", "'", "\"", "a\nb", "a\nb\n", "a\n\n", "\n", " a\nb",
            "a \nb", "tab\tb",
            "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`a", "a:", ":a", "é 👻", "\u{7f}", "\u{85}",
            "4190,4191", "<<",
            "a\\b", "\r\n", "=",
        ])
    func roundTrips(text: String) throws {
        let document: JSONValue = [
            "a": .string(text), "b": [.string(text), [.string(text)], ["c": .string(text)]],
        ]
        #expect(try YAMLText.documents(YAMLText.render(document)) == [document])
    }

    @Test("Anchors, merges, several documents and empty ones are read")
    func readsStructure() throws {
        let text = "# nothing\n---\na: &x {k: 1, l: [1, 2]}\nb:\n  <<: *x\n  k: 2\n---\n---\nc: []\n"
        let expected: [JSONValue] = [
            ["a": ["k": 1, "l": [1, 2]], "b": ["k": 2, "l": [1, 2]]], ["c": []],
        ]
        #expect(try YAMLText.documents(text) == expected)
    }

    @Test("Bad syntax is an error, not an empty manifest")
    func rejects() {
        #expect(throws: (any Error).self) { try YAMLText.documents("a: [1\nb: 2") }
    }
}
