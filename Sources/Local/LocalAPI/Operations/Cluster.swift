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
    /// How aggregated APIs are spoken to.
    let frontProxy: FrontProxy
    /// The time of day. Wall clock, since objects carry it.
    let now: @Sendable () -> Date
    private let derived = Mutex(Derived())

    init(
        config: APIServerConfig, store: ObjectStore, caPEM: String, frontProxy: FrontProxy, logger: Logger,
        now: @escaping @Sendable () -> Date
    ) throws {
        guard let range = IPv4Range(cidr: config.serviceCIDR) else {
            throw StatusError.badRequest(
                "service CIDR \(config.serviceCIDR) is not an IPv4 range such as 10.96.0.0/16")
        }
        self.config = config
        self.store = store
        self.caPEM = caPEM
        self.frontProxy = frontProxy
        self.logger = logger
        self.now = now
        serviceRange = range
    }

    /// What requests ask for all the time, derived from stored objects.
    private struct Derived {
        var kinds = KindCatalogue.builtIn
        var policy = AccessPolicy()
        var apiServices = APIServiceTable()
        var webhooks = WebhookTable()
        /// The resourceVersion that each was read at, so that of two readers the later one wins.
        var versions: [DerivedPart: Int64] = [:]
    }

    /// The kinds served at this moment.
    var kinds: KindCatalogue { derived.withLock { $0.kinds } }
    /// The roles and bindings of this moment.
    var policy: AccessPolicy { derived.withLock { $0.policy } }
    /// The aggregated APIs of this moment.
    var apiServices: APIServiceTable { derived.withLock { $0.apiServices } }
    /// The admission webhooks of this moment.
    var webhooks: WebhookTable { derived.withLock { $0.webhooks } }

    /// Brings up to date what a change of objects of a kind bears upon. To be awaited before the change is
    /// answered, so that whoever made it finds it in force.
    func didChange(_ kind: KindDescription) async throws {
        guard let part = DerivedPart.allCases.first(where: { $0.resources.contains(kind.qualifiedName) }) else { return }
        try await refresh(part)
    }

    /// Reads the objects of one part again.
    func refresh(_ part: DerivedPart) async throws {
        let (objects, version) = try await store.read { reader in
            (
                try part.resources.flatMap { try reader.list($0, namespace: nil).map { try $0.object() } },
                try reader.resourceVersion()
            )
        }
        let change: (inout Derived) -> Void
        switch part {
        case .kinds:
            let kinds = KindCatalogue.builtIn.adding(definitions: objects)
            change = { $0.kinds = kinds }
        case .policy:
            let policy = AccessPolicy(objects: objects)
            change = { $0.policy = policy }
        case .apiServices:
            let table = APIServiceTable(objects: objects)
            change = { $0.apiServices = table }
        case .webhooks:
            let table = WebhookTable(objects: objects)
            change = { $0.webhooks = table }
        }
        derived.withLock { derived in
            guard version >= derived.versions[part] ?? 0 else { return }
            derived.versions[part] = version
            change(&derived)
        }
    }
}

/// What is derived from stored objects and kept in memory.
enum DerivedPart: CaseIterable {
    case kinds, policy, apiServices, webhooks

    /// Qualified names of the resources it is made of.
    var resources: [String] {
        switch self {
        case .kinds: [Resource.definitions]
        case .policy: AccessPolicy.resources
        case .apiServices: [Resource.apiServices]
        case .webhooks: WebhookTable.resources
        }
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
    static let apiServices = "apiservices.apiregistration.k8s.io"
    static let jobs = "jobs.batch"
    static let events = "events"
}

/// Options of a request that changes state.
struct WriteOptions: Sendable {
    /// Who asks; the server itself unless a request says otherwise.
    var user = UserIdentity(name: "system:apiserver", groups: [AccessPolicy.masters])
    var isDryRun = false
    var validation = FieldValidation.warn
    /// The name by which changes of fields are remembered, once an object has been applied to.
    var manager = "unknown"
    /// Whether the object brings its own record of its fields' owners: it comes from server-side apply.
    var bringsOwners = false
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
