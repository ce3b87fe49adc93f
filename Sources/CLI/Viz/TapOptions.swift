// From flags and arguments to a tap request: validation with Linkerd's words, no I/O.

package import ArgumentParser
package import MeshAPI
import MeshModel
import SwiftProtobuf

/// A request, and the path of the aggregated API that it belongs to.
package struct TapCall: Sendable, Equatable {
    package var request: Linkerd2_Tap_TapByResourceRequest
    package var more: Linkerd2_Tap_Live_RequestExtension
    package var path: String

    /// The request with our extension behind it, as it is sent.
    package func bytes() throws -> [UInt8] {
        try request.serializedBytes() as [UInt8] + (try more.serializedBytes() as [UInt8])
    }
}

/// Flags that choose which requests are shown: `tap`, `tap record` and `top` take them.
package struct TapSelection: ParsableArguments {
    @Option(name: .shortAndLong, help: "Namespace of the resource; the context's by default.")
    package var namespace: String?

    @Option(help: "Only requests to this resource: TYPE or TYPE/NAME.")
    package var to = ""

    @Option(help: "Namespace of the resource of --to; the tapped one by default.")
    package var toNamespace = ""

    @Option(help: "Requests shown each second at most, over all pods.")
    package var maxRps: Float = 100

    @Option(help: "Only requests with this scheme.")
    package var scheme = ""

    @Option(help: "Only requests with this method.")
    package var method = ""

    @Option(help: "Only requests with this :authority.")
    package var authority = ""

    @Option(help: "Only requests whose path begins so.")
    package var path = ""

    @Option(name: [.customShort("l"), .long], help: "Only pods with these labels, as kubectl's.")
    package var selector = ""

    @Option(help: "Only responses with this HTTP status: 503, 5xx or 400-499; several with commas.")
    package var status = ""

    @Option(help: "Only responses with this gRPC status, by number or name; several with commas.")
    package var grpcStatus = ""

    @Option(help: "Only these outcomes: success or failure, as stat counts them.")
    package var `class` = ""

    @Option(help: "Only requests that took longer, such as 250ms.")
    package var latencyAbove = ""

    @Option(help: "Only requests with this TLS state: true, false, or a reason such as no_tls_from_remote.")
    package var tls = ""

    @Option(help: ArgumentHelp("Only requests with this header, or with this value of it.", valueName: "name[=value]"))
    package var header: [String] = []

    @Option(help: ArgumentHelp("Only responses with this header, or with this value of it.", valueName: "name[=value]"))
    package var responseHeader: [String] = []

    package init() {}
}

extension TapSelection {
    /// Kinds that can be tapped.
    static let targets: Set<ResourceKind> = [
        .cronjob, .daemonset, .deployment, .job, .namespace, .pod, .replicaset, .replicationcontroller, .statefulset,
    ]

    /// Checks everything and builds the request.
    ///
    /// - Parameters:
    ///   - arguments: `TYPE`, `TYPE/NAME` or `TYPE NAME`.
    ///   - contextNamespace: of the kubeconfig.
    package func call(
        _ arguments: [String], contextNamespace: String, wantsHeaders: Bool
    ) throws(ArgumentMistake) -> TapCall {
        guard (1...2).contains(arguments.count) else {
            throw ArgumentMistake("accepts between 1 and 2 arg(s), received \(arguments.count)")
        }
        let target = try Self.resource(arguments.joined(separator: "/"), "target")
        let own = namespace ?? contextNamespace
        guard maxRps >= 0, maxRps.isFinite else { throw ArgumentMistake("--max-rps must not be negative") }
        var request = Linkerd2_Tap_TapByResourceRequest()
        request.target.resource = Self.message(target, namespace: own)
        request.target.labelSelector = selector
        request.maxRps = maxRps
        if wantsHeaders { request.extract.http.headers = .init() }
        let parts = try matches(own)
        request.match.all.matches = parts
        var more = Linkerd2_Tap_Live_RequestExtension()
        more.wantsLosses = true
        let filter = try filter()
        if filter != Linkerd2_Tap_Live_Filter() { more.filter = filter }
        return TapCall(request: request, more: more, path: Self.path(target, namespace: own))
    }

    private static func resource(_ text: String, _ role: String) throws(ArgumentMistake) -> ResourceArgument {
        let resource: ResourceArgument
        do { resource = try ResourceArguments.parse(text) } catch {
            throw ArgumentMistake("\(role) resource invalid: \(error.message)")
        }
        guard targets.contains(resource.kind) || (role == "destination" && resource.kind == .service) else {
            throw ArgumentMistake("unsupported resource type [\(resource.kind.name)]")
        }
        return resource
    }

