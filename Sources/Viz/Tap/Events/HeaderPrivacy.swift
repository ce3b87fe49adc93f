// Which header values leave the mesh's own programs. Tap shows other people's traffic to whoever may tap, and
// that person need not be allowed to act as those people: credentials are hidden unless somebody decides
// otherwise for the whole cluster. Pure.

package import MeshAPI

/// Rules for headers and trailers, the same for every caller.
package struct HeaderPrivacy: Sendable, Equatable {
    /// What a hidden value looks like.
    package static let redaction = "[redacted]"
    /// Values that are hidden unless the operator names them as visible.
    package static let redactedByDefault: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token",
        "x-amz-security-token", "x-csrf-token", "x-forwarded-client-cert", "grpc-metadata-authorization",
    ]

    /// Fields left out altogether.
    package var ignored: Set<String>
    /// When not empty, only these fields are shown, and pseudo headers.
    package var allowed: Set<String>
    /// Fields whose values are hidden.
    package var redacted: Set<String>

    /// Names in any case of letters.
    package init(
        ignored: some Sequence<String> = [String](), allowed: some Sequence<String> = [String](),
        redacted: some Sequence<String> = HeaderPrivacy.redactedByDefault, visible: some Sequence<String> = [String]()
    ) {
        self.ignored = Set(ignored.map { $0.lowercased() })
        self.allowed = Set(allowed.map { $0.lowercased() })
        self.redacted = Set(redacted.map { $0.lowercased() }).subtracting(visible.map { $0.lowercased() })
    }

    /// The fields as callers see them, in order.
    package func shown(_ headers: Io_Linkerd_Proxy_HttpTypes_Headers) -> Linkerd2_Viz_Headers {
        var shown = Linkerd2_Viz_Headers()
        for header in headers.headers {
            let name = header.name.lowercased()
            if ignored.contains(name) { continue }
            if !allowed.isEmpty, !allowed.contains(name), !name.hasPrefix(":") { continue }
            var field = Linkerd2_Viz_Headers.Header()
            field.name = header.name
            if redacted.contains(name) {
                field.valueStr = Self.redaction
            } else if let text = String(validating: header.value, as: UTF8.self) {
                field.valueStr = text
            } else {
                field.valueBin = header.value
            }
            shown.headers.append(field)
        }
        return shown
    }
}
