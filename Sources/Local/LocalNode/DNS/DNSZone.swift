package import MeshKubernetes

// The names of a cluster, after the Kubernetes "DNS-Based Service Discovery" specification: services,
// headless services, their ports (SRV), endpoints by host name or dashed address, and pods by dashed
// address. Everything else does not exist.

/// What the resolver knows at one moment.
package struct DNSZone: Sendable {
    static let ttlSeconds: UInt32 = 5

    private struct Endpoint: Sendable, Hashable {
        var address: [UInt8]
        var hostname: String
        var ports: [String: UInt16]
    }

    private struct Entry: Sendable {
        /// `nil` for a headless service.
        var address: [UInt8]?
        var alias: String?
        /// Key: `_port._proto`.
        var ports: [String: UInt16] = [:]
        var endpoints: [Endpoint] = []
    }

    private let domain: String
    private var entries: [ObjectKey: Entry] = [:]

    /// An empty cluster.
    package init(clusterDomain: String) { domain = clusterDomain }

    /// The names of `services`, with the endpoints of `slices`.
    package init(clusterDomain: String, services: [Service], slices: [EndpointSlice]) {
        self.init(clusterDomain: clusterDomain)
        for service in services {
            var entry = Entry()
            if service.spec?.type == "ExternalName" { entry.alias = service.spec?.externalName }
            if let address = service.spec?.clusterIP, address != "None" {
                entry.address = Self.octets(address)
            }
            for port in service.spec?.ports ?? [] {
                guard let name = port.name, !name.isEmpty else { continue }
                entry.ports["_\(name)._\((port.protocol ?? "TCP").lowercased())".lowercased()] = UInt16(
                    clamping: port.port)
            }
            entries[service.key] = entry
        }
        let unready = Set(services.filter { $0.spec?.publishNotReadyAddresses == true }.map(\.key))
        for slice in slices {
            guard let name = slice.metadata.labels?["kubernetes.io/service-name"] else { continue }
            let key = ObjectKey(namespace: slice.metadata.namespace ?? "", name: name)
            let endpoints = Self.endpoints(of: slice, includingUnready: unready.contains(key))
            entries[key]?.endpoints += endpoints
        }
    }

    private static func endpoints(of slice: EndpointSlice, includingUnready: Bool) -> [Endpoint] {
        var ports: [String: UInt16] = [:]
        for port in slice.ports ?? [] {
            guard let name = port.name, !name.isEmpty, let number = port.port else { continue }
            ports["_\(name)._\((port.protocol ?? "TCP").lowercased())".lowercased()] = UInt16(
                clamping: number)
        }
        return (slice.endpoints ?? []).flatMap { endpoint -> [Endpoint] in
            guard includingUnready || endpoint.conditions?.ready ?? true else { return [] }
            return endpoint.addresses.compactMap { text in
                octets(text).map {
                    let dashed = $0.map(String.init).joined(separator: "-")
                    return Endpoint(
                        address: $0, hostname: (endpoint.hostname ?? dashed).lowercased(), ports: ports)
                }
            }
        }
    }

    /// The answer to a question about `name` (lower case, no final dot).
    package func answer(name: String, type: UInt16) -> DNSAnswer {
        guard name == domain || name.hasSuffix("." + domain) else { return DNSAnswer(code: .nameError) }
        let unknown = DNSAnswer(code: .nameError, negativeZone: domain)
        let labels = name.dropLast(domain.count).split(separator: ".").map(String.init)
        guard let branch = labels.last else { return DNSAnswer(code: .noError, negativeZone: domain) }
        if branch == "pod" { return answer(pod: labels.dropLast(), type: type) ?? unknown }
        guard branch == "svc" else { return unknown }
        if labels.count < 3 { return DNSAnswer(code: .noError, negativeZone: domain) }  // `svc` and namespaces exist, empty.
        let key = ObjectKey(namespace: labels[labels.count - 2], name: labels[labels.count - 3])
        guard let entry = entries[key] else { return unknown }
        let host = "\(key.name).\(key.namespace).svc.\(domain)"
        return answer(entry, prefix: Array(labels.dropLast(3)), host: host, type: type) ?? unknown
    }

    /// `nil` when there is no such name under the service.
    private func answer(_ entry: Entry, prefix: [String], host: String, type: UInt16) -> DNSAnswer? {
        switch prefix.count {
        case 0:
            if let alias = entry.alias {
                return DNSAnswer(
                    code: .noError, answers: [DNSRecord(ttlSeconds: Self.ttlSeconds, content: .alias(alias))])
            }
            if let address = entry.address { return addresses([address], type: type) }
            // A headless service without endpoints exists, but CoreDNS and clients expect it not to.
            return entry.endpoints.isEmpty ? nil : addresses(entry.endpoints.map(\.address), type: type)
        case 1:
            let named = entry.endpoints.filter { $0.hostname == prefix[0] }
            return named.isEmpty ? nil : addresses(named.map(\.address), type: type)
        case 2: return services(entry, port: prefix.joined(separator: "."), host: host, type: type)
        default: return nil
        }
    }

    private func services(_ entry: Entry, port: String, host: String, type: UInt16) -> DNSAnswer? {
        let isHeadless = entry.address == nil
        guard entry.ports[port] != nil || entry.endpoints.contains(where: { $0.ports[port] != nil }) else {
            return nil
        }
        guard type == DNSType.srv || type == DNSType.any else {
            return DNSAnswer(code: .noError, negativeZone: domain)
        }
        var answer = DNSAnswer(code: .noError)
        let add = { (answer: inout DNSAnswer, target: String, number: UInt16, address: [UInt8]) in
            let content = DNSRecord.Content.service(priority: 0, weight: 100, port: number, target: target)
            answer.answers.append(DNSRecord(ttlSeconds: Self.ttlSeconds, content: content))
            answer.additional.append(
                DNSRecord(name: target, ttlSeconds: Self.ttlSeconds, content: .address(address)))
        }
        if let address = entry.address, let number = entry.ports[port] { add(&answer, host, number, address) }
        if isHeadless {
            for endpoint in entry.endpoints {
                guard let number = endpoint.ports[port] else { continue }
                add(&answer, "\(endpoint.hostname).\(host)", number, endpoint.address)
            }
        }
        return answer.answers.isEmpty ? nil : answer
    }

    private func answer(pod labels: ArraySlice<String>, type: UInt16) -> DNSAnswer? {
        guard labels.count == 2, let dashed = labels.first else {
            return labels.count < 2 ? addresses([], type: type) : nil
        }
        return Self.octets(dashed.replacing("-", with: ".")).map { addresses([$0], type: type) }
    }

    /// Addresses when asked for them; for any other type the name exists and has nothing.
    private func addresses(_ list: [[UInt8]], type: UInt16) -> DNSAnswer {
        guard type == DNSType.a || type == DNSType.any, !list.isEmpty else {
            return DNSAnswer(code: .noError, negativeZone: domain)
        }
        let records = list.map { DNSRecord(ttlSeconds: Self.ttlSeconds, content: .address($0)) }
        return DNSAnswer(code: .noError, answers: records)
    }

    /// The four bytes of an IPv4 address in dotted form.
    static func octets(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let octets = parts.compactMap { UInt8($0) }
        return parts.count == 4 && octets.count == 4 ? octets : nil
    }
}
