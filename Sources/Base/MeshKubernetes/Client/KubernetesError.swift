// The one error of the client: what the API server answered, or why no answer came.

/// A failed request.
public struct KubernetesError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The HTTP status; 0 when no answer came (connection, time-out) or it could not be read.
    public let code: Int
    /// A word such as `NotFound`, `Conflict`, `AlreadyExists`, `Expired`; for code 0 `Transport`, `TimedOut`,
    /// `TooLarge` or `InvalidResponse`.
    public let reason: String
    /// Text for people.
    public let message: String

    public init(code: Int, reason: String, message: String) {
        self.code = code
        self.reason = reason
        self.message = message
    }

    public var isNotFound: Bool { code == 404 }
    public var isConflict: Bool { code == 409 }
    /// The version asked for is no longer kept: list again.
    public var isGone: Bool { code == 410 }

    public var description: String { code == 0 ? "\(reason): \(message)" : "\(code) \(reason): \(message)" }
}

/// The part of a `Status` object that errors carry.
struct StatusBody: Codable {
    var status: String?
    var code: Int?
    var reason: String?
    var message: String?

    /// The error that this status with an HTTP code means.
    func error(httpStatus: Int) -> KubernetesError {
        KubernetesError(
            code: code ?? httpStatus, reason: reason ?? "Unknown", message: message ?? "no message")
    }
}
