// ServiceAccount tokens: JSON Web Tokens (RFC 7519) signed with ES256 by the cluster's key, with the
// claims that Kubernetes puts into bound tokens. A token is good while its account, and the pod it is
// bound to, exist under the same uid.

import Foundation
import JWTKit
import MeshModel

/// The claims of a token.
struct ServiceAccountClaims: JWTPayload, Equatable {
    struct Reference: Codable, Sendable, Equatable {
        let name: String
        let uid: String
    }

    struct Kubernetes: Codable, Sendable, Equatable {
        let namespace: String
        let serviceaccount: Reference
        var pod: Reference?
    }

    let iss: String
    let sub: String
    let aud: [String]
    let exp: Int
    let iat: Int
    let nbf: Int
    let jti: String
    let kubernetes: Kubernetes

    enum CodingKeys: String, CodingKey {
        case iss, sub, aud, exp, iat, nbf, jti
        case kubernetes = "kubernetes.io"
    }

    /// Validity in time is judged against the server's clock, by the caller.
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}

/// Signs and verifies tokens.
struct ServiceAccountTokens: Sendable {
    private let keys: JWTKeyCollection
    private let cluster: Cluster

    /// The issuer, and the audience of tokens for this server.
    let issuer: String

    init(cluster: Cluster, keyPEM: String) async throws {
        self.cluster = cluster
        issuer = "https://kubernetes.default.svc.\(cluster.config.clusterDomain)"
        keys = JWTKeyCollection()
        await keys.add(ecdsa: try ES256PrivateKey(pem: keyPEM))
    }

    /// Signs a token for an account.
    ///
    /// - Parameter pod: The pod it is bound to, if any.
    func sign(
        namespace: String, account: ServiceAccountClaims.Reference, pod: ServiceAccountClaims.Reference?,
        audiences: [String], seconds: Int
    ) async throws -> (token: String, expires: Date) {
        let now = Int(cluster.now().timeIntervalSince1970)
        let claims = ServiceAccountClaims(
            iss: issuer, sub: "system:serviceaccount:\(namespace):\(account.name)",
            aud: audiences.isEmpty ? [issuer] : audiences, exp: now + seconds, iat: now, nbf: now,
            jti: UUID().uuidString.lowercased(),
            kubernetes: .init(namespace: namespace, serviceaccount: account, pod: pod))
        return (try await keys.sign(claims), Date(timeIntervalSince1970: TimeInterval(now + seconds)))
    }

    /// The account that a token speaks for.
    ///
    /// - Parameter audiences: At least one of them must be among the token's.
    /// - Returns: `nil` when the token is not good, for whatever reason.
    func authenticate(_ token: String, audiences: [String]) async -> (
        user: UserIdentity, audiences: [String]
    )? {
        // Not a token of ours, or a damaged one: not authenticated, and nothing more to say.
        guard let claims = try? await keys.verify(token, as: ServiceAccountClaims.self) else { return nil }
        let now = Int(cluster.now().timeIntervalSince1970)
        let wanted = audiences.isEmpty ? [issuer] : audiences
        let common = wanted.filter(claims.aud.contains)
        guard claims.iss == issuer, claims.exp > now, claims.nbf <= now + 1, !common.isEmpty,
            await isAlive(claims)
        else { return nil }
        let namespace = claims.kubernetes.namespace
        var user = UserIdentity(
            name: claims.sub, uid: claims.kubernetes.serviceaccount.uid,
            groups: [
                "system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated",
            ])
        user.extra["authentication.kubernetes.io/credential-id"] = ["JTI=\(claims.jti)"]
        if let pod = claims.kubernetes.pod {
            user.extra["authentication.kubernetes.io/pod-name"] = [pod.name]
            user.extra["authentication.kubernetes.io/pod-uid"] = [pod.uid]
        }
        return (user, common)
    }

    private func isAlive(_ claims: ServiceAccountClaims) async -> Bool {
        let bound = claims.kubernetes
        // When the state cannot be read nobody can be authenticated by it.
        let alive = try? await cluster.store.read { reader in
            let account = try reader.object(
                Resource.serviceAccounts, bound.namespace, bound.serviceaccount.name)
            guard account?.uid == bound.serviceaccount.uid else { return false }
            guard let pod = bound.pod else { return true }
            return try reader.object(Resource.pods, bound.namespace, pod.name)?.uid == pod.uid
        }
        return alive ?? false
    }
}
