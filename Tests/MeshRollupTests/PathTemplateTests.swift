import MeshRollup
import Testing

@Suite("Path templates", .timeLimit(.minutes(1)))
struct PathTemplateTests {
    @Test(
        "What names one thing becomes a placeholder, words stay",
        arguments: [
            ("/", "/"), ("", "/"), ("*", "*"), ("/api/list", "/api/list"), ("/a//b/", "/a//b/"),
            ("/orders/17", "/orders/{number}"), ("/orders/-17", "/orders/{number}"), ("/at/52.52/13.4", "/at/{number}/{number}"),
            ("/users/6f9619ff-8b86-d011-b42d-00cf4fc964ff/cart", "/users/{uuid}/cart"),
            ("/users/6F9619FF-8B86-D011-B42D-00CF4FC964FF", "/users/{uuid}"),
            ("/objects/507f1f77bcf86cd799439011", "/objects/{hex}"), ("/commit/3f9a8c1b", "/commit/{hex}"),
            ("/words/deadbeef", "/words/deadbeef"), ("/words/facade", "/words/facade"), ("/x/deadbeefdeadbeef", "/x/{hex}"),
            ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "/reset/{token}"),
            ("/s/QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "/s/{token}"), ("/s/x7Gk2pQ9vLmT4bNzR8wY", "/s/{token}"),
            ("/mail/bob@example.com/inbox", "/mail/{mail}/inbox"), ("/mail/bob%40example.com", "/mail/{mail}"),
            ("/orders/order-12345", "/orders/order-{number}"), ("/img20391.png", "/img{number}.png"),
            ("/app.3f9a8c1b.js", "/app.{hex}.js"), ("/2026-11-20/report", "/{number}-{number}-{number}/report"),
            ("/instances/i-0abcd1234ef567890", "/instances/i-{hex}"), ("/v1/hash/sha256", "/v1/hash/sha256"),
            ("/getUserAccountDetailsByName", "/getUserAccountDetailsByName"), ("/oauth2/authorize", "/oauth2/authorize"),
            ("/find;jsessionid=A1B2C3/7;x=1", "/find/{number}"), ("/q?id=7&token=secret", "/q"), ("/q#top", "/q"),
            ("http://web.svc:80/orders/9?x=1", "/orders/{number}"), ("http://web.svc", "/"),
            ("/zürich/straße", "/zürich/straße"), ("/%E4%B8%AD%E6%96%87", "/%E4%B8%AD%E6%96%87"), ("/日本/42", "/日本/{number}"),
            ("/%31%32", "/{number}"), ("/emoji/:doughnut:", "/emoji/:doughnut:"), ("/100%", "/100%"),
        ])
    func templates(path: String, template: String) {
        #expect(PathTemplate.template(of: path) == template)
        #expect(PathTemplate.template(of: template) == template, "a template of a template is the same")
    }

    @Test("Methods of gRPC are left alone, whatever they look like; other paths are not, whatever they claim to be")
    func grpc() {
        let method = "/emojivoto.v1.VotingService/Vote20391"
        #expect(PathTemplate.template(of: method, isGRPC: true) == method)
        #expect(PathTemplate.kept(method, isGRPC: true) == method)
        #expect(PathTemplate.template(of: "/orders/17/items", isGRPC: true) == "/orders/{number}/items")
        #expect(PathTemplate.template(of: "/orders/17?x", isGRPC: true) == "/orders/{number}")
    }

    @Test("A request's own path keeps what leads to it, and loses what may be a secret or an address")
    func kept() {
        #expect(PathTemplate.kept("/orders/17?token=secret") == "/orders/17")
        #expect(PathTemplate.kept("/objects/507f1f77bcf86cd799439011") == "/objects/507f1f77bcf86cd799439011")
        #expect(PathTemplate.kept("/users/6f9619ff-8b86-d011-b42d-00cf4fc964ff") == "/users/6f9619ff-8b86-d011-b42d-00cf4fc964ff")
        #expect(PathTemplate.kept("/reset/x7Gk2pQ9vLmT4bNzR8wY") == "/reset/{token}")
        #expect(PathTemplate.kept("/reset/" + String(repeating: "a1", count: 20)) == "/reset/{hex}")
        #expect(PathTemplate.kept("/invite-x7Gk2pQ9vLmT4bNz/bob@example.com") == "/{token}/{mail}")
        #expect(PathTemplate.kept("/orders/order-12345") == "/orders/order-12345")
    }

    @Test("However long a path is, its template is not, and says that there was more")
    func long() {
        let deep = String(repeating: "/segment", count: 1_000)
        #expect(PathTemplate.template(of: deep) == String(repeating: "/segment", count: 16) + "/{rest}")
        let wide = "/files/" + String(repeating: "x", count: 100_000)
        #expect(PathTemplate.template(of: wide) == "/files/{token}")
        let many = "/" + (0..<2_000).map { "\($0)" }.joined(separator: "-")
        #expect(PathTemplate.template(of: many) == "/{token}")
        for path in [deep, wide, many] { #expect(PathTemplate.kept(path).utf8.count <= PathTemplate.keptBytesMax) }
    }

    @Test("Whatever bytes come, the result is short, has no query, and does not change again", arguments: (1...10).map { UInt64($0) })
    func anything(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let alphabet = Array("/////aZ09-_.;?#%=@{}~:é日\u{0}\n")
        for _ in 0..<500 {
            let path = String((0..<Int.random(in: 0..<300, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "/" })
            let template = PathTemplate.template(of: path)
            #expect(template.utf8.count <= PathTemplate.templateBytesMax && !template.contains("?"), "seed \(seed)")
            #expect(PathTemplate.template(of: template) == template, "seed \(seed): \(path.debugDescription)")
        }
    }
}

@Suite("Sampled requests as keys", .timeLimit(.minutes(1)))
struct RequestKeyTests {
    private func key(_ path: String, dst: String = "web") -> RequestKey {
        func workload(_ name: String) -> WorkloadKey { WorkloadKey(namespace: "shop", kind: "deployment", name: name) }
        return RequestKey(src: workload("bot"), dst: workload(dst), method: "GET", path: path)
    }

    @Test("Past the budget of a destination requests are counted under its other, and others have room still")
    func budget() {
        var budget = LabelBudget(destinationsMax: 3)
        let admitted = (0..<5).map { budget.admit(key("/\($0)")) }
        #expect(admitted.prefix(3).map(\.path) == ["/0", "/1", "/2"])
        #expect(Set(admitted.suffix(2)) == [key("/").folded])
        #expect(budget.foldedCount == 2)
        #expect(budget.admit(key("/0", dst: "cart")).path == "/0")
        budget.retain([key("/2")])
        #expect(budget.admit(key("/4")).path == "/4")
        #expect(key("/").folded.dst == key("/").dst)
    }

    @Test("Extremes: in time the last is the later one, side by side it is the longer one")
    func extremes() {
        var first = Rollup()
        first.extremes = LatencyExtremes(best: 2, worst: 9, last: 7)
        var second = Rollup()
        second.extremes = LatencyExtremes(5)
        var joined = first
        joined.append(second)
        #expect(joined.extremes == LatencyExtremes(best: 2, worst: 9, last: 5))
        joined = first
        joined.combine(second)
        #expect(joined.extremes == LatencyExtremes(best: 2, worst: 9, last: 7))
        joined = Rollup()
        joined.append(first)
        joined.append(Rollup())
        #expect(joined.extremes == first.extremes && !joined.isEmpty)
    }
}
