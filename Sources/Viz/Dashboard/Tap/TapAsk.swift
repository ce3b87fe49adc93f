// What a page asks to watch: the first message of `/api/tap`, with Linkerd's keys, and a few of ours. Pure.
// Source: `spec/viz.md` 6.3.

package import MeshAPI
import MeshModel
import SwiftProtobuf

/// A checked first message.
package struct TapAsk: Sendable, Equatable {
    /// Requests each second that a page may ask for; people read no faster.
    package static let ratePerSecondMax = 1_000.0
    static let ratePerSecondDefault = 100.0

    /// The request, our extension of it behind Linkerd's fields.
    package let request: Linkerd2_Tap_TapByResourceRequest
    /// Whether the page wants to know when the tap is open and what was lost; Linkerd's pages know events only.
    package let wantsNews: Bool

    /// Reads the message.
    /// - Throws: `badRequest`, with words for the person who asks.
    package init(json: [UInt8]) throws(DashboardError) {
        guard let tree = try? JSONValue(parsing: json), let object = tree.objectValue else {
            throw DashboardError(.badRequest, "the first message must be a JSON object")
        }
        let fields = Dictionary(object.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
        func text(_ key: String) -> String { fields[key]?.stringValue ?? "" }
        var request = Linkerd2_Tap_TapByResourceRequest()
        request.target.resource = try Self.resource(text("resource"), namespace: text("namespace"))
        request.target.labelSelector = text("labelselector")
        request.maxRps = Float(try Self.rate(fields["maxrps"]))
        if fields["extract"]?.boolValue == true { request.extract.http.headers = .init() }
        var parts: [Linkerd2_Tap_TapByResourceRequest.Match] = []
        if !text("toresource").isEmpty || !text("tonamespace").isEmpty {
            let namespace = text("tonamespace").isEmpty ? text("namespace") : text("tonamespace")
            let name = text("toresource").isEmpty ? "namespace/\(namespace)" : text("toresource")
            let peer = try Self.resource(name, namespace: namespace)
            parts.append(.with { $0.destinations.resource = peer })
        }
        func match(_ key: String, _ set: (inout Linkerd2_Tap_TapByResourceRequest.Match.Http, String) -> Void) {
            let value = text(key)
            if !value.isEmpty { parts.append(.with { set(&$0.http, value) }) }
        }
        match("scheme") { $0.scheme = $1 }
        match("method") { $0.method = $1 }
        match("authority") { $0.authority = $1 }
        match("path") { $0.path = $1 }
        let all = parts
        request.match.all.matches = all
        wantsNews = fields["news"]?.boolValue == true
        self.request = try Self.extended(request, status: text("status"), wantsLosses: wantsNews)
    }

    /// `deployment/web`, `deploy`, or `ns/emojivoto`.
    private static func resource(_ text: String, namespace: String) throws(DashboardError) -> Linkerd2_Viz_Resource {
        let words = text.split(separator: "/", maxSplits: 1).map(String.init)
        guard let alias = words.first, let kind = ResourceKind(alias: alias) else {
            throw DashboardError(.badRequest, "\"\(text)\" is no resource; write it like deployment/web")
        }
        var resource = Linkerd2_Viz_Resource()
        resource.type = kind.name
        resource.name = words.count > 1 ? words[1] : ""
        if kind != .namespace {
            resource.namespace = namespace
        } else if resource.name.isEmpty {
            resource.name = namespace
        }
        return resource
    }

    private static func rate(_ value: JSONValue?) throws(DashboardError) -> Double {
        guard let value, value != .null else { return ratePerSecondDefault }
        guard let rate = value.doubleValue ?? value.stringValue.flatMap(Double.init), rate >= 0, rate <= ratePerSecondMax else {
            throw DashboardError(.badRequest, "maxRps must be between 0 and \(Int(ratePerSecondMax))")
        }
        return rate == 0 ? ratePerSecondDefault : rate
    }

    /// - Parameter status: `503`, `5xx` or `400-499`; empty shows all.
    private static func extended(
        _ request: Linkerd2_Tap_TapByResourceRequest, status: String, wantsLosses: Bool
    ) throws(DashboardError) -> Linkerd2_Tap_TapByResourceRequest {
        var more = Linkerd2_Tap_Live_RequestExtension()
        more.wantsLosses = wantsLosses
        if !status.isEmpty {
            let range = try range(status)
            more.filter.statuses = [.with { ($0.min, $0.max) = range }]
        }
        guard more != Linkerd2_Tap_Live_RequestExtension() else { return request }
        var request = request
        do {
            try request.merge(serializedBytes: try more.serializedBytes() as [UInt8])
        } catch {
            throw DashboardError(.badRequest, "the request cannot be encoded: \(error)")
        }
        return request
    }

    private static func range(_ text: String) throws(DashboardError) -> (UInt32, UInt32) {
        let mistake = DashboardError(.badRequest, "status must be like 503, 5xx or 400-499, not \"\(text)\"")
        if text.count == 3, text.lowercased().hasSuffix("xx"), let hundreds = text.first?.wholeNumberValue, (1...9).contains(hundreds) {
            return (UInt32(hundreds) * 100, UInt32(hundreds) * 100 + 99)
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0) }
        guard let low = ends.first ?? nil, let high = ends.last ?? nil, ends.count <= 2, low <= high, high <= 999 else { throw mistake }
        return (low, high)
    }
}
