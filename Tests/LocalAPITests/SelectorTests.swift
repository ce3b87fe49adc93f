import Foundation
import MeshModel
import Testing

/// Lists by labels and by fields.
@Suite("Selectors", .timeLimit(.minutes(2))) struct SelectorTests {
    static let pods: [(name: String, labels: JSONValue)] = [
        ("a", ["app": "web", "tier": "front", "weight": "5"]), ("b", ["app": "web"]),
        ("c", ["app": "db", "tier": "back"]),
        ("d", [:]),
    ]

    private static func withPods(_ body: @escaping @Sendable (TestCluster) async throws -> Void) async throws
    {
        try await TestCluster.run { cluster in
            for (name, labels) in pods {
                let pod = TestCluster.pod(name, labels: labels)
                #expect(try await cluster.call(.POST, "/api/v1/namespaces/default/pods", pod).status == 201)
            }
            try await body(cluster)
        }
    }

    @Test("Label selectors pick what they say")
    func labels() async throws {
        let table: [(String, String)] = [
            ("app=web", "a b"), ("app==web", "a b"), ("app!=web", "c d"), ("app in (web,db)", "a b c"),
            ("app notin (web)", "c d"), ("tier", "a c"), ("!tier", "b d"), ("app=web,tier", "a"),
            ("app in (web),tier notin (back),!weight", "b"), ("weight>4", "a"), ("weight<5", ""),
            ("", "a b c d"),
        ]
        try await Self.withPods { cluster in
            for (selector, expected) in table {
                let selected = try await names(cluster, "labelSelector", selector)
                #expect(selected == expected, "\(selector)")
            }
        }
    }

    @Test("Field selectors pick what they say")
    func fields() async throws {
        let table: [(String, String)] = [
            ("metadata.name=a", "a"), ("metadata.name!=a", "b c d"), ("status.phase=Pending", "a b c d"),
            ("status.phase=Running", ""), ("spec.nodeName=linkerd-local,metadata.name=b", "b"),
            ("metadata.namespace=default", "a b c d"), ("spec.nodeName=", ""),
        ]
        try await Self.withPods { cluster in
            for (selector, expected) in table {
                let selected = try await names(cluster, "fieldSelector", selector)
                #expect(selected == expected, "\(selector)")
            }
        }
    }

    @Test(
        "Selectors that cannot be understood are refused",
        arguments: [
            "labelSelector=a=b=c", "labelSelector=app in web", "labelSelector=-,,x y",
            "fieldSelector=spec.hostname=x",
        ])
    func refuses(query: String) async throws {
        try await TestCluster.run { cluster in
            let encoded = query.replacing(" ", with: "%20")
            let answer = try await cluster.call(.GET, "/api/v1/pods?\(encoded)")
            #expect(answer.status == 400)
        }
    }

    private func names(_ cluster: TestCluster, _ parameter: String, _ selector: String) async throws -> String
    {
        let encoded = selector.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        let answer = try await cluster.call(.GET, "/api/v1/namespaces/default/pods?\(parameter)=\(encoded)")
        return (answer.json["items"]?.arrayValue ?? []).compactMap {
            $0.value(at: ["metadata", "name"])?.stringValue
        }
        .joined(separator: " ")
    }
}
