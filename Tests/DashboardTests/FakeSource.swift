import Dashboard
import MeshAPI
import SwiftProtobuf
import Synchronization

/// The demo application, answered from memory; every question is remembered.
final class FakeSource: StatSource {
    private struct State {
        var failure: DashboardError?
        var questions: [String] = []
        var statRequests: [Linkerd2_Viz_StatSummaryRequest] = []
    }

    private let state = Mutex(State())

    /// What every call throws from now on; `nil` answers again.
    func fail(with error: DashboardError?) { state.withLock { $0.failure = error } }
    /// Names of the calls made so far.
    var questions: [String] { state.withLock { $0.questions } }
    /// The last request for statistics.
    var lastStatRequest: Linkerd2_Viz_StatSummaryRequest? { state.withLock { $0.statRequests.last } }

    private func ask(_ name: String) throws {
        try state.withLock {
            $0.questions.append(name)
            if let failure = $0.failure { throw failure }
        }
    }

    func statSummary(_ request: Linkerd2_Viz_StatSummaryRequest) async throws
        -> Linkerd2_Viz_StatSummaryResponse
    {
        state.withLock { $0.statRequests.append(request) }
        try ask("statSummary")
        let resource = request.selector.resource
        if resource.type == "job" {
            return .with { $0.error.error = "jobs are on strike" }
        }
        var rows = [Self.row(resource.type, "web", stats: Self.stats(success: 93, failure: 7))]
        if resource.name.isEmpty { rows.append(Self.row(resource.type, "vote-bot", stats: nil)) }
        return .with { $0.ok.statTables = [.with { $0.podGroup.rows = rows }] }
    }

    func top(_ request: Linkerd2_Viz_History_TopRequest) async throws -> Linkerd2_Viz_History_TopResponse {
        try ask("top \(request.resource.name) \(request.toResource.name) \(request.window) \(request.atMs) \(request.path)")
        return .with {
            ($0.startMs, $0.endMs) = (1_000, 61_000)
            $0.rows = [
                .with {
                    $0.src = Self.resource("deployment", "web")
                    $0.dst = Self.resource("deployment", "voting")
                    ($0.method, $0.path) = ("POST", "/emojivoto.v1.VotingService/VoteDoughnut")
                    $0.stats = Self.stats(success: 1, failure: 3)
                    ($0.estimatedCount, $0.bestUs, $0.worstUs, $0.lastUs) = (40, 500, 2_500, 1_000)
                },
                .with { $0.path = "other" },
            ]
        }
    }

    func exemplars(_ request: Linkerd2_Viz_History_ExemplarsRequest) async throws -> Linkerd2_Viz_History_ExemplarsResponse {
        try ask("exemplars \(request.resource.name) \(request.limit)")
        let exemplar = Linkerd2_Viz_History_Exemplar.with {
            ($0.atMs, $0.path, $0.httpStatus, $0.grpcStatus) = (5_000, "/vote", 200, 2)
            ($0.latencyUs, $0.isFailure, $0.traceID) = (1_500, true, "463ac35c9f6413ad")
        }
        return .with { ($0.failed, $0.slowest) = ([exemplar], [exemplar, .with { $0.path = "/list" }]) }
    }

    func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> Linkerd2_Viz_EdgesResponse {
        try ask("edges")
        return .with {
            $0.ok.edges = [
                .with {
                    $0.src = Self.resource("deployment", "vote-bot")
                    $0.dst = Self.resource("deployment", "web")
                    $0.clientID = "default.emojivoto"
                    $0.serverID = "web.emojivoto"
                }
            ]
        }
    }

    func listPods(_ request: Linkerd2_Viz_ListPodsRequest) async throws -> Linkerd2_Viz_ListPodsResponse {
        try ask("listPods")
        return .with {
            $0.pods = [
                .with {
                    $0.name = "emojivoto/web"
                    $0.podIp = "10.244.0.7"
                    $0.deployment = "emojivoto/web"
                    $0.status = "Running"
                    $0.added = true
                    $0.uptime = .with {
                        $0.seconds = 61
                        $0.nanos = 500_000_000
                    }
                }
            ]
        }
    }

