import MeshAPI
import MeshKubernetes
import MeshModel
import MeshRollup
import MetricsAPI
import RollupStore
import Testing

private func request(
    _ type: String, _ name: String = "", namespace: String = "emojivoto", window: String = "1m",
    selector: String = "", _ change: (inout Linkerd2_Viz_StatSummaryRequest) -> Void = { _ in }
) -> Linkerd2_Viz_StatSummaryRequest {
    var request = Linkerd2_Viz_StatSummaryRequest()
    request.selector.resource.type = type
    request.selector.resource.name = name
    request.selector.resource.namespace = namespace
    request.selector.labelSelector = selector
    request.timeWindow = window
    request.tcpStats = true
    change(&request)
    return request
}

private func resource(_ type: String, _ name: String = "", namespace: String = "emojivoto")
    -> Linkerd2_Viz_Resource
{
    var resource = Linkerd2_Viz_Resource()
    resource.type = type
    resource.name = name
    resource.namespace = namespace
    return resource
}

@Suite("StatSummary", .timeLimit(.minutes(1)))
struct StatSummaryTests {
    private let now = Fixtures.start.advanced(by: 63_000)

    private func seeded() async throws -> StoreBox {
        let box = try StoreBox()
        await box.fill([
            (Fixtures.object("web", pod: "web-1"), Fixtures.rollup(9, 1, open: 2)),
            (Fixtures.object("voting", pod: "voting-1"), Fixtures.rollup(5, open: 1)),
            (Fixtures.object("voting", pod: "voting-gone"), Fixtures.rollup(1, open: 0)),
            (Fixtures.object("web", pod: "web-1", .outbound), Fixtures.rollup(6, open: 4)),
            (Fixtures.object("vote-bot", pod: "vote-bot-1", .outbound), Fixtures.rollup(9, 1)),
            (Fixtures.edge("web", "web-1", "voting", "voting-1"), Fixtures.rollup(5, bin: 5, open: 1)),
            (Fixtures.edge("web", "web-1", "emoji", "emoji-1"), Fixtures.rollup(1)),
            (
                Fixtures.edge("vote-bot", "vote-bot-1", "web", "web-1", tls: "no_identity"),
                Fixtures.rollup(9, 1, open: 1)
            ),
        ])
        return box
    }

    private func rows(_ request: Linkerd2_Viz_StatSummaryRequest, index: ClusterIndex = Fixtures.index())
        async throws -> [String: Linkerd2_Viz_StatTable.PodGroup.Row]
    {
        let box = try await seeded()
        let tables = try await StatSummarizer(index: index, backend: box.backend(index), now: now).tables(request)
        var rows: [String: Linkerd2_Viz_StatTable.PodGroup.Row] = [:]
        for table in tables {
            for row in table.podGroup.rows { rows["\(row.resource.type)/\(row.resource.name)"] = row }
        }
        return rows
    }

    @Test("Deployments: every one, with inbound traffic, pods and connections")
    func deployments() async throws {
        let rows = try await rows(request("deploy"))
        #expect(rows.keys.sorted() == ["deployment/vote-bot", "deployment/voting", "deployment/web"])
        let web = try #require(rows["deployment/web"])
        #expect(web.resource.namespace == "emojivoto")
        #expect(web.timeWindow == "1m")
        #expect(web.stats.successCount == 54)
        #expect(web.stats.failureCount == 6)
        #expect(web.stats.latencyMsP50 == 5, "half way from 4 ms to 5 ms, rounded")
        #expect(web.tcpStats.openConnections == 2)
        #expect(web.tcpStats.readBytesTotal == 600)
        #expect(web.tcpStats.writeBytesTotal == 6_000)
        let voting = try #require(rows["deployment/voting"])
        #expect(voting.stats.successCount == 36, "a pod that is gone still counts for its deployment")
        #expect(voting.meshedPodCount == 1)
        #expect(voting.runningPodCount == 2)
        #expect(voting.failedPodCount == 1)
        let bot = try #require(rows["deployment/vote-bot"])
        #expect(!bot.hasStats, "it receives nothing")
        #expect(bot.meshedPodCount == 1)
    }

