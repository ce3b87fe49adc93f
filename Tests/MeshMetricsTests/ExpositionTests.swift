import MeshMetrics
import Testing

@Suite("Exposition format", .timeLimit(.minutes(1))) struct ExpositionTests {
    private func parse(_ text: String) -> (samples: [(String, [String: String], Double)], malformed: Int) {
        let bytes = Array(text.utf8)
        var parser = ExpositionParser()
        var samples: [(String, [String: String], Double)] = []
        parser.forEachSample(in: bytes) { sample in
            samples.append(
                (ExpositionParser.text(of: sample.name, in: bytes), ExpositionParser.labels(of: sample, in: bytes), sample.value))
        }
        return (samples, parser.malformedLineCount)
    }

    @Test("What is written is read back, escapes included")
    func roundTrips() throws {
        var writer = ExpositionWriter()
        writer.family("request_total", help: "Requests\nseen \\ counted.", type: .counter)
        writer.sample("request_total", labels: [("authority", "a\"b\\c\nd}"), ("direction", "inbound")], value: UInt64(42))
        writer.family("up", help: "h", type: .gauge)
        writer.sample("up", labelText: "", value: 1.5)
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(text.contains("# HELP request_total Requests\\nseen \\\\ counted.\n# TYPE request_total counter\n"))
        let (samples, malformed) = parse(text)
        #expect(malformed == 0)
        try #require(samples.count == 2)
        #expect(samples[0].0 == "request_total")
        #expect(samples[0].1 == ["authority": "a\"b\\c\nd}", "direction": "inbound"])
        #expect(samples[0].2 == 42)
        #expect(samples[1].0 == "up" && samples[1].1.isEmpty && samples[1].2 == 1.5)
    }

    @Test("Histograms are cumulative and end with +Inf, sum and count")
    func writesHistograms() {
        var writer = ExpositionWriter()
        writer.histogram("latency_ms", labelText: "a=\"b\"", bounds: [1, 5], counts: [2, 0, 3], sum: 99)
        #expect(
            String(decoding: writer.bytes, as: UTF8.self) == """
                latency_ms_bucket{a="b",le="1"} 2
                latency_ms_bucket{a="b",le="5"} 2
                latency_ms_bucket{a="b",le="+Inf"} 5
                latency_ms_sum{a="b"} 99
                latency_ms_count{a="b"} 5

                """)
    }

    @Test("One bad line costs only itself")
    func skipsMalformedLines() {
        let (samples, malformed) = parse("good 1\nbad{a=\"b\" 2\n{x=\"y\"} 3\nnovalue\nalso_good{} 4 1700000000\r\n# EOF\n")
        #expect(samples.map(\.0) == ["good", "also_good"])
        #expect(samples.map(\.2) == [1, 4])
        #expect(malformed == 3)
    }

    @Test("Values in every spelling", arguments: [
        ("1", 1.0), ("1e3", 1000), ("-2.5", -2.5), ("+Inf", .infinity), ("-Inf", -.infinity), ("12345678901234567168", 12_345_678_901_234_567_168),
    ])
    func readsValues(text: String, value: Double) {
        #expect(parse("m \(text)\n").samples.map(\.2) == [value])
    }
}

@Suite("Latency buckets", .timeLimit(.minutes(1))) struct LatencyBucketsTests {
    @Test("A bound belongs to its own bucket", arguments: [
        (0, 0), (1, 0), (2, 1), (5, 4), (6, 5), (10, 5), (11, 6), (50_000, 24), (50_001, 25), (UInt64.max, 25),
    ])
    func places(milliseconds: UInt64, index: Int) {
        #expect(LatencyBuckets.index(milliseconds: milliseconds) == index)
    }

    @Test("Bounds ascend and number twenty-five")
    func ascend() {
        #expect(LatencyBuckets.boundsMilliseconds.count == 25)
        #expect(LatencyBuckets.boundsMilliseconds == LatencyBuckets.boundsMilliseconds.sorted())
    }
}
