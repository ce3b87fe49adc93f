// From flags and arguments to StatSummary requests: validation with Linkerd's words, no I/O.

package import MeshAPI
import MeshModel

/// How `stat` prints.
package enum StatOutput: String, Sendable, CaseIterable {
    case table, wide, json
}

/// What the user asked of `linkerd viz stat`, before it is checked.
package struct StatOptions: Sendable {
    package var namespace: String?
    package var contextNamespace = "default"
    package var allNamespaces = false
    package var timeWindow = "1m"
    package var at = ""
    package var to = ""
    package var toNamespace = ""
    package var from = ""
    package var fromNamespace = ""
    package var output = "table"
    package var selector = ""
    package var showsUnmeshed = false

    package init() {}

    /// The output format.
    package func checkedOutput() throws(ArgumentMistake) -> StatOutput {
        guard let format = StatOutput(rawValue: output.isEmpty ? "table" : output) else {
            throw ArgumentMistake("--output currently only supports table, json and wide")
        }
        return format
    }

    /// One request for each resource.
    ///
    /// - Parameter now: Seconds since 1970, for `--at`.
    package func requests(
        for resources: [ResourceArgument], now: Double = 0
    ) throws(ArgumentMistake) -> [Linkerd2_Viz_StatSummaryRequest] {
        try checkCombinations(resources)
        let window = try WindowOption(timeWindow, at: at, now: now)
        var requests: [Linkerd2_Viz_StatSummaryRequest] = []
        for resource in resources { requests.append(try request(for: resource, window)) }
        return requests
    }

    private func checkCombinations(_ resources: [ResourceArgument]) throws(ArgumentMistake) {
        if !to.isEmpty && !from.isEmpty { throw ArgumentMistake("--to and --from flags are mutually exclusive") }
        if !toNamespace.isEmpty && !fromNamespace.isEmpty {
            throw ArgumentMistake("--to-namespace and --from-namespace flags are mutually exclusive")
        }
        if allNamespaces, let namespace, namespace != contextNamespace {
            throw ArgumentMistake("--all-namespaces and --namespace flags are mutually exclusive")
        }
        if allNamespaces, resources.contains(where: { !$0.name.isEmpty }) {
            throw ArgumentMistake("stats for a resource cannot be retrieved by name across all namespaces")
        }
        for resource in resources where resource.kind == .namespace {
            if !toNamespace.isEmpty {
                throw ArgumentMistake("--to-namespace flag is incompatible with namespace resource type")
            }
            if !fromNamespace.isEmpty {
                throw ArgumentMistake("--from-namespace flag is incompatible with namespace resource type")
            }
            if namespace != nil {
                throw ArgumentMistake("--namespace flag is incompatible with namespace resource type")
            }
        }
    }

    private func request(
        for resource: ResourceArgument, _ window: WindowOption
    ) throws(ArgumentMistake) -> Linkerd2_Viz_StatSummaryRequest {
        var request = Linkerd2_Viz_StatSummaryRequest()
        request.selector.resource = Self.message(resource, namespace: selectedNamespace(of: resource))
        request.selector.labelSelector = selector
        request.timeWindow = window.requestText
        request.tcpStats = true
        if !to.isEmpty || !toNamespace.isEmpty {
            request.toResource = try filter(to, namespace: toNamespace, flag: "--to")
        } else if !from.isEmpty || !fromNamespace.isEmpty {
            request.fromResource = try filter(from, namespace: fromNamespace, flag: "--from")
        } else {
            request.none = Linkerd2_Viz_Empty()
        }
        return request
    }

    private func selectedNamespace(of resource: ResourceArgument) -> String {
        if resource.kind == .namespace || allNamespaces { return "" }
        return namespace ?? contextNamespace
    }

    /// The other end of a `--to` or `--from`; a bare namespace means everything in it.
    private func filter(
        _ text: String, namespace: String, flag: String
    ) throws(ArgumentMistake) -> Linkerd2_Viz_Resource {
        if text.isEmpty {
            return Self.message(ResourceArgument(kind: .namespace, name: namespace), namespace: "")
        }
        let resource = try ResourceArguments.parse(text)
        if resource.kind == .all { throw ArgumentMistake("resource type 'all' is not supported as a filter") }
        if flag == "--from", resource.kind == .service {
            throw ArgumentMistake("service is not supported as a target on 'from' queries, or with a namespace resource type")
        }
        let own = resource.kind == .namespace ? "" : namespace.isEmpty ? (self.namespace ?? contextNamespace) : namespace
        return Self.message(resource, namespace: own)
    }

    private static func message(_ resource: ResourceArgument, namespace: String) -> Linkerd2_Viz_Resource {
        var message = Linkerd2_Viz_Resource()
        message.type = resource.kind.name
        message.name = resource.name
        message.namespace = namespace
        return message
    }
}
