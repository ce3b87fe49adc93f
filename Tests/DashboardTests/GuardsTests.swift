import Dashboard
import Foundation
import HTTPTypes
import MeshModel
import Testing

@Suite("Pages and their guards", .timeLimit(.minutes(1))) struct GuardsTests {
    @Test(
        "Only our own names are answered",
        arguments: [
            ("localhost", true), ("localhost:50750", true), ("127.0.0.1:8084", true), ("[::1]:8084", true),
            ("web.linkerd-viz.svc.cluster.local:8084", true), ("web.linkerd-viz.svc", true),
            ("evil.example", false), ("localhost.evil.example", false), ("web-linkerd-viz.svc", false),
            ("", false),
        ])
    func hostPattern(host: String, isAccepted: Bool) throws {
        let pattern = try Regex(DashboardConfig.enforcedHostDefault)
        #expect(host.contains(pattern) == isAccepted)
    }

    @Test("A foreign host name gets 400 and an explanation")
    func foreignHost() async throws {
        var dashboard = DashboardFixture()
        dashboard.config.enforcedHost = #"^dashboard\.example$"#
        for path in ["/", "/api/version", "/assets/main-ABC.js"] {
            let answer = try await dashboard.get(path)
            #expect(answer.status == 400)
            #expect(answer.text.contains("enforced-host"))
        }
        dashboard.config.enforcedHost = ""
        #expect(try await dashboard.get("/api/version").status == 200)
    }

    @Test("A page of another origin gets nothing from the API")
    func origin() async throws {
        let dashboard = DashboardFixture()
        #expect(
            try await dashboard.get("/api/version", headers: [.origin: "https://evil.example"]).status == 403)
        #expect(try await dashboard.get("/api/version", headers: [.origin: "http://localhost"]).status == 200)
    }

    @Test(
        "Every answer forbids inline scripts, sniffing and foreign frames",
        arguments: ["/", "/api/version", "/api/x"])
    func headers(path: String) async throws {
        let headers = try await DashboardFixture().get(path).headers
        let policy = try #require(headers[.contentSecurityPolicy])
        #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"))
        #expect(!policy.contains("unsafe"))
        #expect(headers[.xContentTypeOptions] == "nosniff")
        #expect(headers[try #require(HTTPField.Name("X-Frame-Options"))] == "SAMEORIGIN")
    }

    @Test(
        "Every path of the browser serves the page",
        arguments: ["/", "/namespaces", "/namespaces/emojivoto/deployments/web", "/tap"])
    func pages(path: String) async throws {
        let answer = try await DashboardFixture().get(path)
        #expect(answer.status == 200)
        #expect(answer.text == "<!doctype html>")
        #expect(answer.headers[.cacheControl] == "no-cache")
        let again = try await DashboardFixture().get(
            path, headers: [.ifNoneMatch: answer.headers[.eTag] ?? ""])
        #expect(again.status == 304)
    }

    @Test("Hashed files are kept for ever and sent compressed to those who take it")
    func assets() async throws {
        let dashboard = DashboardFixture()
        let plain = try await dashboard.get("/assets/main-ABC.js")
        #expect(plain.text == "let a = 1")
        #expect(plain.headers[.cacheControl] == "public, max-age=31536000, immutable")
        #expect(plain.headers[.contentType] == "text/javascript; charset=utf-8")
        let squeezed = try await dashboard.get("/assets/main-ABC.js", headers: [.acceptEncoding: "br, gzip"])
        #expect(squeezed.text == "squeezed")
        #expect(squeezed.headers[.contentEncoding] == "gzip")
        #expect(try await dashboard.get("/assets/gone.js").status == 404)
        #expect(try await dashboard.get("/../../etc/passwd").text == "<!doctype html>")
    }

    @Test("Without built pages the answer says how to build them")
    func unbuilt() async throws {
        var dashboard = DashboardFixture()
        dashboard.assets = .empty
        let answer = try await dashboard.get("/")
        #expect(answer.status == 503)
        #expect(answer.text.contains("deploy/build-web"))
    }

    @Test("Built pages are found beside the executable or in a folder above it")
    func locate() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent(
            "dashboard-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: root) }
        let web = root.appendingPathComponent(".build/web/assets")
        let bin = root.appendingPathComponent(".build/x86/debug")
        try FileManager.default.createDirectory(at: web, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(at: bin, withIntermediateDirectories: true)
        let executable = bin.appendingPathComponent("linkerd-viz").path
        #expect(AssetStore.locate(executable: executable) == nil)
        try Data("page".utf8).write(to: root.appendingPathComponent(".build/web/index.html"))
        try Data("a".utf8).write(to: web.appendingPathComponent("a-1.js"))
        try Data("z".utf8).write(to: web.appendingPathComponent("a-1.js.gz"))
        let found = try #require(AssetStore.locate(executable: executable))
        let store = try AssetStore(directory: found)
        #expect(store.index?.bytes == Array("page".utf8))
        #expect(store["/assets/a-1.js"]?.gzipped == Array("z".utf8))
        #expect(store["/assets/a-1.js.gz"] == nil)
    }
}
