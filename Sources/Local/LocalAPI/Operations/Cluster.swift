import Foundation
import Logging
import MeshModel
import Synchronization

/// What every operation needs: the state, the kinds now served, settings and the clock.
final class Cluster: Sendable {
    let config: APIServerConfig
    let store: ObjectStore
    let logger: Logger
    let serviceRange: IPv4Range
    /// The authority's certificate, which every namespace gets as `kube-root-ca.crt`.
    let caPEM: String
    /// The time of day. Wall clock, since objects carry it.
    let now: @Sendable () -> Date
    private let catalogue: Mutex<KindCatalogue>

    init(
        config: APIServerConfig, store: ObjectStore, caPEM: String, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) throws {
        guard let range = IPv4Range(cidr: config.serviceCIDR) else {
            throw StatusError.badRequest(
                "service CIDR \(config.serviceCIDR) is not an IPv4 range such as 10.96.0.0/16")
        }
        self.config = config
        self.store = store
        self.caPEM = caPEM
        self.logger = logger
        self.now = now
        serviceRange = range
        catalogue = Mutex(.builtIn)
    }

    /// The kinds served at this moment.
    var kinds: KindCatalogue { catalogue.withLock { $0 } }

    /// Reads the stored CustomResourceDefinitions again.
    func refreshKinds() async throws {
        let definitions = try await store.read { reader in
            try reader.list(Resource.definitions, namespace: nil).map { try $0.object() }
        }
        let updated = KindCatalogue.builtIn.adding(definitions: definitions)
        catalogue.withLock { $0 = updated }
    }
}

/// Qualified names of resources that operations know by name.
enum Resource {
    static let pods = "pods"
    static let services = "services"
    static let endpoints = "endpoints"
    static let namespaces = "namespaces"
    static let configMaps = "configmaps"
    static let secrets = "secrets"
    static let serviceAccounts = "serviceaccounts"
    static let definitions = "customresourcedefinitions.apiextensions.k8s.io"
    static let jobs = "jobs.batch"
    static let events = "events"
}

/// Options of a request that changes state.
struct WriteOptions: Sendable {
    var isDryRun = false
    var validation = FieldValidation.warn
}

/// What a change of state answers.
struct WriteOutcome: Sendable {
    var code = 200
    var object: JSONValue
    /// Texts for `Warning` headers.
    var warnings: [String] = []
}

extension JSONValue {
    var name: String { value(at: ["metadata", "name"])?.stringValue ?? "" }
    var namespace: String { value(at: ["metadata", "namespace"])?.stringValue ?? "" }
    var uid: String { value(at: ["metadata", "uid"])?.stringValue ?? "" }
    var resourceVersion: String { value(at: ["metadata", "resourceVersion"])?.stringValue ?? "" }
    var isTerminating: Bool { value(at: ["metadata", "deletionTimestamp"]) != nil }
    var finalizers: [String] {
        (value(at: ["metadata", "finalizers"])?.arrayValue ?? []).compactMap(\.stringValue)
    }
    var ownerReferences: [JSONValue] { value(at: ["metadata", "ownerReferences"])?.arrayValue ?? [] }

    /// The value under a dotted path.
    func value(dotted path: String) -> JSONValue? { value(at: path.split(separator: ".").map(String.init)) }
}
