import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    /// Each test records requests while something dies. The recording goes on by itself, and says what it could not see.
    @Suite("U. Taps outlive what they watch", .serialized) struct U_TapChaos {
        let cluster = Cluster.shared

        /// How long the API server stays away; a minute when somebody has the time.
        static let outageSeconds = ProcessInfo.processInfo.environment["MESH_OUTAGE_SECONDS"].flatMap(Double.init) ?? 20

        @Test("kill -9 on the tap service: the tap resumes, and tells how long it was away")
        func service() async throws {
            try await RunningTap.recording(cluster) { tap in
                for pid in cluster.processes(matching: ["linkerd-viz tap "]) { kill(pid, SIGKILL) }
                try await tap.resumes(within: 90)
                let away = try #require(tap.interruptions.first)
                #expect(away > 0 && away < 90_000, "\(away) ms")
            }
        }

        @Test("kill -9 on every proxy: the tap goes on, and counts what it could not see")
        func proxies() async throws {
            try await RunningTap.recording(cluster) { tap in
                let before = tap.requestCount
                let victims = cluster.processes(matching: ["linkerd-proxy"])
                #expect(!victims.isEmpty)
                for pid in victims { kill(pid, SIGKILL) }
                // The tap's own proxy dies too, and with it the stream; its observers come back one by one.
                try await eventually(within: 120, "a loss is told, and requests are shown again") {
                    tap.losses.contains { loss in
                        (loss["interruption"] ?? .null) != .null || (loss["gaps"]?.intValue ?? 0) > 0
                    } && tap.requestCount > before + 20
                }
                try await eventually(within: 60, "everything is ready again") { try await cluster.isHealthy() }
            }
        }

        @Test("While the API server is away a tap waits, and resumes when it is back")
        func apiServer() async throws {
            try await RunningTap.recording(cluster) { tap in
                let parents = cluster.processes(matching: ["local-run node-init"])
                #expect(parents.count == 1)
                // Whoever would start it again must not, for a while.
                for pid in parents { kill(pid, SIGSTOP) }
                defer { for pid in parents { kill(pid, SIGCONT) } }
                for pid in cluster.processes(matching: ["local-run apiserver"]) { kill(pid, SIGKILL) }
                try await Task.sleep(for: .seconds(Self.outageSeconds))
                #expect(tap.interruptions.isEmpty, "nobody can have answered")
                for pid in parents { kill(pid, SIGCONT) }
                try await tap.resumes(within: 90)
                let away = try #require(tap.interruptions.first)
                #expect(Double(away) >= (Self.outageSeconds - 1) * 1_000, "\(away) ms")
            }
            try await eventually(within: 60, "everything is ready again") { try await cluster.isHealthy() }
        }

        @Test("A new serving certificate disturbs no tap, and the next one is let in with it")
        func servingCertificate() async throws {
            let secret = ["get", "secret", "tap-k8s-tls", "-n", "linkerd-viz", "-o", #"jsonpath={.data.tls\.crt}"#]
            try await RunningTap.recording(cluster) { tap in
                let old = try await cluster.kubectl(secret)
                try await cluster.kubectl(["delete", "secret", "tap-k8s-tls", "-n", "linkerd-viz"])
                try await eventually(within: 40, "another certificate is there") {
                    let new = try await cluster.kubectl(secret)
                    return !new.isEmpty && new != old
                }
                let before = tap.requestCount
                try await eventually(within: 30, "requests are still shown") { tap.requestCount > before + 5 }
                #expect(tap.interruptions.isEmpty)
                try await eventually(within: 40, "the API server trusts the new one") {
                    try await cluster.kubectl(["get", "--raw", "/apis/tap.linkerd.io/v1alpha1"]).contains("deployments/tap")
                }
                let result = try await cluster.linkerd("viz", "tap", "deploy/web", "-n", "emojivoto", "--count", "1", "--until", "20s")
                #expect(result.status == 0 && result.output.contains("req id="), "\(result)")
            }
        }

        @Test("New certificates of the mesh, after identity was killed, end no tap")
        func identity() async throws {
            try await RunningTap.recording(cluster) { tap in
                for pid in cluster.processes(matching: ["linkerd-controller identity"]) { kill(pid, SIGKILL) }
                try await eventually(within: 40, "identity is running again") { try await cluster.isHealthy() }
                // New pods of the tapped kind get certificates of the new life, and are tapped.
                let before = tap.requestCount
                try await cluster.kubectl(["rollout", "restart", "deploy/web", "-n", "emojivoto"])
                try await cluster.kubectl(["rollout", "status", "deploy/web", "-n", "emojivoto", "--timeout", "60s"], seconds: 70)
                let address = try await cluster.kubectl(
                    ["get", "pods", "-n", "emojivoto", "-l", "app=web-svc", "-o", "jsonpath={.items[-1:].status.podIP}"])
                try await eventually(within: 60, "requests of the new pod") {
                    tap.requestCount > before && tap.text.contains("\"destination\":{\"ip\":\"\(address)\"")
                }
                #expect(tap.interruptions.isEmpty)
            }
        }

        @Test("A new authority of the front proxy: the tap resumes once the service believes it, and nobody else")
        func frontProxy() async throws {
            try await RunningTap.recording(cluster) { tap in
                let address = try await cluster.kubectl(
                    ["get", "pods", "-n", "linkerd-viz", "-l", "component=tap", "-o", "jsonpath={.items[0].status.podIP}"])
                let node = try #require(cluster.processes(matching: ["local-run node-init"]).first)
                let old = try await FrontProxyFiles(cluster).replace()
                defer { old.remove() }
                let before = try await Shell.run(old.question(address, from: node), seconds: 20)
                #expect(before.status == 0 && before.output == "200", "it is believed until the API server says otherwise: \(before)")
                for pid in cluster.processes(matching: ["local-run apiserver"]) { kill(pid, SIGKILL) }
                try await tap.resumes(within: 120)
                let trusted = try await cluster.kubectl(
                    ["get", "configmap", "extension-apiserver-authentication", "-n", "kube-system", "-o", "json"])
                let authority = try JSONValue(parsing: trusted).value(at: ["data", "requestheader-client-ca-file"])?.stringValue
                #expect(authority != nil && authority != old.authority)
                // Who holds what was the aggregator's certificate is nobody now.
                try await eventually(within: 60, "the old certificate is refused") {
                    // In the handshake: no answer has a status.
                    let answer = try await Shell.run(old.question(address, from: node), seconds: 20)
                    return answer.status != 0 && answer.output == "000"
                }
            }
            try await eventually(within: 60, "everything is ready again") { try await cluster.isHealthy() }
        }
    }
}

