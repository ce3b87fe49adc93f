import Dashboard
import MeshModel
import Testing

@Suite("The past of top over HTTP", .timeLimit(.minutes(1))) struct SampleRoutesTests {
    let dashboard = DashboardFixture(taps: FakeTaps())

    @Test("Rows with their share of successes, and how many requests they stand for")
    func top() async throws {
        let top = try await dashboard.get(
            "/api/v1/top?kind=deploy&namespace=emojivoto&name=web&to_name=voting&window=10m&at=60000&path=/emojivoto").json
        #expect(dashboard.source.questions.last == "top web voting 10m 60000 /emojivoto")
        #expect(top["sampled"] == 4 && top["estimated"] == 40 && top["endMs"] == 61_000)
        let row = try #require(top["rows"]?[0])
        #expect(row["successRate"] == 0.25 && row["count"] == 40 && row["worstMs"] == 2.5)
        #expect(row.value(at: ["dst", "name"]) == "voting")
        #expect(top["rows"]?[1]?["successRate"] == .null)
    }

    @Test("Requests behind a spike, with the trace where there is one")
    func exemplars() async throws {
        let found = try await dashboard.get("/api/v1/exemplars?namespace=emojivoto&name=voting&limit=7").json
        #expect(dashboard.source.questions.last == "exemplars voting 7")
        #expect(found["failed"]?[0]?["grpcStatus"] == 2 && found["failed"]?[0]?["traceId"] == "463ac35c9f6413ad")
        #expect(found["slowest"]?[1]?["grpcStatus"] == .null && found["slowest"]?[1]?["traceId"] == .null)
    }

    @Test("A dashboard without live requests shows no single ones of the past either")
    func restricted() async throws {
        let restricted = DashboardFixture()
        #expect(try await restricted.get("/api/v1/exemplars?namespace=emojivoto&name=voting").status == 403)
        #expect(try await restricted.get("/api/v1/top?namespace=emojivoto&name=web").status == 200)
        #expect(!restricted.source.questions.contains { $0.hasPrefix("exemplars") })
    }

    @Test("Mistakes are named", arguments: ["exemplars?limit=0", "exemplars?limit=101", "top?at=yesterday", "top?window=1", "top?kind=moon"])
    func mistakes(path: String) async throws {
        #expect(try await dashboard.get("/api/v1/" + path).status == 400)
    }
}
