import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    /// What runs after it goes on with the trust that this brings.
    @Suite("V. The mesh changes whom it trusts", .serialized) struct V_Trust {
        let cluster = Cluster.shared
        private static let webIdentity = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"

        @Test("A second anchor, then an issuer below it: no request fails, and a tap goes on")
        func rotates() async throws {
            let trust = try await OwnTrust.make()
            defer { trust.remove() }
            try await trustBoth(trust)
            try await RunningTap.recording(cluster) { tap in
                let failures = try await refusals()
                #expect(try await issuerOfWeb().contains("identity.linkerd.cluster.local"))
                let patch: JSONValue = ["data": ["crt.pem": try trust.base64("issuer.crt"), "key.pem": try trust.base64("issuer.key")]]
                try await cluster.kubectl(["patch", "secret", "linkerd-identity-issuer", "-n", "linkerd", "--type=merge", "-p", patch.jsonText])
                try await eventually(within: 90, "identity signs with the new issuer") { try await reloads() == 1 }
                let before = tap.requestCount
                try await restart("web")
                try await eventually(within: 30, "web shows a certificate of the new issuer") {
                    try await issuerOfWeb().contains(OwnTrust.issuerName)
                }
                let address = try await webAddress()
                // Vote-bot has its certificate from the old issuer still.
                try await eventually(within: 60, "encrypted requests to the new pod") {
                    tap.requestCount > before
                        && tap.text.split(separator: "\n").contains {
                            $0.contains("\"destination\":{\"ip\":\"\(address)\"") && $0.contains("\"tls\":\"true\"")
                        }
                }
                #expect(try await refusals() == failures)
                #expect(tap.interruptions.isEmpty)
            }
        }

        /// Every proxy and identity itself get both anchors, as an upgrade brings them.
        private func trustBoth(_ trust: OwnTrust) async throws {
            let map = ["configmap", "linkerd-identity-trust-roots", "-n", "linkerd"]
            let old = try await cluster.kubectl(["get"] + map + ["-o", #"jsonpath={.data.ca-bundle\.crt}"#])
            let bundle: JSONValue = ["data": ["ca-bundle.crt": .string(old + "\n" + (try trust.text("anchor.crt")))]]
            try await cluster.kubectl(["patch"] + map + ["--type=merge", "-p", bundle.jsonText])
            try await cluster.up()
            for name in ["emoji", "voting", "web", "vote-bot"] { try await restart(name) }
            try await eventually(within: 90, "everything is ready") { try await cluster.isHealthy() }
        }

        private func restart(_ name: String) async throws {
            try await cluster.kubectl(["rollout", "restart", "deploy/\(name)", "-n", "emojivoto"])
            try await cluster.kubectl(["rollout", "status", "deploy/\(name)", "-n", "emojivoto", "--timeout=90s"], seconds: 100)
        }

        private func webAddress() async throws -> String {
            try await cluster.kubectl(
                ["get", "pods", "-n", "emojivoto", "-l", "app=web-svc", "--sort-by=.metadata.creationTimestamp", "-o", "jsonpath={.items[-1:].status.podIP}"])
        }

        /// The issuer's name in the certificate that web's proxy shows.
        private func issuerOfWeb() async throws -> String {
            let node = try #require(cluster.processes(matching: ["local-run node "]).first)
            // It ends with an alert, because the proxy wants a certificate too.
            let said = try await Shell.run(
                ["nsenter", "-t", "\(node)", "-n", "openssl", "s_client", "-connect", "\(try await webAddress()):4143", "-servername", Self.webIdentity],
                input: "", seconds: 20)
            return said.output.split(separator: "\n").first { $0.hasPrefix("issuer=") }.map(String.init) ?? ""
        }

        private func reloads() async throws -> Int {
            let name = try await cluster.kubectl(
                ["get", "pods", "-n", "linkerd", "-l", "linkerd.io/control-plane-component=identity", "-o", "jsonpath={.items[-1:].metadata.name}"])
            return sum(
                try await cluster.kubectl(["get", "--raw", "/api/v1/namespaces/linkerd/pods/\(name):9990/proxy/metrics"]),
                where: #"identity_issuer_reload_total{result="updated"}"#)
        }

        /// What vote-bot's proxy could not deliver.
        private func refusals() async throws -> Int {
            let name = try await cluster.kubectl(
                ["get", "pods", "-n", "emojivoto", "-l", "app=vote-bot", "-o", "jsonpath={.items[-1:].metadata.name}"])
            let text = try await cluster.kubectl(["get", "--raw", "/api/v1/namespaces/emojivoto/pods/\(name):4191/proxy/metrics"])
            #expect(text.contains("response_total{direction=\"outbound\""), "it asks web once a second")
            return ["502", "503", "504"].reduce(0) { $0 + sum(text, where: "status_code=\"\($1)\"") }
        }

        private func sum(_ text: String, where part: String) -> Int {
            text.split(separator: "\n").filter { !$0.hasPrefix("#") && $0.contains(part) && !$0.contains("_bucket") }
                .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
        }
    }
}

/// An anchor and an issuer below it, made with openssl as somebody makes them who keeps the anchor's key.
private struct OwnTrust {
    static let issuerName = "another-issuer"
    private let folder: String

    static func make() async throws -> OwnTrust {
        let folder = FileManager.default.temporaryDirectory.appending(path: "trust-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let certificates = OwnCertificates(folder: folder)
        let signs = "keyUsage=critical,keyCertSign,cRLSign"
        try await certificates.make("anchor", subject: "another-anchor", extensions: [signs])
        try await certificates.make(
            "issuer", subject: issuerName, issuer: "anchor", extensions: ["basicConstraints=critical,CA:TRUE,pathlen:0", signs])
        return OwnTrust(folder: folder)
    }

    func text(_ name: String) throws -> String { try String(contentsOfFile: folder + "/" + name, encoding: .utf8) }

    func base64(_ name: String) throws -> JSONValue { .string(Data(try text(name).utf8).base64EncodedString()) }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }  // A left-over folder harms nobody.
}