    @Test("Pods, by name and by label, with status")
    func pods() async throws {
        let all = try await rows(request("po"))
        #expect(all["pod/voting-1"]?.stats.successCount == 30)
        #expect(all["pod/voting-old"] == nil, "finished pods are no rows")
        #expect(all["pod/voting-2"]?.status == "Pending")
        #expect(try await rows(request("pod", "web-1")).keys.sorted() == ["pod/web-1"])
        #expect(try await rows(request("pod", selector: "app=voting-svc")).keys.sorted() == ["pod/voting-1"])
        #expect(try await rows(request("pod", selector: "app in (web-svc,x)")).keys.sorted() == ["pod/web-1"])
    }

    @Test("Namespaces sum their workloads")
    func namespaces() async throws {
        let rows = try await rows(request("ns", namespace: ""))
        #expect(rows["namespace/emojivoto"]?.stats.successCount == 90)
        #expect(rows["namespace/emojivoto"]?.meshedPodCount == 3)
        #expect(rows["namespace/other"]?.hasStats == false)
        #expect(rows["namespace/other"]?.runningPodCount == 1)
    }

    @Test("Services are known by their clients, and idle ones are no rows")
    func services() async throws {
        let rows = try await rows(request("svc"))
        #expect(rows.keys.sorted() == ["service/emoji-svc", "service/voting-svc", "service/web-svc"])
        #expect(rows["service/voting-svc"]?.stats.successCount == 30)
        let fromBot = try await self.rows(request("svc") { $0.fromResource = resource("deploy", "vote-bot") })
        #expect(fromBot.keys.sorted() == ["service/web-svc"])
    }

