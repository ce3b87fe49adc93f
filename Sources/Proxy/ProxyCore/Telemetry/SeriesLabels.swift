// Label sets as the proxy renders them, once, when a stack or endpoint is built. Order and spelling are
// Linkerd's (`spec/proxy.md` 6.3 to 6.6).

import MeshMetrics
package import NIOCore

/// Builds rendered label sets.
package enum SeriesLabels {
    /// Why a connection carries no mesh TLS.
    package enum NoTLSReason: String, Sendable, CaseIterable {
        case loopback
        case portSkipped = "port_skipped"
        case noTLSFromRemote = "no_tls_from_remote"
        case notProvidedByServiceDiscovery = "not_provided_by_service_discovery"
    }

    /// `target_addr`, `target_ip`, `target_port`.
    package static func target(_ address: SocketAddress) -> String {
        let ip = address.ipAddress ?? ""
        return
            "target_addr=\"\(address.endpointText)\",target_ip=\"\(ip)\",target_port=\"\(address.port ?? 0)\""
    }

    /// `tls` and its reason, without TLS.
    package static func noTLS(_ reason: NoTLSReason) -> String {
        "tls=\"no_identity\",no_tls_reason=\"\(reason.rawValue)\""
    }

    /// `tls` between meshed peers, with the other end's identity under `side` (`client_id` or `server_id`).
    package static func tls(_ side: String, _ identity: String) -> String {
        "tls=\"true\",\(side)=\"\(ExpositionWriter.escapeLabelValue(identity))\""
    }

    /// `tls` of somebody else, passed through.
    package static func passthrough(_ serverName: String) -> String {
        "tls=\"opaque\",sni=\"\(ExpositionWriter.escapeLabelValue(serverName))\""
    }

    /// `tls` of a proxy without identity.
    package static let tlsDisabled = "tls=\"disabled\""

    /// `authority`; empty when there is no name. Ends with a comma when it is not.
    package static func authority(_ name: String?) -> String {
        name.map { "authority=\"\(ExpositionWriter.escapeLabelValue($0))\"," } ?? ""
    }

    /// `parent_*` of a destination.
    package static func parent(_ parent: ResourceReference) -> String {
        [
            ("group", parent.group), ("kind", parent.kind), ("namespace", parent.namespace), ("name", parent.name),
            ("port", parent.port == 0 ? "" : "\(parent.port)"), ("section_name", ""),
        ].map { "parent_\($0)=\"\(ExpositionWriter.escapeLabelValue($1))\"" }.joined(separator: ",")
    }

    /// Discovery's labels with `dst_` in front, sorted by key. Starts with a comma when it is not empty.
    package static func destination(_ labels: [String: String]) -> String {
        labels.sorted { $0.key < $1.key }.map { key, value in
            ",dst_\(key)=\"\(ExpositionWriter.escapeLabelValue(value))\""
        }.joined()
    }
}
