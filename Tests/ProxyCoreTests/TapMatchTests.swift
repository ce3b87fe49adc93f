import MeshAPI
import NIOCore
import ProxyCore
import SwiftProtobuf
import Testing

private typealias Match = Io_Linkerd_Proxy_Tap_ObserveRequest.Match

/// `GET http://web:80/a/b?c=d` from 10.0.0.9:5000 to 10.1.2.3:8080.
private func matches(_ match: TapMatch, scheme: String = "") throws -> Bool {
    let source = TapSource(
        direction: .outbound, address: try SocketAddress(ipAddress: "10.0.0.9", port: 5_000), labels: [:])
    let destination = TapDestination(
        address: try SocketAddress(ipAddress: "10.1.2.3", port: 8_080), labels: ["deployment": "web"])
    var request = TapRequest()
    request.begin()
    request.setMethod { $0.writeString("GET") }
    request.setScheme { $0.writeString(scheme) }
    request.setAuthority { $0.writeString("web:80") }
    request.setPath { $0.writeString("/a/b?c=d") }
    return match.matches(
        request, on: TapFlow(source: source, destination: destination, route: TapRoute(labels: ["route": "r"])))
}

private func ipv4(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, mask: UInt32) -> Match.Tcp {
    .with {
        $0.netmask.ip.ipv4 = a << 24 | b << 16 | c << 8 | d
        $0.netmask.mask = mask
    }
}

private func http(_ make: (inout Match.Http) -> Void) -> Match {
    var http = Match.Http()
    make(&http)
    return .with { $0.http = http }
}

@Suite("Tap matches", .timeLimit(.minutes(1))) struct TapMatchTests {
    private static let cases: [(String, Match, Bool)] = [
        ("empty all", .with { $0.all = Match.Seq() }, true),
        ("empty any", .with { $0.any = Match.Seq() }, false),
        ("not empty any", .with { $0.not = .with { $0.any = Match.Seq() } }, true),
        ("method", http { $0.method.registered = .get }, true),
        ("other method", http { $0.method.registered = .post }, false),
        ("method as text", http { $0.method.unregistered = "GET" }, true),
        ("methods are case-sensitive", http { $0.method.unregistered = "get" }, false),
        ("no scheme counts as http", http { $0.scheme.registered = .http }, true),
        ("https", http { $0.scheme.registered = .https }, false),
        ("authority", http { $0.authority.exact = "web:80" }, true),
        ("authority's beginning is not it", http { $0.authority.exact = "web" }, false),
        ("authority prefix", http { $0.authority.prefix = "web" }, true),
        ("path leaves the query out", http { $0.path.exact = "/a/b" }, true),
        ("path prefix", http { $0.path.prefix = "/a" }, true),
        ("path prefix does not reach into the query", http { $0.path.prefix = "/a/b?" }, false),
        ("source network", .with { $0.source = ipv4(10, 0, 0, 0, mask: 24) }, true),
        ("source network cut inside a byte", .with { $0.source = ipv4(10, 0, 0, 8, mask: 31) }, true),
        ("source just outside", .with { $0.source = ipv4(10, 0, 0, 10, mask: 31) }, false),
        ("destination host", .with { $0.destination = ipv4(10, 1, 2, 3, mask: 32) }, true),
        ("families do not mix", .with { $0.destination.netmask = .with { $0.ip.ipv6.last = 1; $0.mask = 1 } }, false),
        ("port range", .with { $0.destination.ports = .with { $0.min = 8_000; $0.max = 9_000 } }, true),
        ("one bound means that port", .with { $0.destination.ports.min = 8_080 }, true),
        ("one bound, another port", .with { $0.source.ports.max = 4_999 }, false),
        ("label", .with { $0.destinationLabel = .with { $0.key = "deployment"; $0.value = "web" } }, true),
        ("label's other value", .with { $0.destinationLabel = .with { $0.key = "deployment"; $0.value = "x" } }, false),
        ("route label", .with { $0.routeLabel = .with { $0.key = "route"; $0.value = "r" } }, true),
        ("unknown route label", .with { $0.routeLabel = .with { $0.key = "x"; $0.value = "r" } }, false),
    ]

    @Test("Each kind of match says yes and no", arguments: 0..<Self.cases.count)
    func kinds(index: Int) throws {
        let (name, message, expected) = Self.cases[index]
        #expect(try matches(try TapMatch(message)) == expected, "\(name)")
    }

    @Test("All needs every part, any needs one")
    func combines() throws {
        let get = http { $0.method.registered = .get }
        let post = http { $0.method.registered = .post }
        let both = Match.Seq.with { $0.matches = [get, post] }
        #expect(try !matches(TapMatch(.with { $0.all = both })))
        #expect(try matches(TapMatch(.with { $0.any = both })))
        #expect(try matches(TapMatch(http { $0.scheme.registered = .https }), scheme: "https"))
    }

    private static let refused: [(String, Match, String)] = [
        ("nothing", Match(), "missing required field"),
        ("not nothing", .with { $0.not = Match() }, "missing required field"),
        ("label without a key", .with { $0.destinationLabel.value = "x" }, "missing required field"),
        ("label without a value", .with { $0.routeLabel.key = "x" }, "missing required field"),
        ("no ports", .with { $0.source.ports = .init() }, "invalid port"),
        ("a port that cannot be", .with { $0.source.ports.min = 65_536 }, "invalid port"),
        ("mask 0", .with { $0.source = ipv4(10, 0, 0, 0, mask: 0) }, "invalid network"),
        ("mask beyond the family", .with { $0.source = ipv4(10, 0, 0, 0, mask: 33) }, "invalid network"),
        ("network without address", .with { $0.source.netmask.mask = 8 }, "missing required field"),
        ("unknown method", http { $0.method.registered = .UNRECOGNIZED(99) }, "invalid method"),
        ("unknown scheme", http { $0.scheme.registered = .UNRECOGNIZED(99) }, "invalid scheme"),
        ("no text", http { $0.path = .init() }, "missing required field"),
    ]

    @Test("What cannot be meant is refused with a reason", arguments: 0..<Self.refused.count)
    func refuses(index: Int) {
        let (name, message, reason) = Self.refused[index]
        #expect(throws: TapRequestError(message: reason), "\(name)") { try TapMatch(message) }
    }

    @Test("A predicate has a bounded number of parts")
    func bounded() throws {
        let part = http { $0.method.registered = .get }
        let many = Match.with { $0.all.matches = Array(repeating: part, count: TapMatch.partsMax - 1) }
        #expect(try matches(TapMatch(many)))
        let more = Match.with { $0.all.matches = Array(repeating: part, count: TapMatch.partsMax) }
        #expect(throws: TapRequestError.self) { try TapMatch(more) }
    }
}
