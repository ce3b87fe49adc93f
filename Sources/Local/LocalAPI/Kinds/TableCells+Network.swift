import Foundation
import MeshModel

extension TableCells {
    /// Endpoints, ports and hosts shown before the rest is counted.
    private static let shownMax = 3

    static let network: [String: Computation] = [
        "clusterIP": { orNone($0.text("spec", "clusterIP")) },
        "externalIP": { cells in
            if cells.text("spec", "type") == "ExternalName" {
                return .string(cells.text("spec", "externalName"))
            }
            let given = cells.list("spec", "externalIPs").compactMap(\.stringValue)
            let balanced = cells.list("status", "loadBalancer", "ingress").compactMap {
                ($0["ip"] ?? $0["hostname"])?.stringValue
            }
            let all = given + balanced
            if all.isEmpty { return cells.text("spec", "type") == "LoadBalancer" ? "<pending>" : "<none>" }
            return .string(all.joined(separator: ","))
        },
        "servicePorts": { cells in
            let ports = cells.list("spec", "ports").map { port -> String in
                let number = port["port"]?.intValue ?? 0
                let node = port["nodePort"]?.intValue.map { $0 == 0 ? "" : ":\($0)" } ?? ""
                return "\(number)\(node)/\(port["protocol"]?.stringValue ?? "TCP")"
            }
            return orNone(ports.joined(separator: ","))
        },
        "serviceSelector": { labels($0.object.value(at: ["spec", "selector"])) },
        "endpoints": { cells in
            let all = cells.list("subsets").flatMap { subset -> [String] in
                let ports = (subset["ports"]?.arrayValue ?? []).compactMap { $0["port"]?.intValue }
                let addresses = (subset["addresses"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
                return addresses.flatMap { address in
                    ports.isEmpty ? [address] : ports.map { "\(address):\($0)" }
                }
            }
            return .string(shortened(all, empty: "<none>"))
        },
        "slicePorts": { cells in
            .string(
                shortened(
                    cells.list("ports").map { $0["port"]?.intValue.map(String.init) ?? "*" }, empty: "<unset>"
                ))
        },
        "sliceEndpoints": { cells in
            let addresses = cells.list("endpoints").flatMap { $0["addresses"]?.arrayValue ?? [] }
            return .string(shortened(addresses.compactMap(\.stringValue), empty: "<unset>"))
        },
        "ingressClass": { orNone($0.text("spec", "ingressClassName")) },
        "ingressHosts": { cells in
            let hosts = cells.list("spec", "rules").map { $0["host"]?.stringValue ?? "*" }
            return .string(shortened(hosts, empty: "*"))
        },
        "ingressAddress": { cells in
            let all = cells.list("status", "loadBalancer", "ingress").compactMap {
                ($0["ip"] ?? $0["hostname"])?.stringValue
            }
            return .string(all.joined(separator: ","))
        },
        "ingressPorts": { .string($0.list("spec", "tls").isEmpty ? "80" : "80, 443") },
        "podSelector": { cells in
            orNone(LabelSelector(cells.object.value(at: ["spec", "podSelector"])).text)
        },
    ]

    private static func shortened(_ all: [String], empty: String) -> String {
        if all.isEmpty { return empty }
        let shown = all.prefix(shownMax).joined(separator: ",")
        return all.count > shownMax ? "\(shown) + \(all.count - shownMax) more..." : shown
    }
}
