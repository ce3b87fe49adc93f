import MeshModel

/// A failed request as the `Status` object that Kubernetes clients expect.
struct StatusError: Error, Sendable, Equatable {
    /// HTTP status.
    let code: Int
    /// The closed set of reasons of `metav1.StatusReason`, or a few of HTTP's own.
    let reason: String
    let message: String
    var details: JSONValue?

    /// The `Status` document.
    var document: JSONValue {
        var status: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "code": .int(Int64(code)),
        ]
        if !reason.isEmpty { status["reason"] = .string(reason) }
        if let details { status["details"] = details }
        return status
    }
}

extension StatusError {
    static func badRequest(_ message: String) -> StatusError {
        StatusError(code: 400, reason: "BadRequest", message: message)
    }

    static let unauthorized = StatusError(code: 401, reason: "Unauthorized", message: "Unauthorized")

    static func forbidden(_ kind: KindDescription, _ name: String, _ why: String) -> StatusError {
        StatusError(
            code: 403, reason: "Forbidden", message: "\(kind.qualifiedName) \"\(name)\" is forbidden: \(why)",
            details: details(kind, name))
    }

    static func notFound(_ kind: KindDescription, _ name: String) -> StatusError {
        StatusError(
            code: 404, reason: "NotFound", message: "\(kind.qualifiedName) \"\(name)\" not found",
            details: details(kind, name))
    }

    /// For a path that names nothing that is served.
    static let unknownPath = StatusError(
        code: 404, reason: "NotFound", message: "the server could not find the requested resource",
        details: [:])

    static func methodNotAllowed(_ method: String, _ what: String) -> StatusError {
        StatusError(code: 405, reason: "MethodNotAllowed", message: "\(method) is not supported on \(what)")
    }

    static func alreadyExists(_ kind: KindDescription, _ name: String) -> StatusError {
        StatusError(
            code: 409, reason: "AlreadyExists", message: "\(kind.qualifiedName) \"\(name)\" already exists",
            details: details(kind, name))
    }

    static func conflict(_ kind: KindDescription, _ name: String, _ why: String? = nil) -> StatusError {
        let cause =
            why
            ?? "the object has been modified; please apply your changes to the latest version and try again"
        return StatusError(
            code: 409, reason: "Conflict",
            message: "Operation cannot be fulfilled on \(kind.qualifiedName) \"\(name)\": \(cause)",
            details: details(kind, name))
    }

    static func expired(_ message: String) -> StatusError {
        StatusError(code: 410, reason: "Expired", message: message)
    }

    static func unsupportedMediaType(_ message: String) -> StatusError {
        StatusError(code: 415, reason: "UnsupportedMediaType", message: message)
    }

    static func tooLarge(limitBytes: Int) -> StatusError {
        StatusError(
            code: 413, reason: "RequestEntityTooLarge",
            message: "Request entity too large: limit is \(limitBytes)")
    }

    static func notImplemented(_ what: String) -> StatusError {
        StatusError(
            code: 501, reason: "NotImplemented", message: "\(what) is not supported by the local cluster")
    }

    static func internalError(_ message: String) -> StatusError {
        StatusError(code: 500, reason: "InternalError", message: "Internal error occurred: \(message)")
    }

    static func unavailable(_ message: String) -> StatusError {
        StatusError(code: 503, reason: "ServiceUnavailable", message: message)
    }

    /// For an object that breaks rules of its kind; one cause per broken rule.
    static func invalid(_ kind: KindDescription, _ name: String, _ causes: [FieldCause]) -> StatusError {
        let texts = causes.map { "\($0.field): \($0.message)" }
        let joined = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        var details = details(kind, name)
        details["kind"] = .string(kind.kind)
        details["causes"] = .array(causes.map(\.document))
        return StatusError(
            code: 422, reason: "Invalid", message: "\(kind.qualifiedKind) \"\(name)\" is invalid: \(joined)",
            details: details)
    }

    private static func details(_ kind: KindDescription, _ name: String) -> JSONValue {
        var details: JSONValue = ["name": .string(name), "kind": .string(kind.plural)]
        if !kind.group.isEmpty { details["group"] = .string(kind.group) }
        return details
    }
}

/// One broken rule of an object.
struct FieldCause: Sendable, Equatable {
    enum Reason: String, Sendable {
        case required = "FieldValueRequired"
        case invalid = "FieldValueInvalid"
        case forbidden = "FieldValueForbidden"
        case notSupported = "FieldValueNotSupported"
        case duplicate = "FieldValueDuplicate"
    }

    let field: String
    let reason: Reason
    let message: String

    static func required(_ field: String) -> FieldCause {
        FieldCause(field: field, reason: .required, message: "Required value")
    }

    static func invalid(_ field: String, _ value: String, _ why: String) -> FieldCause {
        FieldCause(field: field, reason: .invalid, message: "Invalid value: \"\(value)\": \(why)")
    }

    static func immutable(_ field: String) -> FieldCause {
        FieldCause(field: field, reason: .invalid, message: "Invalid value: field is immutable")
    }

    static func notSupported(_ field: String, _ value: String, allowed: [String]) -> FieldCause {
        let names = allowed.map { "\"\($0)\"" }.joined(separator: ", ")
        return FieldCause(
            field: field, reason: .notSupported,
            message: "Unsupported value: \"\(value)\": supported values: \(names)")
    }

    var document: JSONValue {
        ["reason": .string(reason.rawValue), "message": .string(message), "field": .string(field)]
    }
}
