package import MeshKubernetes

// ClusterIPs as netfilter rules: the text for iptables-restore, a pure function of services and endpoints.
// The shape is kube-proxy's: one chain a service port, one a backend, `statistic` for an even choice, a mark
// for packets of a backend to itself, which must be masqueraded or the answer would bypass the node. An
// address without ready endpoints gets no rule; the service range is local to the node, so the kernel
// refuses such connections at once.

/// Builds the nat table.
package struct ServiceRules: Sendable {
    /// Where one service port leads.
    private struct Port: Sendable, Hashable {
        var key: String
        var address: String
        var transport: String
        var port: Int
        var backends: [String]
    }

    /// The `kubernetes` Service, which must work before any object exists.
    package struct APIServer: Sendable, Hashable {
        package var serviceAddress: String
        package var nodeAddress: String
        package var port: Int
        package init(serviceAddress: String, nodeAddress: String, port: Int) {
            self.serviceAddress = serviceAddress
            self.nodeAddress = nodeAddress
            self.port = port
        }
    }

    static let hairpinMark = "0x4000/0x4000"

    /// The whole nat table.
    package static func text(apiServer: APIServer, services: [Service], slices: [EndpointSlice]) -> String {
        let ports = ports(services: services, slices: slices, excluding: apiServer.serviceAddress)
        var lines = ["*nat", ":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"]
        lines += [":POSTROUTING ACCEPT [0:0]", ":MESH-SERVICES - [0:0]"]
        for port in ports {
            lines.append(":\(serviceChain(port)) - [0:0]")
            lines += port.backends.map { ":\(backendChain(port, $0)) - [0:0]" }
        }
        lines += ["-A PREROUTING -j MESH-SERVICES", "-A OUTPUT -j MESH-SERVICES"]
        lines.append("-A POSTROUTING -m mark --mark \(hairpinMark) -j MASQUERADE")
        lines.append(
            "-A MESH-SERVICES -d \(apiServer.serviceAddress)/32 -p tcp -m tcp --dport 443 -j DNAT "
                + "--to-destination \(apiServer.nodeAddress):\(apiServer.port)")
        for port in ports { lines += rules(port) }
        return lines.joined(separator: "\n") + "\nCOMMIT\n"
    }

    private static func rules(_ port: Port) -> [String] {
        let chain = serviceChain(port)
        var lines = [
            "-A MESH-SERVICES -d \(port.address)/32 -p \(port.transport) -m \(port.transport) --dport \(port.port) -j \(chain)"
        ]
        for (index, backend) in port.backends.enumerated() {
            let target = backendChain(port, backend)
            let left = port.backends.count - index
            let choice = left == 1 ? "" : "-m statistic --mode random --probability \(probability(left)) "
            lines.append("-A \(chain) \(choice)-j \(target)")
            let address = backend.prefix { $0 != ":" }
            lines.append("-A \(target) -s \(address)/32 -j MARK --set-xmark \(hairpinMark)")
            lines.append(
                "-A \(target) -p \(port.transport) -m \(port.transport) -j DNAT --to-destination \(backend)")
        }
        return lines
    }

    /// One of `count`, with the five digits that iptables keeps anyway.
    private static func probability(_ count: Int) -> String {
        let scaled = (100_000 + count / 2) / count
        return "0." + String(repeating: "0", count: max(0, 5 - "\(scaled)".count)) + "\(scaled)"
    }

    private static func ports(services: [Service], slices: [EndpointSlice], excluding api: String) -> [Port] {
        let byService = Dictionary(grouping: slices) { slice in
            ObjectKey(
                namespace: slice.metadata.namespace ?? "",
                name: slice.metadata.labels?["kubernetes.io/service-name"] ?? "")
        }
        var ports: [Port] = []
        for service in services.sorted(by: { $0.key < $1.key }) {
            guard let address = service.spec?.clusterIP, DNSZone.octets(address) != nil, address != api else {
                continue
            }
            for port in service.spec?.ports ?? [] {
                let backends = backends(of: port, in: byService[service.key] ?? [])
                guard !backends.isEmpty else { continue }
                ports.append(
                    Port(
                        key: "\(service.key):\(port.name ?? ""):\(port.port)", address: address,
                        transport: (port.protocol ?? "TCP").lowercased(), port: port.port, backends: backends)
                )
            }
        }
        return ports
    }

    private static func backends(of port: ServicePort, in slices: [EndpointSlice]) -> [String] {
        var backends: Set<String> = []
        for slice in slices {
            for slicePort in slice.ports ?? [] where (slicePort.name ?? "") == (port.name ?? "") {
                guard let number = slicePort.port else { continue }
                for endpoint in slice.endpoints ?? [] where endpoint.conditions?.ready ?? true {
                    for address in endpoint.addresses where DNSZone.octets(address) != nil {
                        backends.insert("\(address):\(number)")
                    }
                }
            }
        }
        return backends.sorted()
    }

    private static func serviceChain(_ port: Port) -> String {
        "SVC-" + hash("\(port.key)/\(port.transport)")
    }

    private static func backendChain(_ port: Port, _ backend: String) -> String {
        "SEP-" + hash("\(port.key)/\(port.transport)/\(backend)")
    }

    /// FNV-1a, 64 bits, in hexadecimal: chain names hold 28 bytes at most, and must stay the same between
    /// runs.
    private static func hash(_ text: String) -> String {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
