import MeshModel
import Testing

@Suite("Durations in Go's notation", .timeLimit(.minutes(1))) struct GoDurationTests {
    @Test("Accepted texts", arguments: [
        ("10s", 10_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("250ms", 250), ("0", 0), ("-2s", -2_000), ("30d", 2_592_000_000),
    ])
    func parses(text: String, milliseconds: Int64) {
        #expect(GoDuration.parse(text) == .milliseconds(milliseconds))
    }

    @Test("Refused texts", arguments: ["", "10", "s", "1x", "1m30", "1..5s", "ten s", "9999999999h"])
    func refuses(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test("Written as Go prints them", arguments: [
        (Duration.seconds(60), "1m0s"), (.seconds(3600), "1h0m0s"), (.milliseconds(1500), "1.5s"), (.milliseconds(250), "250ms"),
        (.zero, "0s"), (.microseconds(1500), "1.5ms"), (.nanoseconds(7), "7ns"), (.seconds(-90), "-1m30s"),
    ])
    func formats(duration: Duration, text: String) {
        #expect(GoDuration.format(duration) == text)
    }
}

@Suite("Kinds of resources", .timeLimit(.minutes(1))) struct ResourceKindTests {
    @Test("Every spelling leads to its kind", arguments: [
        ("deploy", ResourceKind.deployment), ("Deployments", .deployment), ("po", .pod), ("ns", .namespace), ("svc", .service),
        ("sts", .statefulset), ("authorities", .authority), ("saz", .serverauthorization), ("all", .all),
    ])
    func resolves(alias: String, kind: ResourceKind) {
        #expect(ResourceKind(alias: alias) == kind)
    }

    @Test("No spelling means two kinds")
    func isUnambiguous() {
        #expect(ResourceKind(alias: "route") == nil)
        for kind in ResourceKind.allCases { #expect(ResourceKind(alias: kind.plural) == kind) }
    }

    @Test("Jobs have their own metric label")
    func labels() {
        #expect(ResourceKind.job.metricLabel == "k8s_job")
        #expect(ResourceKind.deployment.metricLabel == "deployment")
    }
}

@Suite("Configuration", .timeLimit(.minutes(1))) struct ConfigReaderTests {
    @Test("All mistakes are reported together, and unknown keys by name")
    func reportsAllMistakes() {
        var reader = ConfigReader(DictionarySource(["A_PORT": "seventy", "A_WAIT": "10", "A_NAME": "x", "A_TYPO": "1"]))
        #expect(reader.integer("A_PORT", default: 4143, in: 1...65_535) == 4143)
        #expect(reader.duration("A_WAIT", default: .seconds(3)) == .seconds(3))
        #expect(reader.text("A_NAME", default: "y") == "x")
        #expect(reader.unknownKeys(prefix: "A_") == ["A_TYPO"])
        let error = #expect(throws: ConfigError.self) { try reader.finish() }
        #expect(error?.mistakes.map(\.key) == ["A_PORT", "A_WAIT"])
    }

    @Test("Unset and empty mean the default")
    func defaults() throws {
        var reader = ConfigReader(DictionarySource(["EMPTY": ""]))
        #expect(reader.text("EMPTY", default: "d") == "d")
        #expect(reader.integer("UNSET", default: 7, in: 0...9) == 7)
        try reader.finish()
    }
}