/// What the API server shows aggregated APIs: its client certificate, and the authority that signed it.
private struct FrontProxyFiles {
    let directory: String
    private let folder = FileManager.default.temporaryDirectory.appending(path: "front-\(UUID().uuidString)").path

    init(_ cluster: Cluster) { directory = cluster.stateDirectory + "/pki" }

    /// The old ones, set aside by `replace`.
    struct Old {
        let folder: String
        let authority: String

        /// A question to the tap service, over TLS with the old certificate, in the name of somebody mighty.
        ///
        /// - Parameter node: A process in the node's network, from which pods are reached.
        func question(_ address: String, from node: Int32) -> [String] {
            [
                "nsenter", "-t", "\(node)", "-n", "curl", "-sk", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", "--cert", folder + "/front-proxy-client.crt", "--key",
                folder + "/front-proxy-client.key", "-H", "X-Remote-User: kubernetes-admin", "-H", "X-Remote-Group: system:masters",
                "-X", "POST", "https://\(address):8089/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/tap",
            ]
        }

        func remove() { try? FileManager.default.removeItem(atPath: folder) }  // A left-over folder harms nobody.
    }

    /// Makes an authority and a certificate with openssl, and puts them where the API server reads them when it starts.
    func replace() async throws -> Old {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["front-proxy-ca.crt", "front-proxy-ca.key", "front-proxy-client.crt", "front-proxy-client.key"] {
            try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: folder + "/" + name)
        }
        let authority = try String(contentsOfFile: folder + "/front-proxy-ca.crt", encoding: .utf8)
        let certificates = OwnCertificates(folder: directory)
        try await certificates.make("front-proxy-ca", subject: "another-front-proxy-ca")
        try await certificates.make(
            "front-proxy-client", subject: "front-proxy-client", issuer: "front-proxy-ca",
            extensions: ["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=clientAuth"])
        return Old(folder: folder, authority: authority)
    }
}