    func listServices(
        _ request: Linkerd2_Viz_ListServicesRequest
    ) async throws -> Linkerd2_Viz_ListServicesResponse {
        try ask("listServices")
        return .with {
            $0.services = [
                .with {
                    $0.name = "web-svc"
                    $0.namespace = request.namespace
                }
            ]
        }
    }

    func selfCheck() async throws -> Linkerd2_Viz_SelfCheckResponse {
        try ask("selfCheck")
        return .with {
            $0.results = [
                .with {
                    $0.subsystemName = "kubernetes"
                    $0.checkDescription = "linkerd viz can talk to Kubernetes"
                },
                .with {
                    $0.subsystemName = "store"
                    $0.checkDescription = "history is kept"
                    $0.status = .error
                    $0.friendlyMessageToUser = "disk full"
                },
            ]
        }
    }

    func series(
        _ request: Linkerd2_Viz_History_SeriesRequest
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        try ask("series")
        return .with {
            $0.stepMs = 10_000
            $0.buckets = [
                .with {
                    $0.startMs = 1_000
                    $0.successCount = 15
                    $0.failureCount = 5
                    $0.latencyMsP50 = 3
                    $0.hasData_p = true
                },
                .with { $0.startMs = 11_000 },
                .with {
                    $0.startMs = 21_000
                    $0.hasData_p = true
                },
            ]
        }
    }

    func topology(
        _ request: Linkerd2_Viz_History_TopologyRequest
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        try ask("topology")
        return .with {
            $0.nodes = ["web", "vote-bot", "voting"].map { name in
                .with {
                    $0.resource = Self.resource("deployment", name)
                    $0.meshed = true
                    if name != "vote-bot" { $0.stats = Self.stats(success: 93, failure: 7) }
                }
            }
            $0.edges = [Self.edge("web", "voting"), Self.edge("vote-bot", "web")]
        }
    }

    func workloads(
        _ request: Linkerd2_Viz_History_WorkloadsRequest
    ) async throws -> Linkerd2_Viz_History_WorkloadsResponse {
        try ask("workloads")
        return .with {
            $0.workloads = [
                .with {
                    $0.resource = Self.resource("deployment", "web")
                    $0.stats = Self.stats(success: 93, failure: 7)
                    $0.meshedPodCount = 1
                    $0.runningPodCount = 1
                }
            ]
        }
    }

    private static func resource(_ kind: String, _ name: String) -> Linkerd2_Viz_Resource {
        .with {
            $0.namespace = "emojivoto"
            $0.type = kind
            $0.name = name
        }
    }

    private static func stats(success: UInt64, failure: UInt64) -> Linkerd2_Viz_BasicStats {
        .with {
            $0.successCount = success
            $0.failureCount = failure
            $0.latencyMsP50 = 3
            $0.latencyMsP95 = 9
            $0.latencyMsP99 = 24
        }
    }

    private static func row(
        _ kind: String, _ name: String, stats: Linkerd2_Viz_BasicStats?
    ) -> Linkerd2_Viz_StatTable.PodGroup.Row {
        .with {
            $0.resource = resource(kind, name)
            $0.timeWindow = "1m"
            $0.meshedPodCount = 1
            $0.runningPodCount = 1
            if let stats { $0.stats = stats }
        }
    }

    private static func edge(_ src: String, _ dst: String) -> Linkerd2_Viz_History_TopologyResponse.Edge {
        .with {
            $0.src = resource("deployment", src)
            $0.dst = resource("deployment", dst)
            $0.stats = stats(success: 93, failure: 7)
            $0.tls = true
            $0.protocol = "grpc"
        }
    }
}