    @Test("--to counts what the selected objects send to the target")
    func to() async throws {
        let named = try await rows(request("deploy") { $0.toResource = resource("deploy", "voting") })
        #expect(named.keys.sorted() == ["deployment/web"])
        #expect(named["deployment/web"]?.stats.successCount == 30)
        #expect(named["deployment/web"]?.stats.latencyMsP50 == 8, "from the client's histogram: (5, 10]")
        #expect(named["deployment/web"]?.meshedPodCount == 1)
        let service = try await rows(request("deploy") { $0.toResource = resource("svc", "voting-svc") })
        #expect(service["deployment/web"]?.stats.successCount == 30)
        let typeOnly = try await rows(request("deploy") { $0.toResource = resource("deploy") })
        #expect(
            typeOnly["deployment/web"]?.stats.successCount == 36, "a type alone takes all outbound traffic")
    }

    @Test("--from counts what the target sends to the selected objects")
    func from() async throws {
        let rows = try await rows(request("deploy") { $0.fromResource = resource("deploy", "web") })
        #expect(rows.keys.sorted() == ["deployment/emoji", "deployment/voting"])
        #expect(rows["deployment/voting"]?.stats.successCount == 30)
        let pods = try await self.rows(request("pod") { $0.fromResource = resource("pod", "web-1") })
        #expect(pods["pod/voting-1"]?.stats.successCount == 30)
        let none = try await self.rows(
            request("deploy") { $0.fromResource = resource("deploy", "web", namespace: "x") })
        #expect(none.isEmpty)
    }

    @Test("Replicasets of a deployment have the traffic of their pods")
    func replicaSets() async throws {
        let rows = try await rows(request("rs"))
        #expect(rows["replicaset/web-abc"]?.stats.successCount == 54)
        #expect(rows["replicaset/voting-abc"]?.stats.successCount == 30)
    }

    @Test("`all` has a table per kind, without namespaces")
    func all() async throws {
        let box = try await seeded()
        let tables = try await StatSummarizer(index: Fixtures.index(), backend: box.backend(), now: now).tables(
            request("all"))
        #expect(tables.count == ResourceKind.membersOfAll.count)
        let kinds = Set(tables.flatMap { $0.podGroup.rows.map(\.resource.type) })
        #expect(kinds.isSuperset(of: ["deployment", "pod", "service", "replicaset"]))
        #expect(!kinds.contains("namespace"))
    }

    @Test("A window that cuts a bucket is brought to its length")
    func cutWindow() async throws {
        let rows = try await rows(request("deploy", window: "15s"))
        #expect(rows["deployment/web"]?.stats.successCount == 14, "18 in 20 s are 13.5 in 15 s")
        #expect(
            try await self.rows(request("deploy", window: "30s"))["deployment/web"]?.stats.successCount == 27)
    }

    @Test("skip_stats asks for pods alone, and TCP only when asked for")
    func flags() async throws {
        let skipped = try await rows(request("deploy") { $0.skipStats = true })
        #expect(skipped["deployment/web"]?.hasStats == false)
        #expect(skipped["deployment/web"]?.meshedPodCount == 1)
        let noTCP = try await rows(request("deploy") { $0.tcpStats = false })
        #expect(noTCP["deployment/web"]?.hasTcpStats == false)
    }

    @Test("Containers in trouble are reported by pod")
    func podErrors() async throws {
        var pod = Fixtures.pod("emojivoto", "web-2", owner: ("ReplicaSet", "web-abc"))
        pod.status?.containerStatuses = [
            ContainerStatus {
                $0.name = "web"
                $0.image = "img"
                $0.ready = false
                $0.state = ContainerState(
                    waiting: ContainerStateWaiting(reason: "ImagePullBackOff", message: "no such image"))
            }
        ]
        let rows = try await rows(request("deploy", "web"), index: Fixtures.index(pods: [pod]))
        let errors = try #require(rows["deployment/web"]?.errorsByPod["web-2"]?.errors)
        #expect(errors.map(\.container.reason) == ["ImagePullBackOff"])
        #expect(errors.map(\.container.message) == ["no such image"])
        let pods = try await self.rows(request("pod", "web-2"), index: Fixtures.index(pods: [pod]))
        #expect(pods["pod/web-2"]?.status == "ImagePullBackOff")
    }

    @Test(
        "Questions at fault are told so, in Linkerd's words",
        arguments: [
            (Linkerd2_Viz_StatSummaryRequest(), "missing Selector Resource"),
            (request("nonsense"), "cannot find Kubernetes canonical name from friendly name [nonsense]"),
            (request("deploy", window: "soon"), "invalid time window"),
            (request("deploy", window: "5s"), "invalid time window"),
            (request("deploy", selector: "a b c"), "unable to parse requirement"),
            (request("deploy", selector: "env in ((a),b)"), "unable to parse requirement: \"env in ((a),b)\""),
            (request("deploy", selector: "app=web shop"), "unable to parse requirement"),
            (
                request("deploy") { $0.fromResource = resource("svc") },
                "service is not supported as a target on 'from' queries"
            ),
            (
                request("deploy") { $0.toResource = resource("all") },
                "resource type 'all' is not supported as a filter"
            ),
            (
                request("deploy") { $0.toResource = resource("server") },
                "'to' queries are not supported with policy resources"
            ),
            (
                request("server") { $0.fromResource = resource("deploy") },
                "'from' queries are not supported with policy resources"
            ),
        ])
    func validation(request: Linkerd2_Viz_StatSummaryRequest, message: String) async throws {
        let error = #expect(throws: StatError.self) { try StatQuestion(request, now: now) }
        #expect(error?.message.contains(message) == true, "\(String(describing: error?.message))")
    }
}

@Suite("Edges, topology and series", .timeLimit(.minutes(1)))
struct EdgesTests {
    private let now = Fixtures.start.advanced(by: 63_000)

