import LocalNode
import MeshKubernetes
import Testing

@Suite("DNS messages", .timeLimit(.minutes(1))) struct DNSMessageTests {
    /// A query as a stub resolver writes it.
    static func query(_ name: String, type: UInt16, ednsBytes: UInt16? = nil) -> [UInt8] {
        var bytes: [UInt8] = [0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, ednsBytes == nil ? 0 : 1]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0, UInt8(type >> 8), UInt8(type & 255), 0, 1]
        if let size = ednsBytes {
            bytes += [0, 0, 41, UInt8(size >> 8), UInt8(size & 255), 0, 0, 0, 0, 0, 0]
        }
        return bytes
    }

    @Test("A query is read, its name in lower case, its question kept as it came")
    func reads() throws {
        let bytes = Self.query("Web.Default.svc", type: DNSType.a)
        let query = try DNSQuery(parsing: bytes)
        #expect(query.id == 0x1234)
        #expect(query.isRecursionDesired)
        #expect(query.name == "web.default.svc")
        #expect(query.type == DNSType.a)
        #expect(query.answerBytesMax == 512)
        #expect(query.rawQuestion == Array(bytes[12...]))
    }

    @Test(
        "EDNS raises the size of an answer, within one packet",
        arguments: [(100, 512), (900, 900), (4096, 1232)])
    func edns(asked: UInt16, taken: Int) throws {
        #expect(try DNSQuery(parsing: Self.query("a", type: 1, ednsBytes: asked)).answerBytesMax == taken)
    }

    @Test(
        "Broken messages are refused by kind",
        arguments: [
            ([UInt8](repeating: 0, count: 11), DNSFormatError.truncated),
            ([0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1], .isAnswer),
            ([0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1], .notOneQuestion),
            ([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, 97], .truncated),
            ([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1], .badName),
            ([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1], .truncated),
        ])
    func refuses(bytes: [UInt8], error: DNSFormatError) {
        #expect(throws: error) { try DNSQuery(parsing: bytes) }
    }

    @Test("An address answer points at the question")
    func encodesAddress() throws {
        let query = try DNSQuery(parsing: Self.query("a.b", type: DNSType.a))
        let answer = DNSAnswer(
            code: .noError, answers: [DNSRecord(ttlSeconds: 5, content: .address([10, 244, 0, 7]))])
        let bytes = answer.encoded(for: query, bytesMax: 512)
        #expect(bytes.prefix(12) == [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
        #expect(bytes.suffix(16) == [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 244, 0, 7])
    }

    @Test("A missing name carries the zone's SOA, so that resolvers remember it briefly")
    func encodesNegative() throws {
        let query = try DNSQuery(parsing: Self.query("x.cluster.local", type: DNSType.a))
        let bytes = DNSAnswer(code: .nameError, negativeZone: "cluster.local").encoded(
            for: query, bytesMax: 512)
        #expect(bytes[3] & 0x0F == 3)
        #expect(bytes[9] == 1, "one authority record")
        #expect(bytes.suffix(4) == [0, 0, 0, 5])
    }

    @Test("An answer too large for UDP says that it was cut, and holds nothing")
    func truncates() throws {
        let query = try DNSQuery(parsing: Self.query("a", type: DNSType.a))
        let records = (0..<40).map { DNSRecord(ttlSeconds: 5, content: .address([10, 0, 0, $0])) }
        let bytes = DNSAnswer(code: .noError, answers: records).encoded(for: query, bytesMax: 512)
        #expect(bytes[2] & 0x02 != 0)
        #expect(bytes[7] == 0)
        #expect(bytes.count == 12 + query.rawQuestion.count)
    }

    @Test("Any bytes are a query or an error, never a crash")
    func survivesMutation() {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        for _ in 0..<20_000 {
            var bytes = Self.query("web.emojivoto.svc.cluster.local", type: 1, ednsBytes: 1232)
            for _ in 0...random(4) { bytes[random(bytes.count)] = UInt8(random(256)) }
            bytes = Array(bytes.prefix(random(bytes.count + 1)))
            if let query = try? DNSQuery(parsing: bytes) {  // Most are errors.
                let answer = DNSAnswer(code: .nameError, negativeZone: "cluster.local").encoded(
                    for: query, bytesMax: 512)
                #expect(answer.count >= 12)
            }
        }
    }
}

