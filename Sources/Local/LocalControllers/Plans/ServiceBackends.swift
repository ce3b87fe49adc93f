// Which pods stand behind a Service, and on which ports: shared by Endpoints and EndpointSlices.

import MeshModel

/// One port as a backend serves it.
struct BackendPort: Hashable, Comparable {
    let name: String
    let number: Int
    let transport: String
    let appProtocol: String?

    static func < (a: BackendPort, b: BackendPort) -> Bool {
        (a.name, a.number, a.transport) < (b.name, b.number, b.transport)
    }

    /// As an `EndpointPort` of either kind of object.
    func json(alwaysNamed: Bool) -> JSONValue {
        var port: JSONValue = ["port": JSONValue(number), "protocol": .string(transport)]
        if alwaysNamed || !name.isEmpty { port["name"] = .string(name) }
        if let appProtocol { port["appProtocol"] = .string(appProtocol) }
        return port
    }
}

/// One pod behind a service.
struct Backend {
    let pod: JSONValue
    let address: String
    let ports: [BackendPort]
    /// The pod says that it is ready.
    let isServing: Bool
    let isTerminating: Bool

    /// The pod, as a reference.
    var reference: JSONValue {
        [
            "kind": "Pod", "name": .string(pod.name), "namespace": .string(pod.namespace),
            "uid": .string(pod.uid),
        ]
    }

    var nodeName: String? { pod.value(at: ["spec", "nodeName"])?.stringValue }

    /// The pod's own DNS name below `service`, for pods of stateful sets.
    func hostname(under service: String) -> String? {
        guard pod.value(at: ["spec", "subdomain"])?.stringValue == service else { return nil }
        return pod.value(at: ["spec", "hostname"])?.stringValue
    }
}

/// A service that selects pods, with its backends.
struct ServiceBackends {
    let service: JSONValue
    let backends: [Backend]

    /// `nil` for services whose endpoints somebody else writes.
    init?(_ service: JSONValue, _ state: ClusterState) {
        let pairs = JSONValue.strings(service.value(at: ["spec", "selector"]))
        guard !pairs.isEmpty, service.value(at: ["spec", "type"])?.stringValue != "ExternalName" else {
            return nil
        }
        self.service = service
        let selector = Selector(pairs: pairs)
        let ports = service.value(at: ["spec", "ports"])?.arrayValue ?? []
        backends = state.all(.pods, in: service.namespace).compactMap { pod in
            guard selector.matches(pod.labels), pod.phase != "Succeeded", pod.phase != "Failed",
                let address = pod.value(at: ["status", "podIP"])?.stringValue, !address.isEmpty
            else { return nil }
            return Backend(
                pod: pod, address: address, ports: ports.compactMap { Self.resolve($0, in: pod) }.sorted(),
                isServing: pod.isReadyPod, isTerminating: pod.isTerminating)
        }
    }

    var isHeadless: Bool { service.value(at: ["spec", "clusterIP"])?.stringValue == "None" }
    var publishesNotReady: Bool {
        service.value(at: ["spec", "publishNotReadyAddresses"])?.boolValue ?? false
    }

    /// Backends that serve equal ports together, by those ports.
    func byPorts(_ backends: [Backend]) -> [(ports: [BackendPort], backends: [Backend])] {
        Dictionary(grouping: backends, by: \.ports).sorted { $0.key.lexicographicallyPrecedes($1.key) }
            .map { (ports: $0.key, backends: $0.value.sorted { $0.address < $1.address }) }
    }

    /// The port of `pod` that a service port leads to; a name that no container has leads nowhere.
    private static func resolve(_ port: JSONValue, in pod: JSONValue) -> BackendPort? {
        let transport = port["protocol"]?.stringValue ?? "TCP"
        let target = port["targetPort"] ?? port["port"] ?? .null
        let number: Int?
        if let name = target.stringValue, Int(name) == nil {
            let containers =
                (pod.value(at: ["spec", "containers"])?.arrayValue ?? [])
                + (pod.value(at: ["spec", "initContainers"])?.arrayValue ?? []).filter {
                    $0["restartPolicy"]?.stringValue == "Always"
                }
            number =
                containers.flatMap { $0["ports"]?.arrayValue ?? [] }.first {
                    $0["name"]?.stringValue == name && $0["protocol"]?.stringValue ?? "TCP" == transport
                }?["containerPort"]?.intValue
        } else {
            let given = target.intValue ?? target.stringValue.flatMap { Int($0) }
            number = given == 0 ? port["port"]?.intValue : given
        }
        return number.map {
            BackendPort(
                name: port["name"]?.stringValue ?? "", number: $0, transport: transport,
                appProtocol: port["appProtocol"]?.stringValue)
        }
    }
}
