// The checks of `linkerd viz check`, in Linkerd's order and words. What a check learns, the ones behind it use.

import Foundation
import Identity
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshModel

/// What the checks share while they run.
actor VizChecks {
    /// A certificate that ends sooner than this is worth a warning.
    private static let renewBefore: TimeInterval = 60 * 86_400
    private static let roles = "/apis/rbac.authorization.k8s.io/v1"
    private static let tapSecret = "tap-k8s-tls"
    private static let tapService = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tap.linkerd.io"

    private let global: GlobalOptions
    private let viz: VizOptions
    private let client: KubernetesClient
    private var namespace = ""
    private var connection: VizConnection?

    init(client: KubernetesClient, global: GlobalOptions, viz: VizOptions) {
        self.client = client
        self.global = global
        self.viz = viz
    }

    /// Closes what was opened.
    func close() async {
        await connection?.close()
        await client.shutdown()
    }

    // MARK: The lists

    /// The extension's own checks.
    nonisolated var extensionChecks: HealthCategory {
        func check(
            _ text: String, _ anchor: String, _ severity: HealthCheck.Severity, isRetried: Bool = false,
            _ body: @escaping @Sendable (VizChecks) async throws -> Void
        ) -> HealthCheck {
            HealthCheck(text, anchor: anchor, severity, isRetried: isRetried) {
                try await body(self)
                return []
            }
        }
        return HealthCategory(
            "linkerd-viz",
            [
                check("linkerd-viz Namespace exists", "l5d-viz-ns-exists", .fatal) { try await $0.findNamespace() },
                check("can initialize the client", "l5d-viz-existence-client", .fatal, isRetried: true) { try await $0.connect() },
                check("linkerd-viz ClusterRoles exist", "l5d-viz-cr-exists", .fatal) { try await $0.expectRoles() },
                check("linkerd-viz ClusterRoleBindings exist", "l5d-viz-crb-exists", .fatal) { try await $0.expectBindings() },
                check("tap API server has valid cert", "l5d-tap-cert-valid", .fatal) { try await $0.expectCertificate() },
                check("tap API server cert is valid for at least 60 days", "l5d-tap-cert-not-expiring-soon", .warning) {
                    try await $0.expectLongCertificate()
                },
                check("tap API service is running", "l5d-tap-api", .warning, isRetried: true) { try await $0.expectTapService() },
                check("linkerd-viz pods are injected", "l5d-viz-pods-injection", .warning) { try await $0.pods().expectInjected() },
                check("viz extension pods are running", "l5d-viz-pods-running", .warning, isRetried: true) {
                    try await $0.pods().expectRunning()
                },
                check("viz extension proxies are healthy", "l5d-viz-proxy-healthy", .warning, isRetried: true) {
                    try await $0.pods().expectHealthyProxies()
                },
                check("viz extension proxies are up-to-date", "l5d-viz-proxy-cp-version", .warning) { try await $0.expectCurrentProxies() },
                check("viz extension proxies and cli versions match", "l5d-viz-proxy-cli-version", .warning) {
                    try await $0.pods().expectProxies(of: BuildVersion.current, as: "this program is \(BuildVersion.current), but:")
                },
                HealthCheck("viz extension self-check", anchor: "l5d-viz-metrics-api", .fatal, isRetried: true) {
                    try await self.selfCheck()
                },
            ])
    }

    /// Checks of the pods that the mesh serves.
    ///
    /// - Parameter namespace: of the pods; `nil` for all.
    nonisolated func dataPlaneChecks(of namespace: String?) -> HealthCategory {
        HealthCategory(
            "linkerd-viz-data-plane",
            [
                HealthCheck("data plane namespace exists", anchor: "l5d-data-plane-exists", .fatal) {
                    try await self.expectNamespace(namespace)
                    return []
                },
                HealthCheck(
                    "data plane proxy metrics are present in Prometheus", anchor: "l5d-data-plane-prom", .warning, isRetried: true
                ) {
                    try await self.expectMetrics(of: namespace)
                    return []
                },
            ])
    }

    // MARK: What they look at

    private func findNamespace() async throws {
        let found: [Namespace]
        do {
            found = try await client.list(Namespace.self, labelSelector: "linkerd.io/extension=viz").items
        } catch let error as KubernetesError where error.code == 0 {
            throw HealthProblem("cannot connect to Kubernetes: \(error.message)")
        }
        let names = found.compactMap(\.metadata.name)
        if let wanted = viz.vizNamespace {
            guard names.contains(wanted) else { throw HealthProblem("namespace \"\(wanted)\" has no label \"linkerd.io/extension: viz\"") }
            namespace = wanted
        } else if let name = names.first {
            namespace = name
        } else {
            throw HealthProblem("namespace with label \"linkerd.io/extension: viz\" not found; is the extension installed?")
        }
    }

    private func connect() async throws {
        guard connection == nil else { return }
        connection = try await VizConnection.reach(global: global, viz: viz)
    }

    /// Asks metrics-api. After a failure the next try looks for its pod anew: the one before may be gone.
    private func ask<Answer: Sendable>(
        _ question: @Sendable (VizConnection) async throws -> Answer
    ) async throws -> Answer {
        try await connect()
        guard let connection else { throw HealthProblem("not connected") }
        do {
            return try await question(connection)
        } catch {
            await connection.close()
            self.connection = nil
            throw error
        }
    }

    private func expectRoles() async throws {
        let names = ["tap", "metrics-api", "tap-admin"].map { "linkerd-\(namespace)-\($0)" } + ["linkerd-tap-injector"]
        try await expect(names, in: "clusterroles", as: "missing ClusterRoles:")
    }

    private func expectBindings() async throws {
        let names =
            ["metrics-api", "tap", "tap-auth-delegator"].map { "linkerd-\(namespace)-\($0)" } + ["linkerd-tap-injector"]
        try await expect(names, in: "clusterrolebindings", as: "missing ClusterRoleBindings:")
    }

    private func expect(_ names: [String], in plural: String, as heading: String) async throws {
        var missing: [String] = []
        for name in names {
            do {
                _ = try await client.raw("GET", path: "\(Self.roles)/\(plural)/\(name)")
            } catch let error as KubernetesError where error.isNotFound {
                missing.append(name)
            }
        }
        try HealthProblem.throwing(heading, about: missing)
    }

    private func tapCertificate() async throws -> ServingCertificateFacts {
        let secret: Secret
        do {
            secret = try await client.get(Secret.self, namespace: namespace, name: Self.tapSecret)
        } catch let error as KubernetesError where error.isNotFound {
            throw HealthProblem("secret \(namespace)/\(Self.tapSecret) not found")
        }
        let service = try await client.raw("GET", path: Self.tapService)
        let bundle = service.value(at: ["spec", "caBundle"])?.stringValue ?? ""
        return try ServingCertificateFacts(
            certificatePEM: Self.text(secret.data?["tls.crt"] ?? ""), authoritiesPEM: Self.text(bundle))
    }

    private static func text(_ base64: String) -> String {
        Data(base64Encoded: base64).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    private func expectCertificate() async throws {
        if let problem = try await tapCertificate().problem(serving: "tap.\(namespace).svc", at: Date()) { throw HealthProblem(problem) }
    }

    private func expectLongCertificate() async throws {
        let end = try await tapCertificate().notAfter
        guard end < Date() + Self.renewBefore else { return }
        throw HealthProblem("certificate will expire on \(end.formatted(.iso8601))")
    }

    private func expectTapService() async throws {
        let service = try await client.raw("GET", path: Self.tapService)
        let conditions = service.value(at: ["status", "conditions"])?.arrayValue ?? []
        let available = conditions.first { $0["type"]?.stringValue == "Available" }
        guard available?["status"]?.stringValue != "True" else { return }
        throw HealthProblem(available?["message"]?.stringValue ?? "the API server has not said that it is available")
    }

    private func pods() async throws -> VizPods {
        VizPods(try await client.list(Pod.self, namespace: namespace, labelSelector: "linkerd.io/extension=viz").items)
    }

    private func expectCurrentProxies() async throws {
        let linkerd = try global.controlPlaneNamespace()
        guard let version = await VersionCommand.serverVersion(client, namespace: linkerd) else {
            throw HealthProblem("no version in ConfigMap \(linkerd)/linkerd-config")
        }
        try await pods().expectProxies(of: version, as: "the control plane is \(version), but:")
    }

    private func selfCheck() async throws -> [HealthCheck.Part] {
        try await ask { try await $0.selfCheck() }.map { result in
            HealthCheck.Part(
                description: "[\(result.subsystemName)] \(result.checkDescription)",
                problem: result.status == .ok ? nil : result.friendlyMessageToUser)
        }
    }

    private func expectNamespace(_ name: String?) async throws {
        guard let name else { return }
        do {
            _ = try await client.get(Namespace.self, name: name)
        } catch let error as KubernetesError where error.isNotFound {
            throw HealthProblem("The \"\(name)\" namespace does not exist")
        }
    }

    private func expectMetrics(of namespace: String?) async throws {
        let known = try await ask { try await $0.pods(namespace: namespace) }
        let meshed = known.filter { !$0.controllerNamespace.isEmpty && $0.status == "Running" }
        guard !meshed.isEmpty else {
            throw HealthProblem("no pod of the mesh is running" + (namespace.map { " in namespace \"\($0)\"" } ?? ""))
        }
        try HealthProblem.throwing("Data plane metrics not found for:", about: meshed.filter { !$0.added }.map(\.name).sorted())
    }
}

extension VizConnection {
    /// Asks metrics-api what it can reach.
    func selfCheck() async throws -> [Linkerd2_Viz_CheckResult] {
        try await call("SelfCheck") { client, options in
            try await Linkerd2_Viz_Api.Client(wrapping: client).selfCheck(.init(), options: options).results
        }
    }

    /// Asks for the pods that metrics-api knows.
    ///
    /// - Parameter namespace: `nil` for all.
    func pods(namespace: String?) async throws -> [Linkerd2_Viz_Pod] {
        try await call("ListPods") { client, options in
            var request = Linkerd2_Viz_ListPodsRequest()
            if let namespace { request.selector.resource.namespace = namespace }
            return try await Linkerd2_Viz_Api.Client(wrapping: client).listPods(request, options: options).pods
        }
    }
}
