import AsyncHTTPClient
import Dashboard
import Foundation
import HummingbirdTesting
import Logging
import MeshModel
import NIOCore
import NIOHTTP1
import Testing

@Suite("Our view API", .timeLimit(.minutes(1))) struct ViewRoutesTests {
    let dashboard = DashboardFixture()

    @Test("Rates are computed; what nobody measured is null, not zero")
    func rows() async throws {
        let view = try await dashboard.get("/api/v1/view?view=namespace&namespace=emojivoto").json
        let web = try #require(view["workloads"]?[0])
        #expect(web["successRate"] == 0.93)
        #expect(web["rps"] == .double(1.666667))
        #expect(web["p99"] == 24)
        let bot = try #require(view["pods"]?[0])
        #expect(bot["name"] == "vote-bot")
        #expect(bot["rps"] == .null && bot["successRate"] == .null)
    }

    @Test("A topology is sorted, so that equal graphs are equal bytes")
    func topology() async throws {
        let graph = try await dashboard.get("/api/v1/topology?namespace=emojivoto&window=10m").json
        #expect(graph["nodes"]?.arrayValue?.map { $0["name"] } == ["vote-bot", "voting", "web"])
        let ends = graph["edges"]?.arrayValue?.map {
            [$0.value(at: ["src", "name"]), $0.value(at: ["dst", "name"])]
        }
        #expect(ends == [["vote-bot", "web"], ["web", "voting"]])
        #expect(graph["nodes"]?[0]?["rps"] == .null)
    }

    @Test("A span that nobody scraped has only its time; a silent one has a rate of zero")
    func series() async throws {
        let series = try await dashboard.get("/api/v1/series?kind=deploy&namespace=emojivoto&name=web").json
        #expect(series["points"]?[0]?["rps"] == 2.0)
        #expect(series["points"]?[0]?["successRate"] == 0.75)
        #expect(series["points"]?[1] == ["t": 11_000])
        #expect(series["points"]?[2]?["rps"] == 0.0)
        #expect(series["points"]?[2]?["successRate"] == .null)
    }

    @Test("A workload comes with both kinds of neighbours and its own pods")
    func workload() async throws {
        let view = try await dashboard.get(
            "/api/v1/view?view=workload&namespace=emojivoto&kind=deploy&name=web"
        ).json
        #expect(view["inbound"]?.arrayValue?.map { $0.value(at: ["src", "name"]) } == ["vote-bot"])
        #expect(view["outbound"]?.arrayValue?.map { $0.value(at: ["dst", "name"]) } == ["voting"])
        #expect(view["pods"]?.arrayValue?.map { $0["name"] } == ["web"])
    }

    @Test(
        "A view that does not exist is a mistake",
        arguments: [
            "view=moon", "view=namespace", "view=workload&namespace=a", "view=namespaces&at=yesterday",
        ])
    func mistakes(query: String) async throws {
        for path in ["/api/v1/view?", "/api/v1/live?"] {
            let answer = try await dashboard.get(path + query)
            #expect(answer.status == 400)
            #expect(answer.json["error"] != nil)
        }
    }

    @Test(
        "A live view sends its state, then its problem, then its state again"
    )
    func live() async throws {
        let source = dashboard.source
        try await dashboard.run(.live) { client in
            let port = try #require(client.port)
            let url = "http://localhost:\(port)/api/v1/live?view=topology&namespace=emojivoto"
            let response = try await HTTPClient.shared.execute(
                HTTPClientRequest(url: url), timeout: .seconds(20))
            #expect(response.headers.first(name: "content-type") == "text/event-stream")
            #expect(response.headers.first(name: "cache-control") == "no-store")
            var text = ""
            var steps = ["event: view\ndata: {", "event: problem\ndata: {", "event: view\ndata: {"]
            for try await buffer in response.body {
                text += String(buffer: buffer)
                guard let step = steps.first, let found = text.range(of: step) else { continue }
                text.removeSubrange(text.startIndex..<found.upperBound)
                steps.removeFirst()
                if steps.count == 2 { source.fail(with: DashboardError(.upstreamUnavailable, "away")) }
                if steps.count == 1 { source.fail(with: nil) }
                if steps.isEmpty { break }
            }
            #expect(steps.isEmpty)
        }
    }
}

@Suite("Live hub", .timeLimit(.minutes(1))) struct LiveHubTests {
    private func withHub(_ source: FakeSource, _ body: (LiveHub) async throws -> Void) async throws {
        let hub = LiveHub(
            composer: ViewComposer(source: source), period: .milliseconds(10), logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            try await body(hub)
            group.cancelAll()
        }
    }

    @Test("Two viewers of one view share its questions; the last to leave ends them")
    func sharing() async throws {
        let source = FakeSource()
        try await withHub(source) { hub in
            let query = ViewQuery(screen: .topology("emojivoto"))
            let first = try await hub.join(query)
            let second = try await hub.join(query)
            #expect(await hub.viewCount == 1)
            for viewer in [first, second] {
                var events = viewer.events.makeAsyncIterator()
                guard case .view = await events.next() else {
                    Issue.record("the first event is the view")
                    return
                }
                await hub.leave(viewer)
            }
            #expect(await hub.viewerCount == 0)
            while await hub.viewCount > 0 { await Task.yield() }
            let asked = source.questions.count
            let again = try await hub.join(query)
            var events = again.events.makeAsyncIterator()
            _ = await events.next()
            #expect(source.questions.count == asked + 1)
            await hub.leave(again)
        }
    }

    @Test("Beyond the limit a new view is turned away, an open one still has room")
    func limits() async throws {
        try await withHub(FakeSource()) { hub in
            for index in 0..<LiveHub.viewsMax {
                _ = try await hub.join(ViewQuery(screen: .topology("n\(index)")))
            }
            await #expect(throws: DashboardError.self) {
                _ = try await hub.join(ViewQuery(screen: .namespaces))
            }
            _ = try await hub.join(ViewQuery(screen: .topology("n0")))
            #expect(await hub.viewerCount == LiveHub.viewsMax + 1)
        }
    }

    @Test("When the hub ends, every stream ends")
    func ending() async throws {
        let hub = LiveHub(
            composer: ViewComposer(source: FakeSource()), period: .milliseconds(10),
            logger: Logger(label: "test"))
        let viewer = try await hub.join(ViewQuery(screen: .namespaces))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await hub.run() }
            var events = viewer.events.makeAsyncIterator()
            _ = await events.next()
            group.cancelAll()
            while await events.next() != nil {}
        }
        await #expect(throws: DashboardError.self) { _ = try await hub.join(ViewQuery(screen: .namespaces)) }
    }
}
