// Which trace a request belongs to, by the headers that applications send. Only hexadecimal digits are taken, so that
// nothing else a client writes there is kept. Pure.
// Source: W3C Trace Context, 3.2 (`traceparent`); B3 propagation (`b3`, `X-B3-TraceId`).

package import MeshAPI

/// Finds trace ids.
package enum TraceContext {
    /// The trace's id in lower case; empty when the headers name none.
    package static func traceID(_ headers: Linkerd2_Viz_Headers) -> String {
        var found: [String: String] = [:]
        for header in headers.headers {
            let name = header.name.lowercased()
            guard ["traceparent", "b3", "x-b3-traceid"].contains(name), found[name] == nil else { continue }
            found[name] = header.valueStr
        }
        let parts = found["traceparent"]?.split(separator: "-", omittingEmptySubsequences: false) ?? []
        if parts.count >= 4, parts[0].count == 2, let id = checked(parts[1], lengths: [32]) { return id }
        if let id = checked(found["x-b3-traceid"]?[...], lengths: [16, 32]) { return id }
        return checked(found["b3"]?.split(separator: "-").first, lengths: [16, 32]) ?? ""
    }

    private static func checked(_ text: Substring?, lengths: Set<Int>) -> String? {
        guard let text, lengths.contains(text.utf8.count), text.allSatisfy({ $0.isASCII && $0.isHexDigit }),
            text.contains(where: { $0 != "0" })
        else { return nil }
        return text.lowercased()
    }
}
