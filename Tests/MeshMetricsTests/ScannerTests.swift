import MeshMetrics
import Testing

/// SplitMix64: the same numbers for the same seed, on every machine.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

@Suite("The quick reader of scrapes", .timeLimit(.minutes(1))) struct ScannerTests {
    private struct Reading: Equatable {
        let series: String
        /// By its bits: one NaN is like another here.
        let bits: UInt64

        init(series: String, value: Double) {
            self.series = series
            bits = value.bitPattern
        }
    }

    /// Lines as the quick reader cuts them, confirmed by the strict one as its caller does.
    private func scan(_ bytes: [UInt8]) -> (readings: [Reading], quick: Int, malformed: Int) {
        var scanner = ExpositionScanner()
        var readings: [Reading] = []
        var quickCount = 0
        var malformed = 0
        // SAFETY: bytes have no padding, and the array outlives this call.
        let span = unsafe bytes.span.bytes
        while let item = scanner.next(in: span) {
            switch item {
            case .type: continue
            case .malformed: malformed += 1
            case .line(let line):
                guard let strict = ExpositionParser.strict(line.range, in: bytes) else {
                    malformed += 1
                    continue
                }
                if let quick = ExpositionScanner.quick(line, in: span), quick.series == strict.series {
                    quickCount += 1
                    #expect(Double(quick.value) == strict.value)
                }
                readings.append(
                    Reading(series: String(decoding: bytes[strict.series], as: UTF8.self), value: strict.value))
            }
        }
        return (readings, quickCount, malformed)
    }

    private func parse(_ bytes: [UInt8]) -> (readings: [Reading], malformed: Int) {
        var parser = ExpositionParser()
        var readings: [Reading] = []
        parser.forEachSample(in: bytes) {
            readings.append(Reading(series: String(decoding: bytes[$0.series], as: UTF8.self), value: $0.value))
        }
        return (readings, parser.malformedLineCount)
    }

    private static let document = """
        # HELP response_total Responses
        # TYPE response_total counter
        response_total{direction="inbound",status_code="200"} 17
        response_total{direction="outbound",authority="a b\\"} 5"} 900719925474
        tcp_open_connections{peer="src"}  3
        process_start_time_seconds 1700000000.25
        up 1
        gone{a="b"} NaN
        timed{a="b"} 4 1700000000000
        # TYPE exemplified counter
        exemplified_total{a="b"} 9 # {trace_id="x"} 1
        # EOF

        """

    @Test("Plain lines are cut quickly, all others read in full, and both agree with the strict parser")
    func agrees() {
        let bytes = Array(Self.document.utf8)
        let scanned = scan(bytes)
        let parsed = parse(bytes)
        #expect(scanned.readings == parsed.readings)
        #expect(scanned.malformed == 0 && parsed.malformed == 0)
        #expect(scanned.readings.count == 8)
        #expect(scanned.quick == 3, "two with labels and one without")
    }

    @Test("Damaged documents never crash it, and it finds what the strict parser finds", arguments: (1...300).map { UInt64($0) })
    func mutations(seed: UInt64) {
        var random = Seeded(state: seed)
        var bytes = Array(Self.document.utf8)
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            let offset = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[offset] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: offset)
            case 2: bytes.insert(contentsOf: [0x22, 0x7D, 0x20, 0x39], at: offset)
            default: bytes.removeSubrange(offset..<min(bytes.count, offset + 40))
            }
            if bytes.isEmpty { bytes = [0x0A] }
        }
        let scanned = scan(bytes)
        let parsed = parse(bytes)
        #expect(scanned.readings == parsed.readings, "seed \(seed)")
        #expect(scanned.malformed == parsed.malformed, "seed \(seed)")
    }

    @Test("Types and the end of OpenMetrics are seen")
    func comments() {
        let bytes = Array(Self.document.utf8)
        var scanner = ExpositionScanner()
        var types: [String] = []
        // SAFETY: bytes have no padding, and the array outlives this call.
        let span = unsafe bytes.span.bytes
        #expect(!scanner.hasSeenEOF)
        while let item = scanner.next(in: span) {
            guard case .type(let type) = item else { continue }
            types.append(ExpositionParser.text(of: type.name, in: bytes) + " " + ExpositionParser.text(of: type.type, in: bytes))
        }
        #expect(types == ["response_total counter", "exemplified counter"])
        #expect(scanner.hasSeenEOF)
    }

    @Test("The first of a byte is found wherever it stands, whatever stands beside it")
    func firstByte() {
        for length in 0...26 {
            for neighbour in [UInt8(0x0B), 0x09, 0x8A, 0x00, 0xFF] {
                for place in 0...length {
                    var bytes = [UInt8](repeating: neighbour, count: length)
                    if place < length { bytes[place] = 0x0A }
                    if place + 3 < length { bytes[place + 3] = 0x0A }
                    for start in 0...place {
                        // SAFETY: bytes have no padding, and the array outlives the call.
                        #expect(unsafe bytes.span.bytes.first(0x0A, from: start) == place)
                    }
                }
            }
        }
    }
}
