import NIOHTTP1

/// Decides who sent a request: by client certificate, else by bearer token.
struct Authenticator: Sendable {
    let tokens: ServiceAccountTokens

    /// Whoever may ask without credentials, as Kubernetes lets them.
    static let anonymous = UserIdentity(name: "system:anonymous", groups: ["system:unauthenticated"])
    private static let publicPaths: Set<String> = ["healthz", "livez", "readyz", "version"]

    /// - Throws: `StatusError` 401 when nothing, or nothing valid, was presented.
    func identify(
        headers: HTTPHeaders, path: [String], certificate: ClientCertificate?
    ) async throws(StatusError) -> UserIdentity {
        if let certificate { return certificate.user }
        if let token = Self.bearer(headers) {
            if let known = await tokens.authenticate(token, audiences: []) { return known.user }
            throw .unauthorized
        }
        if let first = path.first, Self.publicPaths.contains(first) { return Self.anonymous }
        throw .unauthorized
    }

    private static func bearer(_ headers: HTTPHeaders) -> String? {
        guard let value = headers.first(name: "Authorization") else { return nil }
        let parts = value.split(separator: " ")
        return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
    }
}
