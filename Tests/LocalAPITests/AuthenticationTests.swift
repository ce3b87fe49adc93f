import Foundation
import LocalAPI
import MeshModel
import Testing

/// Who may ask, and tokens.
@Suite("Authentication", .timeLimit(.minutes(2))) struct AuthenticationTests {
    private static let account = "/api/v1/namespaces/default/serviceaccounts/default"
    private static let reviews = "/apis/authentication.k8s.io/v1/tokenreviews"

    @Test("Without credentials only health and version are told")
    func anonymous() async throws {
        try await TestCluster.run { cluster in
            let refused = try await cluster.call(.GET, "/api/v1/pods", isAnonymous: true)
            #expect(refused.status == 401)
            #expect(refused.json["reason"] == "Unauthorized")
            for path in ["/healthz", "/readyz", "/livez", "/version"] {
                #expect(try await cluster.call(.GET, path, isAnonymous: true).status == 200)
            }
            let forged = [("Authorization", "Bearer e30.e30.AAAA")]
            #expect(
                try await cluster.call(.GET, "/api/v1/pods", headers: forged, isAnonymous: true).status == 401
            )
        }
    }

    @Test("A requested token authenticates its account for its audience, until the account is made anew")
    func tokens() async throws {
        try await TestCluster.run { cluster in
            let answer = try await cluster.call(
                .POST, Self.account + "/token", ["spec": ["expirationSeconds": 600]])
            #expect(answer.status == 201)
            let token = answer.json.value(at: ["status", "token"])?.stringValue ?? ""
            let bearer = [("Authorization", "Bearer \(token)")]
            try await cluster.bind("view", to: "default")
            #expect(
                try await cluster.call(.GET, "/api/v1/pods", headers: bearer, isAnonymous: true).status == 200
            )
            let review = try await cluster.call(.POST, Self.reviews, ["spec": ["token": .string(token)]]).json
            #expect(review.value(at: ["status", "authenticated"]) == true)
            #expect(
                review.value(at: ["status", "user", "username"]) == "system:serviceaccount:default:default")
            let other = try await cluster.call(
                .POST, Self.reviews, ["spec": ["token": .string(token), "audiences": ["identity.l5d.io"]]]
            ).json
            #expect(other.value(at: ["status", "authenticated"]) == false)
            _ = try await cluster.call(.DELETE, Self.account)
            #expect(
                try await cluster.call(.GET, "/api/v1/pods", headers: bearer, isAnonymous: true).status == 401
            )
            let accounts = "/api/v1/namespaces/default/serviceaccounts"
            _ = try await cluster.call(.POST, accounts, ["metadata": ["name": "default"]])
            #expect(
                try await cluster.call(.GET, "/api/v1/pods", headers: bearer, isAnonymous: true).status == 401
            )
        }
    }

    @Test("A token bound to a pod ends with the pod, and serves the audience it was asked for")
    func boundTokens() async throws {
        try await TestCluster.run { cluster in
            let pods = "/api/v1/namespaces/default/pods"
            let pod = try await cluster.call(.POST, pods, TestCluster.pod("web")).json
            let reference: JSONValue = [
                "kind": "Pod", "apiVersion": "v1", "name": "web",
                "uid": pod.value(at: ["metadata", "uid"]) ?? "",
            ]
            let request: JSONValue = [
                "spec": [
                    "audiences": ["identity.l5d.io"], "expirationSeconds": 3600, "boundObjectRef": reference,
                ]
            ]
            let issued = try await cluster.call(.POST, Self.account + "/token", request).json
            let token = issued.value(at: ["status", "token"]) ?? ""
            let question: JSONValue = ["spec": ["token": token, "audiences": ["identity.l5d.io"]]]
            let before = try await cluster.call(.POST, Self.reviews, question).json
            #expect(before.value(at: ["status", "authenticated"]) == true)
            #expect(before.value(at: ["status", "audiences"]) == ["identity.l5d.io"])
            let extra = before.value(at: ["status", "user", "extra", "authentication.kubernetes.io/pod-name"])
            #expect(extra == ["web"])
            _ = try await cluster.call(.DELETE, pods + "/web?gracePeriodSeconds=0")
            let after = try await cluster.call(.POST, Self.reviews, question).json
            #expect(after.value(at: ["status", "authenticated"]) == false)
            let short: JSONValue = ["spec": ["expirationSeconds": 5]]
            #expect(try await cluster.call(.POST, Self.account + "/token", short).status == 422)
        }
    }

    @Test("Reviews tell who asks and that it may")
    func reviews() async throws {
        try await TestCluster.run { cluster in
            let me = try await cluster.call(.POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", [:])
                .json
            #expect(me.value(at: ["status", "userInfo", "username"]) == "kubernetes-admin")
            #expect(
                me.value(at: ["status", "userInfo", "groups"])?.arrayValue?.contains("system:masters") == true
            )
            let may = try await cluster.call(
                .POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                ["spec": ["resourceAttributes": ["verb": "get", "resource": "pods"]]])
            #expect(may.json.value(at: ["status", "allowed"]) == true)
        }
    }

    @Test("Certificates are made once, kept while good, and made again when they are not")
    func certificates() throws {
        let directory = TestCluster.temporaryDirectory()
        defer { TestCluster.remove(directory) }
        let now = Date()
        let first = try LocalPKI.ensure(stateDirectory: directory, now: now)
        func read(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
        let before = try [first.authority, first.apiServer, first.admin].map { try read($0.certificatePath) }
        let second = try LocalPKI.ensure(stateDirectory: directory, now: now)
        #expect(
            try [second.authority, second.apiServer, second.admin].map { try read($0.certificatePath) }
                == before)
        for path in [first.authority.keyPath, first.admin.keyPath, first.serviceAccountKeyPath] {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
        try "damaged".write(toFile: first.admin.certificatePath, atomically: true, encoding: .utf8)
        let later = now.addingTimeInterval(340 * 86_400)
        _ = try LocalPKI.ensure(stateDirectory: directory, now: later)
        #expect(try read(first.authority.certificatePath) == before[0])
        #expect(try read(first.apiServer.certificatePath) != before[1])
        #expect(try read(first.admin.certificatePath).contains("BEGIN CERTIFICATE"))
        #expect(
            try first.kubeconfig(server: "https://127.0.0.1:1", client: first.admin).contains(
                "client-key-data: LS0t"))
    }
}