@Suite("Cluster names", .timeLimit(.minutes(1))) struct DNSZoneTests {
    static let zone: DNSZone = {
        let ports = [
            ServicePort {
                $0.name = "http"; $0.port = 80
            }
        ]
        let services = [
            Fixtures.service("web", address: "10.96.0.20", ports: ports),
            Fixtures.service(
                "db", address: "None",
                ports: [
                    ServicePort {
                        $0.name = "sql"; $0.port = 5432
                    }
                ]),
            Fixtures.service("empty", address: "None", ports: ports),
            Service {
                $0.metadata.name = "out"
                $0.metadata.namespace = "shop"
                $0.spec = ServiceSpec {
                    $0.type = "ExternalName"; $0.externalName = "example.org"
                }
            },
        ]
        let slices = [
            Fixtures.slice("web", port: ("http", 8080), endpoints: [("10.244.0.5", true, nil)]),
            Fixtures.slice(
                "db", port: ("sql", 5432),
                endpoints: [
                    ("10.244.0.6", true, "db-0"), ("10.244.0.7", false, "db-1"), ("10.244.0.8", true, nil),
                ]),
        ]
        return DNSZone(clusterDomain: "cluster.local", services: services, slices: slices)
    }()

    @Test(
        "Names resolve to addresses",
        arguments: [
            ("web.shop.svc.cluster.local", [[10, 96, 0, 20]]),
            ("db.shop.svc.cluster.local", [[10, 244, 0, 6], [10, 244, 0, 8]]),
            ("db-0.db.shop.svc.cluster.local", [[10, 244, 0, 6]]),
            ("10-244-0-8.db.shop.svc.cluster.local", [[10, 244, 0, 8]]),
            ("10-244-0-5.web.shop.svc.cluster.local", [[10, 244, 0, 5]]),
            ("10-1-2-3.shop.pod.cluster.local", [[10, 1, 2, 3]]),
        ] as [(String, [[UInt8]])])
    func addresses(name: String, expected: [[UInt8]]) {
        let answer = Self.zone.answer(name: name, type: DNSType.a)
        #expect(answer.code == .noError)
        #expect(answer.answers.map(\.content) == expected.map { .address($0) })
    }

    @Test(
        "What does not exist is said to",
        arguments: [
            "example.org", "web", "nosuch.shop.svc.cluster.local", "empty.shop.svc.cluster.local",
            "db-1.db.shop.svc.cluster.local", "web.shop.cluster.local", "a.b.c.web.shop.svc.cluster.local",
            "_nosuch._tcp.web.shop.svc.cluster.local", "notcluster.local",
        ])
    func missing(name: String) {
        #expect(Self.zone.answer(name: name, type: DNSType.a).code == .nameError)
    }

    @Test("An existing name without the asked type is empty, not missing: glibc asks A and AAAA together")
    func noData() {
        let answer = Self.zone.answer(name: "web.shop.svc.cluster.local", type: DNSType.aaaa)
        #expect(answer.code == .noError && answer.answers.isEmpty && answer.negativeZone == "cluster.local")
    }

    @Test("Ports are found by SRV")
    func services() {
        let clusterIP = Self.zone.answer(name: "_http._tcp.web.shop.svc.cluster.local", type: DNSType.srv)
        #expect(
            clusterIP.answers.map(\.content) == [
                .service(priority: 0, weight: 100, port: 80, target: "web.shop.svc.cluster.local")
            ])
        let headless = Self.zone.answer(name: "_sql._tcp.db.shop.svc.cluster.local", type: DNSType.srv)
        #expect(headless.answers.count == 2)
        #expect(headless.additional.first?.name == "db-0.db.shop.svc.cluster.local")
        #expect(headless.additional.first?.content == .address([10, 244, 0, 6]))
    }

    @Test("An external name is an alias")
    func alias() {
        let answer = Self.zone.answer(name: "out.shop.svc.cluster.local", type: DNSType.a)
        #expect(answer.answers.map(\.content) == [.alias("example.org")])
    }
}
