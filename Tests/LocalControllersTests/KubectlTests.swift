import Foundation
import MeshKubernetes
import MeshModel
import Testing

private let kubectlPath = "/usr/bin/kubectl"

/// What people do to deployments from the terminal.
@Suite(
    "kubectl rollout", .timeLimit(.minutes(2)),
    .enabled(if: FileManager.default.isExecutableFile(atPath: kubectlPath), "needs kubectl"))
struct KubectlTests {

    @Test("status, restart, history, undo and scale do what they say")
    func rollout() async throws {
        try await LiveTests.withCluster { client in
            try await LiveTests.applyShop(client)
            #expect(
                try await Self.run(client, "rollout status deploy/web --timeout=30s").contains(
                    "successfully rolled out"))
            _ = try await Self.run(client, "set image deploy/web app=b")
            #expect(
                try await Self.run(client, "rollout status deploy/web --timeout=30s").contains(
                    "successfully rolled out"))
            _ = try await Self.run(client, "rollout restart deploy/web")
            _ = try await Self.run(client, "rollout status deploy/web --timeout=30s")
            let history = try await Self.run(client, "rollout history deploy/web")
            for revision in ["1", "2", "3"] { #expect(history.contains("\n\(revision) ")) }
            _ = try await Self.run(client, "rollout undo deploy/web --to-revision=1")
            _ = try await Self.run(client, "rollout status deploy/web --timeout=30s")
            let pods = try await client.list(Pod.self, namespace: "shop").items
            #expect(pods.count == 3 && pods.allSatisfy { $0.spec?.containers.first?.image == "a" })
            _ = try await Self.run(client, "scale deploy/web --replicas=1")
            _ = try await Self.run(client, "rollout status deploy/web --timeout=30s")
            #expect(try await Self.run(client, "get deploy web").contains("1/1"))
            #expect(try await Self.run(client, "describe deploy web").contains("ScalingReplicaSet"))
            _ = try await Self.run(client, "delete deploy web --wait=true --timeout=30s")
            _ = try await Self.run(client, "delete namespace shop --wait=true --timeout=30s")
        }
    }

    // Left to the cluster's suites: what has values to fill in, and what makes the API server ask pods that only a node
    // could run.
    @Test("The charts' plain manifests and the demo's apply as they are, and their pods come up")
    func applies() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy")
            .standardized
        try await LiveTests.withCluster { client in
            try await LiveTests.applyShop(client)
            for file in try Self.manifests(under: root) {
                let said = try await Self.run(client, "apply --namespace= --validate=true -f \(file)")
                #expect(!said.contains("Warning"))
            }
            for deployment in [
                "linkerd/linkerd-destination", "emojivoto/web", "emojivoto/voting",
                "emojivoto/emoji", "emojivoto/vote-bot",
            ] {
                let parts = deployment.split(separator: "/")
                _ = try await Self.run(
                    client, "--namespace=\(parts[0]) rollout status deploy/\(parts[1]) --timeout=30s")
            }
        }
    }

    /// What no file that is applied here may contain.
    private static let excluded = ["{{", "kind: MutatingWebhookConfiguration", "kind: APIService"]

    /// Files of our charts that are plain manifests, namespaces first, and the demo's.
    private static func manifests(under root: URL) throws -> [String] {
        var files: [String] = []
        for chart in ["linkerd-control-plane", "linkerd-viz"] {
            let directory = root.appending(path: "charts/\(chart)/templates").path(percentEncoded: false)
            for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() where name.hasSuffix(".yaml") {
                let text = try String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)
                if !excluded.contains(where: text.contains) { files.append("\(directory)/\(name)") }
            }
        }
        #expect(files.count >= 10)
        return files + [root.appending(path: "examples/emojivoto.yaml").path(percentEncoded: false)]
    }

    /// Runs kubectl in namespace `shop` and gives what it printed; anything but success is an issue.
    private static func run(_ client: KubernetesClient, _ arguments: String) async throws -> String {
        let directory = FileManager.default.temporaryDirectory.appending(path: "kubectl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }  // A leftover in /tmp harms nobody.
        var files: [String] = []
        for (option, pem) in [
            ("certificate-authority", client.config.caPEM),
            ("client-certificate", client.config.clientCertificatePEM),
            ("client-key", client.config.clientKeyPEM),
        ] {
            let file = directory.appending(path: option)
            try (pem ?? "").write(to: file, atomically: true, encoding: .utf8)
            files.append("--\(option)=\(file.path())")
        }
        let process = Process()
        process.executableURL = URL(filePath: kubectlPath)
        process.arguments =
            ["--server=\(client.config.server)", "--namespace=shop", "--cache-dir=\(directory.path())/cache"]
            + files
            + arguments.split(separator: " ").map(String.init)
        process.environment = ["HOME": directory.path(), "KUBECONFIG": "/dev/null"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        // Reading to the end on a thread of its own keeps this task's thread free for the server under test.
        let text = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<String, any Error>) in
            process.terminationHandler = { _ in
                let data = (try? output.fileHandleForReading.readToEnd()) ?? Data()
                continuation.resume(returning: String(decoding: data, as: UTF8.self))
            }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        #expect(process.terminationStatus == 0, "kubectl \(arguments): \(text)")
        return text
    }
}
