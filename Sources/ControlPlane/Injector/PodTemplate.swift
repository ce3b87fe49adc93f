import MeshModel

/// Where pods are described inside the objects that make them.
enum PodTemplate {
    /// Kinds that make pods, with the path to the pod template.
    private static let paths: [String: [String]] = [
        "Pod": [],
        "Deployment": ["spec", "template"], "StatefulSet": ["spec", "template"],
        "DaemonSet": ["spec", "template"],
        "ReplicaSet": ["spec", "template"], "ReplicationController": ["spec", "template"],
        "Job": ["spec", "template"], "CronJob": ["spec", "jobTemplate", "spec", "template"],
    ]

    /// The path to the pod template of `kind`; `nil` for kinds that make no pods.
    static func path(ofKind kind: String) -> [String]? { paths[kind] }

    /// Containers of a pod template: `containers` or `initContainers`, empty when absent.
    static func containers(_ list: String, of template: JSONValue) -> [JSONValue] {
        template.value(at: ["spec", list])?.arrayValue ?? []
    }

    /// Whether a proxy, of ours or of a known other mesh, is there already.
    static func hasSidecar(_ template: JSONValue) -> Bool {
        let proxyImages = ["cr.l5d.io/linkerd/proxy:", "gcr.io/istio-release/proxyv2:"]
        let initImages = ["cr.l5d.io/linkerd/proxy-init:", "gcr.io/istio-release/proxy_init:"]
        let names: Set = ["linkerd-proxy", "istio-proxy", "linkerd-init", "istio-init"]
        let containers = containers("containers", of: template) + containers("initContainers", of: template)
        return containers.contains { container in
            let image = container["image"]?.stringValue ?? ""
            return names.contains(container["name"]?.stringValue ?? "")
                || (proxyImages + initImages).contains { image.hasPrefix($0) }
        }
    }

    /// Every container port, with its name when it has one.
    static func ports(of template: JSONValue) -> [(number: Int, name: String?, isUDP: Bool)] {
        let containers = containers("initContainers", of: template) + containers("containers", of: template)
        return containers.flatMap { $0["ports"]?.arrayValue ?? [] }.compactMap { port in
            port["containerPort"]?.intValue.map {
                (number: $0, name: port["name"]?.stringValue, isUDP: port["protocol"]?.stringValue == "UDP")
            }
        }
    }

    /// Ports that the pod's servers listen on: declared ones and those that HTTP probes ask, sorted as text.
    static func inboundPorts(of template: JSONValue) -> String {
        var ports = Set(ports(of: template).map { "\($0.number)" })
        for container in containers("containers", of: template) {
            for probe in ["livenessProbe", "readinessProbe"] {
                if let port = container.value(at: [probe, "httpGet", "port"])?.intValue {
                    ports.insert("\(port)")
                }
            }
        }
        return ports.sorted().joined(separator: ",")
    }

    /// Replaces port names in a port list by their numbers; ranges stay, unknown and malformed items go.
    static func resolvingNames(in list: String, of template: JSONValue) -> String {
        let named = Dictionary(
            ports(of: template).compactMap { port in port.name.map { ($0, "\(port.number)") } },
            uniquingKeysWith: { first, _ in first })
        return PortList.items(list).compactMap { PortList.isPortOrRange($0) ? $0 : named[$0] }
            .joined(separator: ",")
    }
}

/// Comma lists of ports and inclusive ranges, as annotations hold them.
enum PortList {
    /// Trimmed items; empty ones are dropped.
    static func items(_ list: String) -> [String] {
        list.split(separator: ",").map { item in
            String(item.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }.filter { !$0.isEmpty }
    }

    /// Whether `item` is a port, or two with a dash in ascending order.
    static func isPortOrRange(_ item: String) -> Bool {
        let bounds = item.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard (1...2).contains(bounds.count), let first = bounds[0], let last = bounds[bounds.count - 1]
        else {
            return false
        }
        return first > 0 && first <= last
    }

    /// The list without items that are neither ports nor ranges.
    static func valid(_ list: String) -> [String] { items(list).filter(isPortOrRange) }
}
