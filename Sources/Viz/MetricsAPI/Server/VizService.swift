package import GRPCCore
package import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshModel
package import MeshRollup
package import RollupStore
import SwiftProtobuf

/// What the services answer from: the cluster, the store, and the scraper's notes.
package struct VizSources: Sendable {
    package let store: RollupStore
    package let ingestor: Ingestor
    /// The cluster now.
    package let index: @Sendable () -> ClusterIndex
    /// Whether the cluster was listed once.
    package let isSynced: @Sendable () -> Bool
    package let now: @Sendable () -> UnixTime
    /// Namespaces that `ListPods` leaves out.
    package let ignoredNamespaces: Set<String>

    package init(
        store: RollupStore, ingestor: Ingestor, index: @escaping @Sendable () -> ClusterIndex,
        isSynced: @escaping @Sendable () -> Bool, now: @escaping @Sendable () -> UnixTime,
        ignoredNamespaces: Set<String> = ["kube-system"]
    ) {
        self.store = store
        self.ingestor = ingestor
        self.index = index
        self.isSynced = isSynced
        self.now = now
        self.ignoredNamespaces = ignoredNamespaces
    }
}

/// The gRPC service `linkerd2.viz.Api`, as Linkerd's CLI and dashboard call it.
///
/// A question at fault is answered with OK and the error arm set; only a store that cannot be read is a status.
package struct VizService: Linkerd2_Viz_Api.SimpleServiceProtocol {
    let sources: VizSources

    package init(_ sources: VizSources) { self.sources = sources }

    package func statSummary(
        request: Linkerd2_Viz_StatSummaryRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_StatSummaryResponse {
        let summarizer = StatSummarizer(index: sources.index(), store: sources.store, now: sources.now())
        var response = Linkerd2_Viz_StatSummaryResponse()
        do {
            response.ok.statTables = try await summarizer.tables(request)
        } catch {
            response.error = try Self.answer(error, about: request.selector.resource)
        }
        return response
    }

    package func edges(
        request: Linkerd2_Viz_EdgesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_EdgesResponse {
        let lister = EdgeLister(index: sources.index(), store: sources.store, now: sources.now())
        var response = Linkerd2_Viz_EdgesResponse()
        do {
            response.ok.edges = try await lister.edges(request)
        } catch {
            response.error = try Self.answer(error, about: request.selector.resource)
        }
        return response
    }

    /// There are no multicluster gateways before the service mirror: an empty table is the truth.
    package func gateways(
        request: Linkerd2_Viz_GatewaysRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_GatewaysResponse {
        var response = Linkerd2_Viz_GatewaysResponse()
        response.ok.gatewaysTable = Linkerd2_Viz_GatewaysTable()
        return response
    }

    /// Routes come with ServiceProfiles; without any, Linkerd answers the same.
    package func topRoutes(
        request: Linkerd2_Viz_TopRoutesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_TopRoutesResponse {
        var response = Linkerd2_Viz_TopRoutesResponse()
        response.error.resource = request.selector.resource
        response.error.error =
            request.hasSelector && request.selector.hasResource
            ? "No Service Profiles found for selected resources"
            : "TopRoutes request missing Selector Resource"
        return response
    }

    package func authz(
        request: Linkerd2_Viz_AuthzRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_AuthzResponse {
        throw RPCError(
            code: .unimplemented, message: "authorization statistics per policy object are not collected yet")
    }

    package func listPods(
        request: Linkerd2_Viz_ListPodsRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_ListPodsResponse {
        var response = Linkerd2_Viz_ListPodsResponse()
        response.pods = try await PodLister(sources).pods(request)
        return response
    }

    package func listServices(
        request: Linkerd2_Viz_ListServicesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_ListServicesResponse {
        let all = try Self.mapped { () throws(StatError) in try LabelQuery("") }
        let objects = sources.index().objects(.service, namespace: request.namespace, name: "", matching: all)
        var response = Linkerd2_Viz_ListServicesResponse()
        response.services = objects.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }.map {
            object in
            var service = Linkerd2_Viz_Service()
            service.name = object.name
            service.namespace = object.namespace
            return service
        }
        return response
    }

    package func selfCheck(
        request: Linkerd2_Viz_SelfCheckRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_SelfCheckResponse {
        var kubernetes = Linkerd2_Viz_CheckResult()
        kubernetes.subsystemName = "kubernetes"
        kubernetes.checkDescription = "linkerd viz can talk to Kubernetes"
        if !sources.isSynced() {
            kubernetes.status = .error
            kubernetes.friendlyMessageToUser =
                "Error calling the Kubernetes API: pods have not been listed yet"
        }
        // Clients ask for a result by this name; the store stands where Prometheus stood.
        var store = Linkerd2_Viz_CheckResult()
        store.subsystemName = "prometheus"
        store.checkDescription = "linkerd viz can talk to Prometheus"
        let status = await sources.store.currentStatus()
        if !status.isWritable {
            store.status = .error
            store.friendlyMessageToUser =
                "Error calling Prometheus from the control plane: the built-in rollup store cannot be written"
        }
        var response = Linkerd2_Viz_SelfCheckResponse()
        response.results = [kubernetes, store]
        return response
    }

    /// A question at fault becomes the error arm; anything else is thrown on as a gRPC status.
    static func answer(_ error: any Error, about resource: Linkerd2_Viz_Resource) throws
        -> Linkerd2_Viz_ResourceError
    {
        guard let error = error as? StatError else {
            throw RPCError(code: .unavailable, message: "the rollup store cannot be read: \(error)")
        }
        var answer = Linkerd2_Viz_ResourceError()
        answer.resource = resource
        answer.error = error.message
        return answer
    }

    /// Turns a question's error into a gRPC status, for RPCs without an error arm.
    static func mapped<Value>(_ body: () throws(StatError) -> Value) throws(RPCError) -> Value {
        do { return try body() } catch { throw RPCError(code: .invalidArgument, message: error.message) }
    }
}
