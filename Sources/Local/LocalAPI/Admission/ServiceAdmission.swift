import MeshModel

/// Hands out ClusterIPs and node ports.
struct ServiceAdmission {
    let admission: Admission

    /// Ports that Services of type NodePort and LoadBalancer get.
    static let nodePorts = 30_000...32_767
    /// The first addresses are left for Services that ask for one by number (`kubernetes`, DNS).
    private static let reservedAddresses: UInt32 = 32

    func admit(_ service: JSONValue, current: JSONValue?, kind: KindDescription) throws -> JSONValue {
        var spec = service["spec"] ?? [:]
        let others = try admission.writer.list(Resource.services, namespace: nil)
            .filter { $0.address.name != service.name || $0.address.namespace != service.namespace }
            .map { try $0.object() }
        let type = spec["type"]?.stringValue ?? "ClusterIP"
        if type == "ExternalName" {
            for field in ["clusterIP", "clusterIPs", "internalTrafficPolicy"] { spec[field] = nil }
        } else {
            try assignAddress(&spec, service: service, current: current, others: others, kind: kind)
            let fixed: [(String, JSONValue)] = [
                ("internalTrafficPolicy", "Cluster"), ("ipFamilies", ["IPv4"]),
                ("ipFamilyPolicy", "SingleStack"),
            ]
            for (field, value) in fixed where spec[field] == nil { spec[field] = value }
        }
        if type == "NodePort" || type == "LoadBalancer" {
            if spec["externalTrafficPolicy"] == nil { spec["externalTrafficPolicy"] = "Cluster" }
            try assignNodePorts(&spec, service: service, current: current, others: others, kind: kind)
        }
        var service = service
        service["spec"] = spec
        if current == nil { service["status"] = ["loadBalancer": [:]] }
        return service
    }

    private func assignAddress(
        _ spec: inout JSONValue, service: JSONValue, current: JSONValue?, others: [JSONValue],
        kind: KindDescription
    ) throws {
        var address = spec["clusterIP"]?.stringValue ?? ""
        if address.isEmpty { address = current?.value(at: ["spec", "clusterIP"])?.stringValue ?? "" }
        let taken = Set(others.compactMap { $0.value(at: ["spec", "clusterIP"])?.stringValue })
        let range = admission.cluster.serviceRange
        if address.isEmpty {
            let free = (Self.reservedAddresses..<max(Self.reservedAddresses, range.count - 1)).lazy
                .map(range.address).first { !taken.contains($0) }
            guard let free else {
                throw StatusError.internalError("no free address is left in the service range")
            }
            address = free
        } else if address != "None" {
            if !range.contains(address) {
                let why = "provided IP is not in the valid range \(admission.cluster.config.serviceCIDR)"
                throw StatusError.invalid(kind, service.name, [.invalid("spec.clusterIPs", address, why)])
            }
            if taken.contains(address) {
                let why = "failed to allocate IP \(address): provided IP is already allocated"
                throw StatusError.invalid(kind, service.name, [.invalid("spec.clusterIPs", address, why)])
            }
        }
        spec["clusterIP"] = .string(address)
        spec["clusterIPs"] = [.string(address)]
    }

    private func assignNodePorts(
        _ spec: inout JSONValue, service: JSONValue, current: JSONValue?, others: [JSONValue],
        kind: KindDescription
    ) throws {
        var taken = Set(
            others.flatMap { $0.value(at: ["spec", "ports"])?.arrayValue ?? [] }.compactMap {
                $0["nodePort"]?.intValue
            })
        let before = current?.value(at: ["spec", "ports"])?.arrayValue ?? []
        var ports = spec["ports"]?.arrayValue ?? []
        for index in ports.indices {
            let kept = before.first {
                $0["port"] == ports[index]["port"] && $0["protocol"] == ports[index]["protocol"]
            }
            let wanted = ports[index]["nodePort"]?.intValue ?? 0
            if wanted != 0 {
                guard Self.nodePorts.contains(wanted), !taken.contains(wanted) else {
                    let why =
                        taken.contains(wanted)
                        ? "provided port is already allocated" : "not in the valid range"
                    throw StatusError.invalid(
                        kind, service.name, [.invalid("spec.ports[\(index)].nodePort", "\(wanted)", why)])
                }
            } else if let port = kept?["nodePort"]?.intValue
                ?? Self.nodePorts.first(where: { !taken.contains($0) })
            {
                ports[index]["nodePort"] = .int(Int64(port))
            }
            if let port = ports[index]["nodePort"]?.intValue { taken.insert(port) }
        }
        spec["ports"] = .array(ports)
    }
}
