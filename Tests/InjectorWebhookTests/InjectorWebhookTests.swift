import AsyncHTTPClient
import Foundation
import Injector
import InjectorWebhook
import LocalAPI
import Logging
import MeshKubernetes
import MeshModel
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization
import Testing

/// The injector beside a local API server that calls it as a webhook.
@Suite("Proxy injector", .timeLimit(.minutes(2))) struct InjectorWebhookTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private static let log = LogRecorder()
    private static let name = "linkerd-proxy-injector.linkerd.svc"

    struct Fixture: Sendable {
        let client: KubernetesClient
        let directory: String
        let port: Int
        let adminPort: Int
        let authority: TestAuthority

        func create(_ path: String, _ object: JSONValue) async throws -> JSONValue {
            try await client.raw("POST", path: path, body: object)
        }
    }

    /// Runs an API server and an injector that is registered as `failurePolicy: Fail`, so that its failures show.
    private static func run(_ body: @escaping @Sendable (Fixture) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/mesh-inject-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory + "/tls", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let authority = try TestAuthority()
        try authority.write(name: name, to: directory + "/tls")
        let pki = try LocalPKI.ensure(stateDirectory: directory, now: Date())
        let server = try APIServer(
            config: APIServerConfig(
                stateDirectory: directory, listenAddresses: [.init(host: "127.0.0.1", port: 0)]), logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
            let config = KubernetesConfig(
                server: "https://127.0.0.1:\(await server.listeningPorts()[0])",
                caPEM: try text(pki.authority.certificatePath), clientCertificatePEM: try text(pki.admin.certificatePath),
                clientKeyPEM: try text(pki.admin.keyPath))
            let client = try KubernetesClient(config: config, logger: logger)
            var settings = InjectorSettings()
            settings.certificateDirectory = directory + "/tls"
            settings.trustRootsPath = directory + "/ca-bundle.crt"
            (settings.host, settings.port, settings.adminHost, settings.adminPort) = ("127.0.0.1", 0, "127.0.0.1", 0)
            let controller = try InjectorController(
                settings: settings, client: client, logger: Logger(label: "injector") { _ in log.handler })
            let (ports, onPorts) = AsyncStream.makeStream(of: (Int, Int).self)
            group.addTask { try await controller.run { onPorts.yield(($0, $1)) } }
            var iterator = ports.makeAsyncIterator()
            let (port, adminPort) = try #require(await iterator.next())
            let fixture = Fixture(
                client: client, directory: directory, port: port, adminPort: adminPort, authority: authority)
            try await register(fixture)
            try await body(fixture)
            controller.beginShutdown()
            await client.shutdown()
            group.cancelAll()
        }
    }

    private static func register(_ fixture: Fixture) async throws {
        let quiet: JSONValue = ["config.linkerd.io/admission-webhooks": "disabled"]
        _ = try await fixture.create("/api/v1/namespaces", ["metadata": ["name": "linkerd", "labels": quiet]])
        let services = "/api/v1/namespaces/linkerd/"
        let metadata: JSONValue = ["name": "linkerd-proxy-injector"]
        _ = try await fixture.create(
            services + "services", ["metadata": metadata, "spec": ["ports": [["name": "https", "port": 443]]]])
        _ = try await fixture.create(
            services + "endpoints",
            [
                "metadata": metadata,
                "subsets": [
                    [
                        "addresses": [["ip": "127.0.0.1"]],
                        "ports": [["name": "https", "port": .int(Int64(fixture.port))]],
                    ]
                ],
            ])
        let chart = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "deploy/charts/linkerd-control-plane/templates/proxy-injector.yaml")
        let documents = try YAMLText.documents(String(contentsOf: chart, encoding: .utf8))
        var webhook = try #require(documents.first { $0["kind"] == "MutatingWebhookConfiguration" })
        var hook = try #require(webhook["webhooks"]?[0])
        hook.set(.string(Data(fixture.authority.pem.utf8).base64EncodedString()), at: ["clientConfig", "caBundle"])
        hook["failurePolicy"] = "Fail"
        webhook["webhooks"] = [hook]
        _ = try await fixture.create(
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", webhook)
    }

    private static func pod(_ name: String, owner: JSONValue? = nil) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name)]
        if let owner { metadata["ownerReferences"] = [owner] }
        return [
            "metadata": metadata,
            "spec": ["containers": [["name": "app", "image": "a", "ports": [["containerPort": 8080]]]]],
        ]
    }

    private static func reference(_ kind: String, _ object: JSONValue) -> JSONValue {
        [
            "apiVersion": "apps/v1", "kind": .string(kind), "controller": true,
            "name": object.value(at: ["metadata", "name"]) ?? "", "uid": object.value(at: ["metadata", "uid"]) ?? "",
        ]
    }

    @Test("A pod of an annotated namespace is meshed on creation, its Deployment is named and told, and it is counted")
    func injects() async throws {
        try await Self.run { fixture in
            let annotations: JSONValue = ["linkerd.io/inject": "enabled", "config.linkerd.io/proxy-log-level": "debug"]
            _ = try await fixture.create(
                "/api/v1/namespaces", ["metadata": ["name": "shop", "annotations": annotations]])
            let workload: JSONValue = [
                "selector": ["matchLabels": ["app": "web"]],
                "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "a", "image": "a"]]]],
            ]
            let apps = "/apis/apps/v1/namespaces/shop/"
            let deployment = try await fixture.create(apps + "deployments", ["metadata": ["name": "web"], "spec": workload])
            let owned: JSONValue = ["name": "web-abc", "ownerReferences": [Self.reference("Deployment", deployment)]]
            let set = try await fixture.create(apps + "replicasets", ["metadata": owned, "spec": workload])
            let pods = "/api/v1/namespaces/shop/pods"
            let pod = try await fixture.create(pods, Self.pod("web-abc-1", owner: Self.reference("ReplicaSet", set)))
            let names = pod.value(at: ["spec", "containers"])?.arrayValue?.map { $0["name"] }
            #expect(names == ["app", "linkerd-proxy"])
            #expect(pod.value(at: ["spec", "initContainers"])?[0]?["name"] == "linkerd-init")
            #expect(pod.value(at: ["metadata", "labels", "linkerd.io/proxy-deployment"]) == "web")
            #expect(pod.value(at: ["metadata", "labels", "linkerd.io/workload-ns"]) == "shop")
            #expect(pod.value(at: ["metadata", "annotations", "config.linkerd.io/proxy-log-level"]) == "debug")
            let by = pod.value(at: ["metadata", "annotations", "linkerd.io/created-by"])?.stringValue
            #expect(by == "linkerd/proxy-injector \(BuildVersion.current)")
            #expect(pod.value(at: ["metadata", "annotations", "linkerd.io/identity-mode"]) == "disabled")
            try "anchors".write(toFile: fixture.directory + "/ca-bundle.crt", atomically: true, encoding: .utf8)
            let identified = try await fixture.create(pods + "?dryRun=All", Self.pod("b"))
            let environment = identified.value(at: ["spec", "containers"])?[1]?["env"]?.arrayValue ?? []
            #expect(environment.contains(["name": "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", "value": "anchors"]))
            var off = Self.pod("off", owner: Self.reference("ReplicaSet", set))
            off.set("disabled", at: ["metadata", "annotations", "linkerd.io/inject"])
            let skipped = try await fixture.create(pods, off)
            #expect(skipped.value(at: ["spec", "containers"])?.arrayValue?.count == 1)
            try await eventually("the Deployment is told") {
                let events = try await fixture.client.list(Event.self, namespace: "shop").items
                let told = events.filter { $0.involvedObject?.kind == "Deployment" && $0.involvedObject?.name == "web" }
                return Set(told.compactMap(\.message)) == [
                    "Linkerd sidecar proxy injected",
                    "Linkerd sidecar proxy injection skipped: pod has the annotation \"linkerd.io/inject:disabled\"",
                ]
            }
            let metrics = try await Self.get("http://127.0.0.1:\(fixture.adminPort)/metrics")
            #expect(
                metrics.contains(
                    "proxy_inject_admission_requests_total{owner_kind=\"deployment\",namespace=\"shop\",annotation_at=\"namespace\""
                ))
            #expect(metrics.contains("proxy_log_level=\"true\""))
            #expect(metrics.contains("skip=\"true\",skip_reason=\"injection_disable_annotation_present\"} 1"))
            #expect(try await Self.get("http://127.0.0.1:\(fixture.adminPort)/ready") == "ok\n")
        }
    }

    @Test("Other namespaces, and those that switch webhooks off, get pods as they were written")
    func leavesAlone() async throws {
        try await Self.run { fixture in
            _ = try await fixture.create("/api/v1/namespaces", ["metadata": ["name": "plain"]])
            let pod = try await fixture.create("/api/v1/namespaces/plain/pods", Self.pod("a"))
            #expect(pod.value(at: ["spec", "containers"])?.arrayValue?.count == 1)
            #expect(pod.value(at: ["metadata", "annotations"]) == nil)
            let port: JSONValue = ["name": "sql", "port": 3306]
            let service = try await fixture.create(
                "/api/v1/namespaces/plain/services", ["metadata": ["name": "db"], "spec": ["ports": [port]]])
            #expect(service.value(at: ["metadata", "annotations", "config.linkerd.io/opaque-ports"]) == "3306")
            let quiet: JSONValue = [
                "name": "quiet", "labels": ["config.linkerd.io/admission-webhooks": "disabled"],
                "annotations": ["linkerd.io/inject": "enabled"],
            ]
            _ = try await fixture.create("/api/v1/namespaces", ["metadata": quiet])
            let other = try await fixture.create("/api/v1/namespaces/quiet/pods", Self.pod("a"))
            #expect(other.value(at: ["spec", "containers"])?.arrayValue?.count == 1)
        }
    }

    @Test("A new certificate is served without a restart, and a damaged one is not")
    func reloads() async throws {
        try await Self.run { fixture in
            _ = try await fixture.create(
                "/api/v1/namespaces", ["metadata": ["name": "shop", "annotations": ["linkerd.io/inject": "enabled"]]])
            let tls = fixture.directory + "/tls"
            try "damaged".write(toFile: tls + "/tls.crt", atomically: true, encoding: .utf8)
            try await eventually("the damage is noticed") {
                Self.log.messages.contains("New serving certificate is not usable, keeping the old one")
            }
            let pods = "/api/v1/namespaces/shop/pods"
            let pod = try await fixture.create(pods, Self.pod("a"))
            #expect(pod.value(at: ["spec", "containers"])?.arrayValue?.count == 2)
            let other = try TestAuthority()
            try other.write(name: Self.name, to: tls)
            // The API server trusts the first authority only: once the new pair is served, its calls fail.
            try await eventually("the new certificate is served") {
                do {
                    _ = try await fixture.create(pods + "?dryRun=All", Self.pod("b"))
                    return false
                } catch let error as KubernetesError { return error.code == 500 && error.message.contains("tls") }
            }
            try fixture.authority.write(name: Self.name, to: tls)
            try await eventually("the first authority's is served again") {
                do {
                    _ = try await fixture.create(pods + "?dryRun=All", Self.pod("b"))
                    return true
                } catch is KubernetesError { return false }
            }
        }
    }

    @Test("What is no review is refused, and does not end the server")
    func badInput() async throws {
        try await Self.run { fixture in
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.certificateVerification = .none
            let client = HTTPClient(
                eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
            defer { client.shutdown { _ in } }
            func status(_ method: HTTPMethod, _ path: String, _ body: ByteBuffer? = nil) async throws -> UInt {
                var request = HTTPClientRequest(url: "https://127.0.0.1:\(fixture.port)\(path)")
                request.method = method
                if let body { request.body = .bytes(body) }
                return try await client.execute(request, timeout: .seconds(10)).status.code
            }
            let get = try await status(.GET, "/")
            #expect(get == 405)
            #expect(try await status(.POST, "/other", ByteBuffer(string: "{}")) == 404)
            for text in ["", "{", "[]", "{\"kind\":\"AdmissionReview\"}", "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{}}"] {
                #expect(try await status(.POST, "/", ByteBuffer(string: text)) == 400, "\(text)")
            }
            let large = ByteBuffer(repeating: 32, count: WebhookServer.bodyBytesMax + 1)
            // The server answers and hangs up while the rest is still on its way: either end of that is fine.
            let code = try? await status(.POST, "/", large)
            #expect(code == 413 || code == nil)
            #expect(try await status(.GET, "/") == 405)
        }
    }

    private static func get(_ url: String) async throws -> String {
        let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: url), timeout: .seconds(10))
        return String(buffer: try await response.body.collect(upTo: 1 << 20))
    }
}

/// Keeps what was logged.
final class LogRecorder: Sendable {
    private let recorded = Mutex<[String]>([])

    var messages: [String] { recorded.withLock { $0 } }
    var handler: any LogHandler { Handler(recorder: self) }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { recorder.recorded.withLock { $0.append("\(event.message)") } }
    }
}

/// Waits for a condition with a deadline.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(20)
    while clock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(50))
    }
    throw TimedOut(what: what)
}

/// A condition did not come true in time.
struct TimedOut: Error { let what: String }
