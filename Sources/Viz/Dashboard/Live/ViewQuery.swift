package import MeshModel

/// What a page asks for: one screen, over one window. Equal queries share one upstream question.
package struct ViewQuery: Sendable, Hashable {
    /// The screens of the dashboard.
    package enum Screen: Sendable, Hashable {
        /// Every namespace.
        case namespaces
        /// The workloads, pods and graph of one namespace.
        case namespace(String)
        /// Only the graph; an empty name means every namespace.
        case topology(String)
        /// One workload over time, with its neighbours and pods.
        case workload(namespace: String, kind: ResourceKind, name: String)
    }

    /// Windows shorter than this hold no scrape; Linkerd refuses below 15 s, we scrape every 10.
    package static let windowMin = Duration.seconds(10)
    /// The store keeps thirteen months.
    package static let windowMax = Duration.seconds(400 * 86_400)

    /// Which screen.
    package let screen: Screen
    /// How far back, as the user wrote it (`1m`).
    package let window: String
    /// End of the window in milliseconds since 1970 UTC; 0 means now.
    package let atMilliseconds: Int64

    /// Length of the window.
    package var windowSeconds: Double { (GoDuration.parse(window) ?? .seconds(60)).seconds }

    /// A query for `screen`.
    package init(screen: Screen, window: String = "1m", atMilliseconds: Int64 = 0) {
        self.screen = screen
        self.window = window
        self.atMilliseconds = atMilliseconds
    }

    /// Reads `view`, `namespace`, `kind`, `name`, `window` and `at`.
    package init(_ query: QueryReader) throws(DashboardError) {
        window = try query.window()
        atMilliseconds = try query.instant("at")
        let view = query["view"] ?? ""
        switch view {
        case "namespaces": screen = .namespaces
        case "namespace": screen = .namespace(try query.required("namespace"))
        case "topology": screen = .topology(query["namespace"] ?? "")
        case "workload":
            screen = .workload(
                namespace: try query.required("namespace"),
                kind: try query.kind("kind", default: .deployment),
                name: try query.required("name"))
        default:
            throw DashboardError(
                .badRequest, "view must be namespaces, namespace, topology or workload, not \"\(view)\"")
        }
    }
}
