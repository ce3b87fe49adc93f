import Foundation
import Logging
import MeshKubernetes
import MeshModel
import NIOCore
import Testing

private func withClient(
    token: String? = nil, tokenPath: String? = nil,
    _ body: @escaping @Sendable (FakeAPI, KubernetesClient) async throws -> Void
) async throws {
    try await FakeAPI.run { api, url in
        let config = KubernetesConfig(server: url, bearerTokenPath: tokenPath, bearerToken: token)
        let client = try KubernetesClient(config: config, logger: Logger(label: "test"))
        do { try await body(api, client) } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }
}

@Suite("Kubernetes client", .timeLimit(.minutes(1))) struct KubernetesClientTests {
    @Test("A list follows pages and leaves out objects of the wrong shape")
    func listsPages() async throws {
        try await withClient { api, client in
            api.lists([
                podList(version: 7, next: "more", podJSON("a", version: 1), #"{"metadata":{"name":5}}"#),
                podList(version: 7, podJSON("b", version: 2)),
            ])
            let list = try await client.list(Pod.self, labelSelector: "app=web,tier in (a,b)")
            #expect(list.items.map(\.key.name) == ["a", "b"])
            #expect(list.skippedCount == 1)
            #expect(list.resourceVersion == "7")
            #expect(
                api.requests == [
                    "GET /api/v1/pods?labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29&limit=500",
                    "GET /api/v1/pods?labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29&limit=500&continue=more",
                ])
        }
    }

    @Test("A Status answer becomes a typed error")
    func decodesStatus() async throws {
        try await withClient { api, client in
            api.answer(
                "GET /apis/apps/v1/namespaces/ns/deployments/web", status: 404,
                body:
                    #"{"kind":"Status","code":404,"reason":"NotFound","message":"deployments \"web\" not found"}"#
            )
            let error = await #expect(throws: KubernetesError.self) {
                try await client.get(Deployment.self, namespace: "ns", name: "web")
            }
            #expect(
                error
                    == KubernetesError(
                        code: 404, reason: "NotFound", message: #"deployments "web" not found"#))
        }
    }

    @Test("A refused connection is reported at once, with code 0")
    func reportsRefusal() async throws {
        let client = try KubernetesClient(
            config: KubernetesConfig(server: "http://127.0.0.1:1"), logger: Logger(label: "test"))
        let error = await #expect(throws: KubernetesError.self) { try await client.list(Pod.self) }
        #expect(error?.code == 0)
        #expect(error?.reason == "Transport")
        await client.shutdown()
    }

    @Test("Created objects carry apiVersion and kind and go to their namespace")
    func creates() async throws {
        try await withClient(token: "secret") { api, client in
            api.answer(
                "POST /api/v1/namespaces/default/configmaps", status: 201,
                body: #"{"metadata":{"name":"c","uid":"1"}}"#)
            let made = try await client.create(ConfigMap { $0.metadata.name = "c" })
            #expect(made.metadata.uid == "1")
            #expect(api.lastHeaders["authorization"] == "Bearer secret")
        }
    }

    @Test("Patches say their kind and reach sub-resources")
    func patches() async throws {
        try await withClient { api, client in
            api.answer(
                "PATCH /apis/apps/v1/namespaces/ns/deployments/web/scale", status: 200,
                body: #"{"metadata":{"name":"web"}}"#)
            _ = try await client.patch(
                Deployment.self, namespace: "ns", name: "web", subresource: "scale",
                body: ["spec": ["replicas": 3]],
                type: .strategicMerge)
            #expect(api.lastHeaders["content-type"] == "application/strategic-merge-patch+json")
        }
    }

    @Test("A token file is read again when the server refuses the old token")
    func refreshesToken() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("token-\(UUID())").path
        try "one\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }  // Left-over temporary files harm nobody.
        try await withClient(tokenPath: path) { api, client in
            api.answer("GET /version", status: 200, body: "{}")
            _ = try await client.raw("GET", path: "/version")
            #expect(api.lastHeaders["authorization"] == "Bearer one")
            try "two".write(toFile: path, atomically: true, encoding: .utf8)
            api.answer(
                "GET /version", status: 401, body: #"{"kind":"Status","code":401,"reason":"Unauthorized"}"#)
            await #expect(throws: KubernetesError.self) { try await client.raw("GET", path: "/version") }
            #expect(api.lastHeaders["authorization"] == "Bearer two")
        }
    }

    @Test("Raw answers that are not JSON come back as text")
    func rawText() async throws {
        try await withClient { api, client in
            api.answer("GET /logs", status: 200, body: "hello\n")
            let answer = try await client.raw("GET", path: "/logs")
            #expect(answer == .string("hello\n"))
        }
    }

    @Test("A watch delivers events, and dropping it closes the connection")
    func watches() async throws {
        try await withClient { api, client in
            let reader = Task {
                var names: [String] = []
                for try await event in client.watch(Pod.self, resourceVersion: "5") {
                    switch event {
                    case .added(let pod), .modified(let pod), .deleted(let pod): names.append(pod.key.name)
                    case .bookmark(let version): names.append(version)
                    }
                    if names.count == 3 { break }
                }
                return names
            }
            try await eventually { api.watches.count == 1 }
            api.send(#"{"type":"ADDED","object":\#(podJSON("a", version: 6))}"#)
            let line = #"{"type":"DELETED","object":\#(podJSON("b", version: 7))}"# + "\n"
            api.sendRaw(String(line.prefix(20)))
            api.sendRaw(String(line.dropFirst(20)))
            api.send(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#)
            let names = try await reader.value
            #expect(names == ["a", "b", "9"])
            try await eventually { api.closedWatchCount == 1 }
            #expect(api.requests.last?.contains("resourceVersion=5") == true)
        }
    }

    @Test("Cancelling the reader of a watch closes the connection")
    func cancelsWatch() async throws {
        try await withClient { api, client in
            let reader = Task { for try await _ in client.watch(Pod.self, resourceVersion: "5") {} }
            try await eventually { api.watches.count == 1 }
            reader.cancel()
            _ = await reader.result
            try await eventually { api.closedWatchCount == 1 }
        }
    }

    @Test("Twenty watches run side by side")
    func manyWatches() async throws {
        try await withClient { api, client in
            let readers = (0..<20).map { _ in
                Task { for try await _ in client.watch(Pod.self, resourceVersion: "1") {} }
            }
            try await eventually { api.watches.count == 20 }
            for reader in readers { reader.cancel() }
            try await eventually { api.closedWatchCount == 20 }
        }
    }
}

@Suite("Watch lines", .timeLimit(.minutes(1))) struct LineSplitterTests {
    @Test("Any cut of the bytes gives the same lines", arguments: 1...12)
    func cuts(size: Int) throws {
        var splitter = LineSplitter(lineBytesMax: 100)
        let bytes = Array("alpha\n\nbeta gamma\nrest".utf8)
        var lines: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            splitter.append(ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)]))
            while let line = try splitter.next() { lines.append(String(buffer: line)) }
        }
        #expect(lines == ["alpha", "", "beta gamma"])
    }

    @Test("An endless line is refused")
    func bounds() {
        var splitter = LineSplitter(lineBytesMax: 4)
        splitter.append(ByteBuffer(string: "abcde"))
        #expect(throws: KubernetesError.self) { try splitter.next() }
    }
}