    private func seeded() async throws -> StoreBox {
        let box = try StoreBox()
        await box.fill([
            (Fixtures.object("web", pod: "web-1"), Fixtures.rollup(9, 1, open: 2)),
            (Fixtures.object("web", pod: "web-1", .outbound), Fixtures.rollup(5)),
            (Fixtures.edge("web", "web-1", "voting", "voting-1"), Fixtures.rollup(5, open: 1)),
            (Fixtures.edge("web", "web-1", "emoji", "emoji-1"), Fixtures.rollup(0)),
            (
                Fixtures.edge("vote-bot", "vote-bot-1", "web", "web-1", tls: "no_identity"),
                Fixtures.rollup(9, 1, open: 1)
            ),
        ])
        return box
    }

    @Test("Edges tell how they are secured, and why not")
    func edges() async throws {
        let box = try await seeded()
        var request = Linkerd2_Viz_EdgesRequest()
        request.selector.resource = resource("deploy")
        let edges = try await EdgeLister(index: Fixtures.index(), backend: box.backend(), now: now).edges(request)
        #expect(
            edges.map { "\($0.src.name)>\($0.dst.name)" } == ["vote-bot>web", "web>voting"],
            "idle edges are none")
        #expect(edges.map(\.noIdentityMsg) == ["Not Provided By Service Discovery", ""])
        #expect(edges.map(\.serverID) == ["", "voting.id"])
        request.selector.resource = resource("deploy", namespace: "other")
        #expect(
            try await EdgeLister(index: Fixtures.index(), backend: box.backend(), now: now).edges(request).isEmpty)
    }

    @Test("The topology has all workloads of the namespace and the traffic between them")
    func topology() async throws {
        let box = try await seeded()
        var request = Linkerd2_Viz_History_TopologyRequest()
        request.namespace = "emojivoto"
        request.window = "1m"
        let topology = try await HistoryAnswers(index: Fixtures.index(), backend: box.backend(), now: now).topology(
            request)
        #expect(topology.nodes.map(\.resource.name) == ["vote-bot", "voting", "web"])
        #expect(topology.nodes.map(\.meshed) == [true, true, true])
        #expect(topology.nodes.last?.stats.failureCount == 6)
        #expect(topology.edges.map { "\($0.src.name)>\($0.dst.name)" } == ["vote-bot>web", "web>voting"])
        #expect(topology.edges.map(\.tls) == [false, true])
        #expect(topology.edges.first?.stats.successCount == 54)
        #expect(topology.endMs - topology.startMs == 60_000)
    }

    @Test("A series has every bucket of the window, and tells which were scraped")
    func series() async throws {
        let box = try await seeded()
        var request = Linkerd2_Viz_History_SeriesRequest()
        request.resource = resource("deploy", "web")
        request.window = "2m"
        request.stepSeconds = 10
        let answers = HistoryAnswers(index: Fixtures.index(), backend: box.backend(), now: now)
        let series = try await answers.series(request)
        #expect(series.stepMs == 10_000)
        #expect(series.buckets.count == 12)
        #expect(
            series.buckets.map(\.hasData_p) == Array(repeating: false, count: 6)
                + Array(repeating: true, count: 6))
        #expect(series.buckets.last?.successCount == 9)
        request.toResource = resource("deploy", "emoji")
        let quiet = try await answers.series(request)
        #expect(quiet.buckets.last?.hasData_p == true, "the client was scraped, it just sent nothing")
        #expect(quiet.buckets.last?.successCount == 0)
        request.fromResource = resource("deploy", "vote-bot")
        #expect(try await answers.series(request).buckets.last?.failureCount == 1)
    }

    @Test("Workloads of chosen kinds")
    func workloads() async throws {
        let box = try await seeded()
        var request = Linkerd2_Viz_History_WorkloadsRequest()
        request.window = "1m"
        let answers = HistoryAnswers(index: Fixtures.index(), backend: box.backend(), now: now)
        #expect(
            try await answers.workloads(request).workloads.map(\.resource.name) == [
                "vote-bot", "voting", "web", "db",
            ])
        request.types = ["sts"]
        #expect(try await answers.workloads(request).workloads.map(\.resource.type) == ["statefulset"])
    }
}