    private static func message(_ resource: ResourceArgument, namespace: String) -> Linkerd2_Viz_Resource {
        .with {
            $0.type = resource.kind.name
            $0.name = resource.kind == .namespace && resource.name.isEmpty ? namespace : resource.name
            $0.namespace = resource.kind == .namespace ? "" : namespace
        }
    }

    private static func path(_ resource: ResourceArgument, namespace: String) -> String {
        let base = "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/"
        if resource.kind == .namespace { return base + (resource.name.isEmpty ? namespace : resource.name) + "/tap" }
        return base + "\(namespace)/\(resource.kind.plural)/\(resource.name)/tap"
    }

    private func matches(_ own: String) throws(ArgumentMistake) -> [Linkerd2_Tap_TapByResourceRequest.Match] {
        var parts: [Linkerd2_Tap_TapByResourceRequest.Match] = []
        if !to.isEmpty || !toNamespace.isEmpty {
            let text = to.isEmpty ? "namespace/\(toNamespace)" : to
            let destination = try Self.resource(text, "destination")
            let namespace = toNamespace.isEmpty ? own : toNamespace
            let message = Self.message(destination, namespace: namespace)
            parts.append(.with { $0.destinations.resource = message })
        }
        func add(_ text: String, _ set: (inout Linkerd2_Tap_TapByResourceRequest.Match.Http) -> Void) {
            guard !text.isEmpty else { return }
            var http = Linkerd2_Tap_TapByResourceRequest.Match.Http()
            set(&http)
            var part = Linkerd2_Tap_TapByResourceRequest.Match()
            part.http = http
            parts.append(part)
        }
        add(scheme) { $0.scheme = scheme }
        add(method) { $0.method = method }
        add(authority) { $0.authority = authority }
        add(path) { $0.path = path }
        return parts
    }

    // MARK: The response's part

    private func filter() throws(ArgumentMistake) -> Linkerd2_Tap_Live_Filter {
        var filter = Linkerd2_Tap_Live_Filter()
        for word in Self.words(status) { filter.statuses.append(try Self.range(word)) }
        for word in Self.words(grpcStatus) {
            guard let code = GRPCCodes.code(word) else {
                throw ArgumentMistake("--grpc-status \(word): no gRPC status has that name or number")
            }
            filter.grpcCodes.append(code)
        }
        guard ["", "success", "failure"].contains(`class`) else {
            throw ArgumentMistake("--class \(`class`): must be success or failure")
        }
        filter.classification = `class`
        if !latencyAbove.isEmpty {
            guard let latency = GoDuration.parse(latencyAbove), latency > .zero else {
                throw ArgumentMistake("--latency-above \(latencyAbove): give a duration with a unit, such as 250ms")
            }
            filter.latencyAboveUs = UInt64(latency / .microseconds(1))
        }
        filter.tls = tls
        filter.headers = header.map { Self.test($0, isResponse: false) }
            + responseHeader.map { Self.test($0, isResponse: true) }
        return filter
    }

    private static func words(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }

    /// `503`, `5xx` or `400-499`.
    private static func range(_ word: String) throws(ArgumentMistake) -> Linkerd2_Tap_Live_Filter.StatusRange {
        let bounds = word.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        var low: UInt32?
        var high: UInt32?
        if bounds.count == 2 {
            (low, high) = (UInt32(bounds[0]), UInt32(bounds[1]))
        } else if word.count == 3, word.lowercased().hasSuffix("xx"), let digit = UInt32(word.prefix(1)) {
            (low, high) = (digit * 100, digit * 100 + 99)
        } else if bounds.count == 1 {
            (low, high) = (UInt32(word), UInt32(word))
        }
        guard let low, let high, low <= high, (100...999).contains(low), high <= 999 else {
            throw ArgumentMistake("--status \(word): expected 503, 5xx or 400-499")
        }
        return .with {
            $0.min = low
            $0.max = high
        }
    }

    private static func test(_ text: String, isResponse: Bool) -> Linkerd2_Tap_Live_Filter.HeaderTest {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return .with {
            $0.name = parts[0].lowercased()
            $0.hasValue_p = parts.count == 2
            if parts.count == 2 { $0.value = String(parts[1]) }
            $0.isResponse = isResponse
        }
    }
}
