import Destination
import Logging
import MeshAPI
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Testing

private typealias Profile = Io_Linkerd_Proxy_Destination_DestinationProfile

private let name = "web.shop.svc.cluster.local"

private func spec(_ text: String) throws -> JSONValue { try JSONValue(parsing: text) }

private func parsed(_ text: String) throws -> ServiceProfile {
    try ServiceProfile(name: name, spec: try spec(text))
}

private func mistakes(_ text: String) throws -> [String] {
    do {
        _ = try ServiceProfile(name: name, spec: try spec(text))
        return []
    } catch let error as ProfileMistakes { return error.texts }
}

private func translate(_ state: ClusterState, port: Int = 80, from namespace: String = "") throws -> Profile {
    try ProfileTranslator(settings: DestinationSettings()).profile(
        of: ServiceAuthority(service: webKey, port: port), in: state.view(of: webKey),
        for: ContextToken(namespace: namespace))
}

@Suite("Service profiles", .timeLimit(.minutes(1))) struct ServiceProfileTests {
    @Test("Every field arrives in the proxy's message")
    func whole() throws {
        let profile = try parsed(
            """
            {"routes": [
              {"name": "GET /books/{id}", "condition": {"pathRegex": "/books/\\\\d+", "method": "GET"},
               "responseClasses": [{"condition": {"status": {"min": 500}}, "isFailure": true},
                                   {"condition": {"any": [{"status": {"min": 200, "max": 299}}]}}],
               "isRetryable": true, "timeout": "1m0.25s"},
              {"name": "rest", "condition": {"not": {"any": [{"method": "BREW"}, {"pathRegex": "/x"}]}}}],
             "retryBudget": {"retryRatio": 0.5, "minRetriesPerSecond": 3, "ttl": "15s"},
             "dstOverrides": [{"authority": "a.shop.svc.cluster.local.:81", "weight": "500m"},
                              {"authority": "b.shop.svc.cluster.local", "weight": 1}]}
            """)
        var state = state(service())
        _ = state.setProfile(of: webKey, in: "shop", profile)
        let message = try translate(state)
        #expect(message.routes.count == 2)
        let first = message.routes[0]
        #expect(first.metricsLabels == ["route": "GET /books/{id}"] && first.isRetryable)
        #expect(first.condition.all.matches.map(\.path.regex) == ["/books/\\d+", ""])
        #expect(first.condition.all.matches[1].method.type == .registered(.get))
        #expect(first.timeout.seconds == 60 && first.timeout.nanos == 250_000_000)
        #expect(first.responseClasses.map(\.isFailure) == [true, false])
        #expect(first.responseClasses[0].condition.status.min == 500)
        #expect(first.responseClasses[0].condition.status.max == 500, "one bound stands for one code")
        let second = message.routes[1].condition.not.any.matches
        #expect(second[0].method.type == .unregistered("BREW") && second[1].path.regex == "/x")
        #expect(!message.routes[1].hasTimeout && !message.routes[1].isRetryable)
        #expect(message.retryBudget.retryRatio == 0.5 && message.retryBudget.minRetriesPerSecond == 3)
        #expect(message.retryBudget.ttl.seconds == 15)
        #expect(message.dstOverrides.map(\.authority) == ["a.shop.svc.cluster.local:81", "b.shop.svc.cluster.local:80"])
        #expect(message.dstOverrides.map(\.weight) == [5_000, 10_000])
        #expect(message.profileRef.resource.kind == "ServiceProfile" && message.profileRef.resource.namespace == "shop")
    }

    @Test(
        "Mistakes are named by the path of their field",
        arguments: [
            (#"{"routes": 3}"#, "spec.routes: "),
            (#"{"routes": [{"condition": {"method": "GET"}}]}"#, "spec.routes[0].name: "),
            (#"{"routes": [{"name": "a"}]}"#, "spec.routes[0].condition: "),
            (#"{"routes": [{"name": "a", "condition": {}}]}"#, "spec.routes[0].condition: "),
            (#"{"routes": [{"name": "a", "condition": {"all": []}}]}"#, "spec.routes[0].condition.all: "),
            (
                #"{"routes": [{"name": "a", "condition": {"any": [{"method": "GET"}, {"method": 3}]}}]}"#,
                "spec.routes[0].condition.any[1].method: "
            ),
            (#"{"routes": [{"name": "a", "condition": {"method": "GET"}, "timeout": "3"}]}"#, "spec.routes[0].timeout: "),
            (
                #"{"routes": [{"name": "a", "condition": {"method": "GET"}, "isRetryable": "yes"}]}"#,
                "spec.routes[0].isRetryable: "
            ),
            (
                #"{"routes": [{"name": "a", "condition": {"method": "GET"}, "#
                    + #""responseClasses": [{"condition": {"status": {"min": 600}}}]}]}"#,
                "spec.routes[0].responseClasses[0].condition.status: "
            ),
            (#"{"retryBudget": {"retryRatio": 1, "minRetriesPerSecond": 1}}"#, "spec.retryBudget.ttl: "),
            (#"{"retryBudget": {"retryRatio": -1, "minRetriesPerSecond": 1, "ttl": "10s"}}"#, "spec.retryBudget.retryRatio: "),
            (#"{"retryBudget": {"retryRatio": 1, "minRetriesPerSecond": 1, "ttl": "61s"}}"#, "spec.retryBudget.ttl: "),
            (#"{"dstOverrides": [{"authority": "a:0", "weight": 1}]}"#, "spec.dstOverrides[0].authority: "),
            (#"{"dstOverrides": [{"authority": "a", "weight": "much"}]}"#, "spec.dstOverrides[0].weight: "),
        ])
    func named(text: String, path: String) throws {
        let found = try mistakes(text)
        #expect(found.contains { $0.hasPrefix(path) }, "\(found)")
    }

    @Test("Conditions nested without end are refused, not followed")
    func nested() throws {
        let deep = String(repeating: #"{"not": "#, count: 100) + #"{"method": "GET"}"# + String(repeating: "}", count: 100)
        #expect(try mistakes(#"{"routes": [{"name": "a", "condition": \#(deep)}]}"#).contains { $0.contains("nested") })
    }

    @Test("The client's namespace comes first, then the service's")
    func namespaces() throws {
        var state = state(service())
        let own = try parsed(#"{"routes": [{"name": "own", "condition": {"method": "GET"}}]}"#)
        let theirs = try parsed(#"{"routes": [{"name": "theirs", "condition": {"method": "GET"}}]}"#)
        #expect(state.setProfile(of: webKey, in: "shop", own).contains(.service(webKey)))
        #expect(state.setProfile(of: webKey, in: "shop", own).isEmpty, "nothing changed")
        #expect(state.setProfile(of: webKey, in: "client", theirs).contains(.address(.v4(0x0A60_0007))))
        func route(from namespace: String) throws -> String? {
            try translate(state, from: namespace).routes.first?.metricsLabels["route"]
        }
        #expect(try route(from: "client") == "theirs")
        #expect(try route(from: "other") == "own")
        #expect(try route(from: "") == "own")
        _ = state.setProfile(of: webKey, in: "client", nil)
        #expect(try route(from: "client") == "own")
        _ = state.setProfile(of: webKey, in: "shop", nil)
        #expect(try route(from: "client") == nil)
        #expect(try !translate(state).hasProfileRef)
    }

    @Test("A TrafficSplit gives the legs unless the profile has its own")
    func splits() throws {
        var state = state(service())
        let split = try TrafficSplit(
            spec: try spec(
                #"{"service": "web", "backends": [{"service": "web", "weight": "900m"}, {"service": "web-2", "weight": "100m"}]}"#),
            clusterDomain: "cluster.local")
        let key = ObjectKey(namespace: "shop", name: "canary")
        #expect(state.setSplit(key, split).contains(.service(webKey)))
        #expect(try translate(state).dstOverrides.map(\.authority) == ["\(name):80", "web-2.shop.svc.cluster.local:80"])
        #expect(try translate(state).dstOverrides.map(\.weight) == [9_000, 1_000])
        _ = state.setProfile(
            of: webKey, in: "shop", try parsed(#"{"dstOverrides": [{"authority": "c.shop.svc.cluster.local", "weight": 1}]}"#))
        #expect(try translate(state).dstOverrides.map(\.authority) == ["c.shop.svc.cluster.local:80"])
        #expect(state.setSplit(key, nil).contains(.service(webKey)))
        _ = state.setProfile(of: webKey, in: "shop", nil)
        #expect(try translate(state).dstOverrides.isEmpty)
    }

    @Test("Names that are no service of the cluster are nobody's profile")
    func names() {
        func service(_ name: String) -> ObjectKey? { ServiceProfile.service(named: name, clusterDomain: "cluster.local") }
        #expect(service(name) == webKey)
        #expect(service("web-0.web.shop.svc.cluster.local") == nil)
        #expect(service("example.com") == nil && service("web") == nil)
    }

    @Test("What is wrong changes nothing, is counted, and is forgotten once it is right or gone")
    func intake() throws {
        let index = ClusterIndex()
        let metrics = DestinationMetrics()
        let intake = ProfileIntake(
            clusterDomain: "cluster.local", metrics: metrics,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        index.update { $0.add(service()) }
        let key = ObjectKey(namespace: "shop", name: name)
        func routes() throws -> [String] {
            try index.read { try translate($0).routes.compactMap { $0.metricsLabels["route"] } }
        }
        intake.profile(key, spec: try spec(#"{"routes": [{"name": "good", "condition": {"method": "GET"}}]}"#), into: index)
        #expect(try routes() == ["good"])
        intake.profile(key, spec: try spec(#"{"routes": [{"name": "bad", "condition": {}}]}"#), into: index)
        #expect(try routes() == ["good"], "the last good one stays")
        intake.split(ObjectKey(namespace: "shop", name: "s"), spec: try spec("{}"), into: index)
        intake.profile(ObjectKey(namespace: "shop", name: "web"), spec: try spec("{}"), into: index)
        let text = String(decoding: metrics.render(index: index), as: UTF8.self)
        #expect(text.contains("profile_objects_invalid_total{kind=\"ServiceProfile\"} 2"))
        #expect(text.contains("profile_objects_invalid_total{kind=\"TrafficSplit\"} 1"))
        #expect(text.contains("serviceprofile_cache_size{cluster=\"local\"} 1"))
        intake.profile(key, spec: nil, into: index)
        #expect(try routes().isEmpty)
    }
}
