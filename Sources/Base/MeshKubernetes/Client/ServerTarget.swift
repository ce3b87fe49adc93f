// Small parts of the client: the URL to use, the token file, and a bound on time.

internal import Foundation

/// The base URL of an API server, and what its name must resolve to when another name is verified.
struct ServerTarget: Equatable {
    let baseURL: String
    let dnsOverride: [String: String]

    init(config: KubernetesConfig) throws(KubernetesConfigError) {
        guard var parts = URLComponents(string: config.server), let host = parts.host, !host.isEmpty,
            parts.scheme == "https" || parts.scheme == "http"
        else {
            throw KubernetesConfigError(
                kind: .invalidFile, message: "\(config.server) is not the URL of a server")
        }
        if let name = config.tlsServerName, name != host {
            parts.host = name
            dnsOverride = [name: host]
        } else {
            dnsOverride = [:]
        }
        let text = parts.string ?? config.server
        baseURL = text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}

/// Bearer tokens kept in files.
enum TokenFile {
    /// The token without surrounding space; `nil` when the file is unreadable or empty.
    static func read(_ path: String) -> String? {
        // The caller reports.
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return token.isEmpty ? nil : token
    }
}

/// A bound on how long something may take.
enum Deadline {
    /// Thrown when the time is over.
    struct Exceeded: Error {}

    /// Runs `body`, cancelling it and throwing `Exceeded` after `limit`.
    static func run<Result: Sendable>(
        within limit: Duration, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                throw Exceeded()
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() else { throw Exceeded() }
            return result
        }
    }
}
