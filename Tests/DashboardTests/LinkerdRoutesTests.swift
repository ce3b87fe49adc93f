import Dashboard
import MeshAPI
import MeshModel
import Testing

@Suite("Linkerd's dashboard API", .timeLimit(.minutes(1))) struct LinkerdRoutesTests {
    let dashboard = DashboardFixture()

    @Test("tps-reports has Linkerd's shape: counts as text, unset messages as null")
    func statSummary() async throws {
        let answer = try await dashboard.get("/api/tps-reports?resource_type=deploy&namespace=emojivoto")
        #expect(answer.status == 200)
        let rows = try #require(
            answer.json.value(at: ["ok", "statTables"])?[0]?.value(at: ["podGroup", "rows"])?.arrayValue)
        #expect(rows.count == 2)
        #expect(rows[0]["resource"] == ["namespace": "emojivoto", "type": "deployment", "name": "web"])
        #expect(rows[0].value(at: ["stats", "successCount"]) == "93")
        #expect(rows[0].value(at: ["stats", "latencyMsP99"]) == "24")
        #expect(rows[0]["meshedPodCount"] == "1")
        #expect(rows[0]["status"] == "")
        #expect(rows[1]["stats"] == .null)
        #expect(rows[1]["errorsByPod"] == [:])
    }

    @Test("tps-reports understands Linkerd's parameters")
    func parameters() async throws {
        _ = try await dashboard.get(
            "/api/tps-reports?window=10m&resource_type=po&resource_name=a&namespace=n"
                + "&to_type=svc&to_name=b&skip_stats=true&tcp_stats=true")
        let request = try #require(dashboard.source.lastStatRequest)
        #expect(request.timeWindow == "10m")
        #expect(request.selector.resource.type == "pod")
        #expect(request.toResource.type == "service")
        #expect(request.toResource.namespace == "n")
        #expect(request.skipStats && request.tcpStats)
        _ = try await dashboard.get("/api/tps-reports?all_namespaces=true&namespace=n")
        #expect(dashboard.source.lastStatRequest?.selector.resource.namespace == "")
        #expect(dashboard.source.lastStatRequest?.timeWindow == "1m")
    }

    @Test(
        "What is wrong with a question is said in its answer",
        arguments: [
            ("/api/tps-reports?resource_type=widget", 400, "friendly name [widget]"),
            ("/api/tps-reports?window=soon", 400, "invalid time window"),
            ("/api/tps-reports?window=2s", 400, "invalid time window"),
            ("/api/tps-reports?namespace=a%20b", 400, "not a name"),
            ("/api/tps-reports?all_namespaces=true&resource_name=web", 400, "across all namespaces"),
            ("/api/tps-reports?resource_type=job", 400, "jobs are on strike"),
            ("/api/nothing", 404, "no API at /api/nothing"),
        ])
    func mistakes(path: String, status: Int, words: String) async throws {
        let answer = try await dashboard.get(path)
        #expect(answer.status == status)
        #expect(answer.json["error"]?.stringValue?.contains(words) == true, "\(answer.text)")
    }

    @Test(
        "A failure upstream has a status of its own",
        arguments: [
            (DashboardError.Kind.upstreamUnavailable, 503), (.upstreamTimeout, 504), (.upstream, 500),
            (.notFound, 404),
        ])
    func upstream(kind: DashboardError.Kind, status: Int) async throws {
        dashboard.source.fail(with: DashboardError(kind, "metrics-api is away"))
        let answer = try await dashboard.get("/api/tps-reports")
        #expect(answer.status == status)
        #expect(answer.json["error"] == "metrics-api is away")
    }

    @Test("Pods, services, edges, version and check answer in Linkerd's shapes")
    func others() async throws {
        let pod = try await dashboard.get("/api/pods?namespace=emojivoto").json["pods"]?[0]
        #expect(pod?["podIP"] == "10.244.0.7")
        #expect(pod?["deployment"] == "emojivoto/web")
        #expect(pod?["uptime"] == "61.500s")
        #expect(pod?["sinceLastReport"] == .null)
        #expect(pod?["replicaSet"] == nil)
        let services = try await dashboard.get("/api/services?namespace=emojivoto").json["services"]
        #expect(services == [["name": "web-svc", "namespace": "emojivoto"]])
        let edge = try await dashboard.get("/api/edges?resource_type=deployment").json.value(at: [
            "ok", "edges",
        ])?[0]
        #expect(edge?["clientId"] == "default.emojivoto")
        #expect(edge?["noIdentityMsg"] == "")
        #expect(try await dashboard.get("/api/version").json == ["version": .string(BuildVersion.current)])
        let check = try await dashboard.get("/api/check").json
        #expect(check["success"] == false)
        #expect(check.value(at: ["results", "store"])?[0]?["ErrMsg"] == "disk full")
    }
}
