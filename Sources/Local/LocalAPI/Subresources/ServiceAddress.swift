import MeshModel

/// Finds a pod behind a Service's port, as the API server needs it for programs that it calls itself.
struct ServiceAddress: Sendable {
    /// Why a Service leads nowhere, by the names that conditions of an APIService use.
    enum Problem: Error, Equatable {
        case serviceNotFound
        case portNotFound
        case endpointsNotFound
        case missingEndpoints
    }

    let cluster: Cluster

    /// A ready pod's address and port.
    ///
    /// - Parameter port: By name or number; empty takes the first.
    /// - Throws: `Problem`, or the store's errors.
    func resolve(namespace: String, name: String, port: String) async throws -> (host: String, port: Int) {
        let (service, endpoints) = try await cluster.store.read { reader in
            (
                try reader.object(Resource.services, namespace, name),
                try reader.object(Resource.endpoints, namespace, name)
            )
        }
        guard let service else { throw Problem.serviceNotFound }
        let ports = service.value(at: ["spec", "ports"])?.arrayValue ?? []
        let wanted =
            port.isEmpty
            ? ports.first
            : ports.first { $0["name"]?.stringValue == port || $0["port"]?.intValue == Int(port) }
        guard let wanted else { throw Problem.portNotFound }
        guard let endpoints else { throw Problem.endpointsNotFound }
        for subset in endpoints["subsets"]?.arrayValue ?? [] {
            let match = (subset["ports"]?.arrayValue ?? []).first {
                ($0["name"]?.stringValue ?? "") == (wanted["name"]?.stringValue ?? "")
            }
            let address = subset["addresses"]?.arrayValue?.randomElement()?["ip"]?.stringValue
            if let number = match?["port"]?.intValue, let address { return (address, number) }
        }
        throw Problem.missingEndpoints
    }
}
