import Foundation
import Hummingbird
package import MeshModel

/// The parameters of a request, read with the words Linkerd uses for what is wrong with them.
package struct QueryReader: Sendable {
    /// Names in Kubernetes are at most this long (DNS subdomain, RFC 1123).
    package static let nameBytesMax = 253

    private let values: [String: String]

    /// The parameters in a table.
    package init(_ values: [String: String]) {
        self.values = values
    }

    init(_ request: Request) {
        var values: [String: String] = [:]
        for (key, value) in request.uri.queryParameters { values[String(key)] = String(value) }
        self.values = values
    }

    /// The parameter, unless it is missing or empty.
    package subscript(key: String) -> String? {
        guard let value = values[key], !value.isEmpty else { return nil }
        return value
    }

    /// A parameter that names something.
    package func required(_ key: String) throws(DashboardError) -> String {
        guard let value = self[key] else {
            throw DashboardError(.badRequest, "the parameter \"\(key)\" is missing")
        }
        return try name(value, key)
    }

    /// A name, or an empty text when missing.
    package func optionalName(_ key: String) throws(DashboardError) -> String {
        guard let value = self[key] else { return "" }
        return try name(value, key)
    }

    private func name(_ value: String, _ key: String) throws(DashboardError) -> String {
        let isName = value.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || "-._:".utf8.contains(byte)
        }
        guard isName, value.utf8.count <= Self.nameBytesMax else {
            throw DashboardError(.badRequest, "the parameter \"\(key)\" is not a name of Kubernetes")
        }
        return value
    }

    /// A truth value; Go's spellings of true.
    package func flag(_ key: String) -> Bool {
        ["1", "t", "T", "true", "TRUE", "True"].contains(values[key] ?? "")
    }

    /// `window`, a Go duration between 10 s and 400 days; one minute when missing.
    package func window() throws(DashboardError) -> String {
        let text = self["window"] ?? "1m"
        guard let window = GoDuration.parse(text) else {
            throw DashboardError(.badRequest, "invalid time window \"\(text)\": write it like 30s, 10m or 6h")
        }
        guard window >= ViewQuery.windowMin, window <= ViewQuery.windowMax else {
            throw DashboardError(.badRequest, "invalid time window \"\(text)\": between 10s and 400d")
        }
        return text
    }

    /// A kind of resource by any of its names.
    package func kind(_ key: String, default fallback: ResourceKind) throws(DashboardError) -> ResourceKind {
        guard let word = self[key] else { return fallback }
        guard let kind = ResourceKind(alias: word) else {
            throw DashboardError(
                .badRequest, "cannot find Kubernetes canonical name from friendly name [\(word)]")
        }
        return kind
    }

    /// A moment as RFC 3339 or milliseconds since 1970; 0 when missing.
    package func instant(_ key: String) throws(DashboardError) -> Int64 {
        guard let text = self[key] else { return 0 }
        if let milliseconds = Int64(text), milliseconds >= 0 { return milliseconds }
        for style in [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)] {
            if let date = try? style.parse(text) { return Int64(date.timeIntervalSince1970 * 1_000) }
        }
        guard let date = try? Date.ISO8601FormatStyle().parse(text.replacing("Z", with: ":00Z")) else {
            throw DashboardError(
                .badRequest, "\"\(key)\" must be a time like 2026-11-20T14:00:00Z, not \"\(text)\"")
        }
        return Int64(date.timeIntervalSince1970 * 1_000)
    }
}
