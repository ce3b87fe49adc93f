import MeshAPI
import MeshKubernetes
import SwiftProtobuf
import Tap
import Testing

@Suite("Questions", .timeLimit(.minutes(1))) struct QuestionTests {
    @Test("Criteria become what proxies can match, all of which must hold")
    func matches() throws {
        var request = Fixtures.request()
        request.match.all.matches = [
            .with { $0.destinations.resource = .with { $0.type = "job"; $0.name = "x"; $0.namespace = "ns" } },
            .with { $0.http.method = "post" }, .with { $0.http.path = "/a" }, .with { $0.http.scheme = "https" },
            .with { $0.http.authority = "web:80" },
        ]
        let parts = try TapQuestion(request).match.all.matches
        #expect(parts.count == 6)
        #expect(parts[0].destinationLabel.key == "k8s_job")
        #expect(parts[1].destinationLabel.value == "ns")
        #expect(parts[2].http.method.unregistered == "POST")
        #expect(parts[3].http.path.prefix == "/a")
        #expect(parts[4].http.scheme.registered == .https)
        #expect(parts[5].http.authority.exact == "web:80")
    }

    @Test("A missing rate is a hundred; a namespace is its own namespace")
    func defaults() throws {
        let question = try TapQuestion(Fixtures.request("namespace", "emojivoto"))
        #expect(question.ratePerSecond == 100)
        #expect(question.namespace == "emojivoto")
        #expect(TapPath.path(question) == "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/tap")
    }

    @Test("What Linkerd's tap does not answer, ours refuses alike")
    func refuses() {
        func kind(_ change: (inout Linkerd2_Tap_TapByResourceRequest) -> Void) -> TapRefusal.Kind? {
            var request = Fixtures.request()
            change(&request)
            do {
                _ = try TapQuestion(request)
                return nil
            } catch { return error.kind }
        }
        #expect(kind { $0.clearTarget() } == .invalidArgument)
        #expect(kind { $0.target.resource.type = "server" } == .unimplemented)
        #expect(kind { $0.match.any = .init() } == .unimplemented)
        #expect(kind { $0.match.all.matches = [.with { $0.not = .init() }] } == .unimplemented)
        #expect(kind { $0.maxRps = -1 } == .invalidArgument)
        #expect(kind { $0.maxRps = .infinity } == .invalidArgument)
        #expect(kind { $0.target.labelSelector = "a in" } == .invalidArgument)
    }

    @Test("The filter is read from fields that Linkerd's own readers skip")
    func reads() throws {
        let more = Linkerd2_Tap_Live_RequestExtension.with { $0.filter.grpcCodes = [2] }
        let bytes: [UInt8] = try Fixtures.request().serializedBytes() as [UInt8] + (more.serializedBytes() as [UInt8])
        #expect(try TapQuestion(bytes: bytes).filter.grpcCodes == [2])
        #expect(throws: TapRefusal.self) { try TapQuestion(bytes: [0xFF, 0xFF]) }
    }

    @Test(
        "Paths are read as the aggregated API spells them",
        arguments: [
            ("/apis/tap.linkerd.io/v1alpha1/watch/namespaces/a/tap", "namespaces", "a", "a"),
            ("/apis/tap.linkerd.io/v1alpha1/watch/namespaces/a/deployments/b/tap", "deployments", "a", "b"),
            ("/apis/tap.linkerd.io/v1alpha1/watch/namespaces/a/pods//tap", "pods", "a", ""),
            ("/apis/tap.linkerd.io/v1alpha1/watch/namespaces/a/pods/b%2Fc/tap", "pods", "a", "b/c"),
        ])
    func paths(path: String, resource: String, namespace: String, name: String) {
        #expect(TapPath.parse(path) == TapAccessRequest(resource: resource, namespace: namespace, name: name))
    }

    @Test(
        "Other paths are none",
        arguments: [
            "/", "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/a", "/apis/tap.linkerd.io/v1alpha1/watch/namespaces//tap",
            "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/a/b/c/d/tap", "/apis/tap.linkerd.io/v1/watch/namespaces/a/tap",
        ])
    func notPaths(path: String) { #expect(TapPath.parse(path) == nil) }

    @Test("Pods that opted out, or never opted in, are named in the refusal")
    func targets() throws {
        let question = try TapQuestion(Fixtures.request())
        let pods = [
            Fixtures.pod("a", ip: "10.0.0.1"),
            Fixtures.pod("b", ip: "10.0.0.2", annotations: ["viz.linkerd.io/disable-tap": "true", "viz.linkerd.io/tap-enabled": "true"]),
            Fixtures.pod("c", ip: "10.0.0.3", annotations: [:]), Fixtures.pod("d", ip: "10.0.0.4", phase: "Failed"),
            Fixtures.pod("e", ip: "10.0.0.5", isMeshed: false), Fixtures.pod("f", ip: "10.0.0.6", deployment: "voting"),
        ]
        let found = TapTargets(question, in: Fixtures.index(pods))
        #expect(found.targets.map(\.pod) == ["a"])
        #expect(found.targets[0].identity == "sa.emojivoto.id")
        #expect(found.disabled == ["b"])
        #expect(found.notEnabled == ["c"])
        #expect(found.refusal(question) == nil)
        let none = TapTargets(question, in: Fixtures.index(pods)) { _ in true }
        #expect(none.targets.isEmpty)
        let refusal = try #require(none.refusal(question))
        #expect(refusal.kind == .notFound)
        #expect(refusal.message.hasPrefix("no pods to tap for type=\"deployment\" name=\"web\"\n3 pods found with tap disabled"))
    }

    @Test("Shares add up to the rate and never exceed it", arguments: [(100.0, 3), (10, 40), (1, 7), (0.5, 1), (2_500, 100)])
    func shares(rate: Double, count: Int) {
        let shares = ObserveRate.shares(perSecond: rate, among: count)
        #expect(shares.count == count)
        let sum = shares.reduce(0) { $0 + Double($1.requests) * 1_000 / Double($1.windowMilliseconds) }
        #expect(sum <= rate + 1e-6)
        #expect(sum > rate * 0.9)
        #expect(ObserveRate.shares(perSecond: rate, among: 0).isEmpty)
    }
}
