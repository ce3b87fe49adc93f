import Foundation
import HTTPTypes
import Hummingbird
import Logging
import MeshModel

/// Which names this dashboard answers to, and whose pages may ask. The same for requests and for WebSockets, which
/// browsers open across sites without asking anybody.
struct HostRules: Sendable {
    private let pattern: NSRegularExpression?

    init(enforcedHost: String) throws(DashboardError) {
        if enforcedHost.isEmpty {
            pattern = nil
        } else if let compiled = try? NSRegularExpression(pattern: enforcedHost) {
            pattern = compiled
        } else {
            throw DashboardError(.badRequest, "enforced-host is not a regular expression: \(enforcedHost)")
        }
    }

    /// Whether the dashboard is known by this name.
    func accepts(host: String) -> Bool {
        guard let pattern else { return true }
        let whole = NSRange(host.startIndex..., in: host)
        return pattern.firstMatch(in: host, range: whole) != nil
    }

    /// Whether a page of this origin may ask; programs that are no browsers name none.
    func accepts(origin: String?, host: String) -> Bool {
        guard let origin else { return true }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// What a foreign name is told.
    static func explanation(_ host: String) -> String {
        """
        This dashboard does not answer to the host name "\(host)".
        Ask for it by a name that its option -enforced-host accepts, or change that option.
        The check keeps other sites from reading your cluster: https://linkerd.io/dns-rebinding

        """
    }

    static let foreignOrigin = DashboardError(.forbidden, "the API answers only to pages of its own origin")
}

/// Turns away requests for names that are not ours, and API requests from pages of other origins.
struct HostGuard<Context: RequestContext>: RouterMiddleware {
    let rules: HostRules

    func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let host = request.head.authority ?? ""
        guard rules.accepts(host: host) else { return .text(.badRequest, HostRules.explanation(host)) }
        guard rules.accepts(origin: request.headers[.origin], host: host) else { throw HostRules.foreignOrigin }
        return try await next(request, context)
    }
}

/// Headers that every answer carries.
struct SecurityHeaders<Context: RequestContext>: RouterMiddleware {
    /// Only our own files, no inline script or style, no frames of others.
    static var policy: String {
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            + "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
            + "frame-ancestors 'self'"
    }

    private let fields: HTTPFields

    init() {
        var fields: HTTPFields = [.contentSecurityPolicy: Self.policy, .xContentTypeOptions: "nosniff"]
        let others = [
            ("X-Frame-Options", "SAMEORIGIN"), ("X-XSS-Protection", "1; mode=block"),
            ("Referrer-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ]
        for (name, value) in others {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        self.fields = fields
    }

    func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        for field in fields { response.headers[field.name] = field.value }
        return response
    }
}

/// Makes every failure `{"error": …}` with the status of its kind.
struct ErrorsAsJSON<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError {
            let message = error.body ?? error.status.reasonPhrase
            return .json(["error": .string(message)], status: error.status)
        } catch {
            let problem = DashboardError(explaining: error)
            context.logger.debug("Request failed", metadata: ["kind": "\(problem.kind.rawValue)"])
            return .json(problem.json, status: .init(code: problem.statusCode))
        }
    }
}
