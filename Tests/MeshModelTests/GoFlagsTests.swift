import MeshModel
import Testing

@Suite("Go-style flags", .timeLimit(.minutes(1))) struct GoFlagsTests {
    @Test(
        "Single dashes become double, bare booleans get a value",
        arguments: [
            (["destination", "-addr", ":8086"], ["destination", "--addr", ":8086"]),
            (["-addr=:8086", "--log-level=info"], ["--addr=:8086", "--log-level=info"]),
            (["-pprof", "-x"], ["--pprof=true", "-x"]),
            (["-pprof=false"], ["--pprof=false"]),
            (["-limit", "-5"], ["--limit", "-5"]),
            (["-a-b", "--", "-kept"], ["--a-b", "--", "-kept"]),
        ])
    func normalises(given: [String], expected: [String]) {
        #expect(GoFlags.normalise(given, booleans: ["pprof"]) == expected)
    }

    @Test(
        "Listen addresses",
        arguments: [
            (":8086", "0.0.0.0", 8_086), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:80", "::1", 80),
        ])
    func addresses(text: String, host: String, port: Int) {
        #expect(GoFlags.listenAddress(text)?.host == host)
        #expect(GoFlags.listenAddress(text)?.port == port)
    }

    @Test("Not an address", arguments: ["8086", ":x", ":70000", ""])
    func refuses(text: String) { #expect(GoFlags.listenAddress(text) == nil) }
}
