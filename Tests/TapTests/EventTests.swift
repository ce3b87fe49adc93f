import Foundation
import MeshAPI
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Tap
import Testing

@Suite("Filters on the response", .timeLimit(.minutes(1))) struct FilterTests {
    private static let cases: [(String, Linkerd2_Tap_Live_Filter, [ProxyEvent], [Verdict])] = [
        ("empty", .init(), Fixtures.exchange(0), [.pass, .pass, .pass]),
        ("status", .with { $0.statuses = [.with { $0.min = 500; $0.max = 599 }] }, Fixtures.exchange(0, status: 503), [.undecided, .pass, .pass]),
        ("other status", .with { $0.statuses = [.with { $0.min = 500; $0.max = 599 }] }, Fixtures.exchange(0), [.undecided, .fail, .fail]),
        ("gRPC", .with { $0.grpcCodes = [2] }, Fixtures.exchange(0, grpc: 2), [.undecided, .undecided, .pass]),
        ("no gRPC", .with { $0.grpcCodes = [0] }, Fixtures.exchange(0), [.undecided, .undecided, .fail]),
        ("failure by status", .with { $0.classification = "failure" }, Fixtures.exchange(0, status: 500), [.undecided, .pass, .pass]),
        ("failure by code", .with { $0.classification = "failure" }, Fixtures.exchange(0, grpc: 7), [.undecided, .undecided, .pass]),
        ("success", .with { $0.classification = "success" }, Fixtures.exchange(0, reset: 8), [.undecided, .undecided, .fail]),
        ("slow", .with { $0.latencyAboveUs = 5_000 }, Fixtures.exchange(0, millis: 6), [.undecided, .undecided, .pass]),
        ("quick", .with { $0.latencyAboveUs = 5_000 }, Fixtures.exchange(0, millis: 5), [.undecided, .undecided, .fail]),
        ("tls", .with { $0.tls = "true" }, Fixtures.exchange(0), [.pass, .pass, .pass]),
        ("no tls", .with { $0.tls = "false" }, Fixtures.exchange(0, tls: "no_tls_from_remote"), [.pass, .pass, .pass]),
        ("no tls, but is", .with { $0.tls = "false" }, Fixtures.exchange(0), [.fail, .fail, .fail]),
        ("header", .with { $0.headers = [.with { $0.name = "x-a" }] }, Fixtures.exchange(0, headers: [("X-A", "1")]), [.pass, .pass, .pass]),
        ("header's value", .with { $0.headers = [.with { $0.name = "x-a"; $0.hasValue_p = true; $0.value = "2" }] }, Fixtures.exchange(0, headers: [("x-a", "1")]), [.fail, .fail, .fail]),
        ("response header", .with { $0.headers = [.with { $0.name = "x-a"; $0.isResponse = true }] }, Fixtures.exchange(0, responseHeaders: [("x-a", "1")]), [.undecided, .pass, .pass]),
    ]

    @Test("Each part says yes or no as soon as it can", arguments: 0..<Self.cases.count)
    func verdicts(index: Int) throws {
        let (name, message, events, expected) = Self.cases[index]
        let filter = try ResponseFilter(message)
        var exchange = Exchange()
        var verdicts: [Verdict] = []
        for event in events {
            exchange.take(event)
            verdicts.append(filter.verdict(exchange))
        }
        #expect(verdicts == expected, "\(name)")
    }

    @Test("What cannot be meant is refused")
    func refuses() {
        #expect(throws: TapRefusal.self) { try ResponseFilter(.with { $0.classification = "odd" }) }
        #expect(throws: TapRefusal.self) { try ResponseFilter(.with { $0.statuses = [.with { $0.min = 5; $0.max = 1 }] }) }
        #expect(throws: TapRefusal.self) { try ResponseFilter(.with { $0.headers = [.init()] }) }
    }

    @Test("Shown, filtered and waiting exchanges keep their order, and all are counted")
    func table() throws {
        var table = ExchangeTable(try ResponseFilter(.with { $0.grpcCodes = [2] }))
        let (good, bad) = (Fixtures.exchange(1, grpc: 0), Fixtures.exchange(2, grpc: 2))
        var shown: [ProxyEvent] = []
        for (left, right) in zip(good, bad) { shown += table.take(left) + table.take(right) }
        #expect(shown == bad)
        #expect(table.filteredCount == 1)
        #expect(table.openCount == 0)
        #expect(table.take(good[1]).isEmpty)
        #expect(table.take(ProxyEvent()).isEmpty)
    }

    @Test("Exchanges that never end do not fill memory: the oldest are given up and counted")
    func bounded() throws {
        var table = ExchangeTable(try ResponseFilter(.with { $0.grpcCodes = [2] }))
        for stream in 0..<UInt64(ExchangeTable.waitingMax + 5) { #expect(table.take(Fixtures.exchange(stream)[0]).isEmpty) }
        #expect(table.droppedCount == 5)
        #expect(table.take(Fixtures.exchange(0, grpc: 2)[2]).isEmpty)
        #expect(table.take(Fixtures.exchange(9, grpc: 2)[2]).count == 2)
    }

    @Test("A tap that runs for long remembers no more than one that has just begun")
    func forgets() throws {
        var table = ExchangeTable(try ResponseFilter(.with { $0.grpcCodes = [2] }))
        _ = table.take(Fixtures.exchange(1_000_000)[0])
        for stream in 0..<UInt64(5 * ExchangeTable.slack) {
            for event in Fixtures.exchange(stream, grpc: 0) { #expect(table.take(event).isEmpty) }
        }
        #expect(table.orderCount <= ExchangeTable.slack + 4)
        #expect(table.droppedCount == 0)
        #expect(table.take(Fixtures.exchange(1_000_000, grpc: 2)[2]).count == 2, "the one that waits is still known")
    }

    @Test("Without a filter everything passes at once, and open exchanges are known")
    func open() {
        var table = ExchangeTable(.none)
        let events = Fixtures.exchange(1)
        #expect(table.take(events[0]) == [events[0]])
        #expect(table.openCount == 1)
        table.suppress(1)
        #expect(table.take(events[1]).isEmpty)
        #expect(table.openCount == 0)
    }
}

@Suite("Events as callers see them", .timeLimit(.minutes(1))) struct TranslatorTests {
    private func translated(
        _ event: ProxyEvent, privacy: HeaderPrivacy = HeaderPrivacy(), wantsHeaders: Bool = true
    ) -> Linkerd2_Tap_TapEvent {
        let pods = [
            Fixtures.pod("web-1", ip: "10.0.0.1"), Fixtures.pod("bot-1", ip: "10.0.0.9", deployment: "vote-bot"),
            Fixtures.pod("h1", ip: "10.0.0.7"), Fixtures.pod("h2", ip: "10.0.0.7"),
        ]
        return EventTranslator(
            directory: PodDirectory(Fixtures.index(pods)), privacy: privacy, wantsHeaders: wantsHeaders
        ).translated(event)
    }

    @Test("Addresses get the names of pods and workloads; what the proxy said itself stays")
    func hydrates() {
        let event = translated(Fixtures.exchange(3)[0])
        #expect(event.sourceMeta.labels["pod"] == "bot-1")
        #expect(event.sourceMeta.labels["deployment"] == "vote-bot")
        #expect(event.sourceMeta.labels["tls"] == "true")
        #expect(event.destinationMeta.labels["deployment"] == "web")
        #expect(event.destinationMeta.labels["serviceaccount"] == "sa")
        #expect(event.hasRouteMeta)
        #expect(event.http.requestInit.id.stream == 3)
    }

    @Test("A node is known by its pods, and a pod on its network does not take its name")
    func nodes() {
        var pod = Fixtures.pod("host-1", ip: "10.0.0.9")
        pod.status?.hostIP = "10.0.0.9"
        pod.spec?.nodeName = "worker"
        let directory = PodDirectory(Fixtures.index([pod, Fixtures.pod("web-1", ip: "10.0.0.1")]))
        #expect(directory.labels(ip: "10.0.0.9") == ["node": "worker"])
        #expect(directory.labels(ip: "10.0.0.1")["pod"] == "web-1")
    }

    @Test("Outbound, discovery named the destination already; a shared address names nobody")
    func outbound() {
        var event = Fixtures.exchange(0)[0]
        event.proxyDirection = .outbound
        event.destinationMeta.labels = ["deployment": "x"]
        event.source.ip.ipv4 = 0x0A00_0007
        let result = translated(event)
        #expect(result.destinationMeta.labels == ["deployment": "x"])
        #expect(result.sourceMeta.labels == ["tls": "true"])
    }

    @Test("Credentials are hidden unless the operator says otherwise")
    func redacts() {
        let fields = [("Authorization", "Bearer s3cr3t"), ("cookie", "s3cr3t"), ("x-a", "1"), (":path", "/"), ("x-own", "s3cr3t")]
        let event = Fixtures.exchange(0, headers: fields)[0]
        func shown(_ privacy: HeaderPrivacy) -> [String: String] {
            let headers = translated(event, privacy: privacy).http.requestInit.headers.headers
            return Dictionary(uniqueKeysWithValues: headers.map { ($0.name.lowercased(), $0.valueStr) })
        }
        let usual = shown(HeaderPrivacy(redacted: HeaderPrivacy.redactedByDefault.union(["x-own"])))
        #expect(usual == ["authorization": "[redacted]", "cookie": "[redacted]", "x-a": "1", ":path": "/", "x-own": "[redacted]"])
        #expect(shown(HeaderPrivacy(visible: ["AUTHORIZATION"]))["authorization"] == "Bearer s3cr3t")
        #expect(shown(HeaderPrivacy(ignored: ["Cookie"]))["cookie"] == nil)
        #expect(Set(shown(HeaderPrivacy(allowed: ["x-a"])).keys) == ["x-a", ":path"])
    }

    @Test("A caller who did not ask for headers gets none, even when a filter needed them")
    func withoutHeaders() {
        for event in Fixtures.exchange(0, headers: [("a", "1")], responseHeaders: [("b", "2")]) {
            let result = translated(event, wantsHeaders: false)
            #expect(!result.http.requestInit.hasHeaders && !result.http.responseInit.hasHeaders && !result.http.responseEnd.hasTrailers)
        }
    }

    @Test("A value that is no text travels as bytes")
    func binary() {
        var event = Fixtures.exchange(0, headers: [("x-bin", "")])[0]
        event.http.requestInit.headers.headers[0].value = Data([0xFF, 0x00])
        #expect(translated(event).http.requestInit.headers.headers[0].valueBin == Data([0xFF, 0x00]))
    }

    @Test(
        "IPv6 is written by RFC 5952",
        arguments: [
            (0xFD00_0000_0000_0000, 1, "fd00::1"), (0, 0, "::"), (0, 1, "::1"),
            (0x2001_0DB8_0000_0001, 0x0000_0000_0000_0001, "2001:db8:0:1::1"), (0x0001_0000_0002_0003, 0x0004_0005_0006_0007, "1:0:2:3:4:5:6:7"),
        ] as [(UInt64, UInt64, String)])
    func ipv6(first: UInt64, last: UInt64, text: String) { #expect(IPText.ipv6(first, last) == text) }
}
