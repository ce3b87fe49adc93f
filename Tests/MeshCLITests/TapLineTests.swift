import Foundation
import MeshCLI
import MeshModel
import Testing

@Suite("Lines of a tap", .timeLimit(.minutes(1))) struct TapLineTests {
    /// Compares with `Golden/<name>`; `UPDATE_GOLDEN=1` rewrites the file, and the diff is the review.
    private func expectGolden(_ name: String, _ text: String, file: String = #filePath) throws {
        let path = URL(filePath: file).deletingLastPathComponent().appending(path: "Golden/\(name)")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: path) }
        #expect(try String(contentsOf: path, encoding: .utf8) == text)
    }

    @Test("Every kind of event follows Linkerd's grammar")
    func lines() throws {
        try expectGolden("tap.txt", TapFixtures.all.map { TapLine.text($0) + "\n" }.joined())
    }

    @Test("Wide lines end in sorted labels")
    func wide() throws {
        try expectGolden("tap-wide.txt", TapFixtures.all.map { TapLine.text($0, isWide: true) + "\n" }.joined())
    }

    @Test("JSON has the documented keys in their order")
    func json() throws {
        try expectGolden("tap.json", TapFixtures.all.map { TapJSON.pretty($0) + "\n" }.joined())
    }

    @Test("Each object is JSON by itself, also for other readers")
    func parses() throws {
        for entry in TapFixtures.all {
            let value = try JSONValue(parsing: TapJSON.pretty(entry))
            #expect(value["proxyDirection"]?.stringValue == entry.direction.rawValue)
        }
    }

    @Test("What a peer chose cannot act on the terminal")
    func escapes() {
        var entry = TapFixtures.outbound
        entry.part = .request(
            .init(
                id: .init(base: 0, stream: 0), method: "GET", scheme: "", authority: "a\u{1B}[2Jb",
                path: "/\r\n\u{202E}x\u{7F}\u{9B}é", headers: []))
        let line = TapLine.text(entry)
        #expect(line.hasSuffix(":authority=a\\x1b[2Jb :path=/\\x0d\\x0a\\u{202e}x\\x7f\\x9bé"))
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F })
    }

    @Test("gRPC codes are known by number and name", arguments: [("2", 2), ("Unknown", 2), ("DEADLINE_EXCEEDED", 4), ("cancelled", 1)])
    func codes(text: String, code: UInt32) {
        #expect(GRPCCodes.code(text) == code)
        #expect(GRPCCodes.code("nonsense") == nil)
    }
}

@Suite("Recordings", .timeLimit(.minutes(1))) struct TapRecordingTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "tap-\(UUID().uuidString)").path

    private func recorder(_ masks: Set<TapMask> = [], bytesMax: Int = 0, filesMax: Int = 0) throws -> TapRecorder {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let header = TapRecordingHeader(startedAtMilliseconds: 5, resource: "ns/emojivoto", masked: masks.map(\.rawValue))
        return try TapRecorder(path: folder + "/r", header: header, masks: masks, bytesMax: bytesMax, filesMax: filesMax)
    }

    /// Everything of a recording, in order.
    private func read(_ name: String = "r") throws -> (recorded: [TapRecorded], times: [Int64], badLines: Int, header: TapRecordingHeader) {
        let reader = try TapReader(path: "\(folder)/\(name)")
        var (recorded, times): ([TapRecorded], [Int64]) = ([], [])
        while let (at, one) = try reader.next() {
            recorded.append(one)
            times.append(at)
        }
        return (recorded, times, reader.badLines, reader.header)
    }

    private func text(_ name: String = "r") throws -> String { try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) }

    @Test("What is recorded is what is replayed")
    func roundTrip() throws {
        let recorder = try recorder()
        for (index, entry) in TapFixtures.all.enumerated() { try recorder.add(entry, atMilliseconds: Int64(index)) }
        try recorder.close()
        let read = try read()
        #expect(read.header.resource == "ns/emojivoto")
        #expect(read.recorded == TapFixtures.all.map(TapRecorded.entry))
        #expect(read.times == (0..<8).map(Int64.init))
        #expect(read.badLines == 0)
        let mode = try FileManager.default.attributesOfItem(atPath: folder + "/r")[.posixPermissions] as? Int
        #expect(mode == 0o600)
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("A recording that was cut off gives what is whole, and says what is not")
    func truncated() throws {
        let recorder = try recorder()
        for entry in TapFixtures.all { try recorder.add(entry, atMilliseconds: 0) }
        try recorder.close()
        try String(try text().dropLast(30)).write(toFile: folder + "/cut", atomically: true, encoding: .utf8)
        let read = try read("cut")
        #expect(read.recorded.count == 7)
        #expect(read.badLines == 1)
        for wrong in ["", "hello\n", "{\"format\":\"linkerd-tap\",\"version\":9}\n"] {
            try wrong.write(toFile: folder + "/wrong", atomically: true, encoding: .utf8)
            #expect(throws: ArgumentMistake.self) { try TapReader(path: folder + "/wrong") }
        }
        #expect(throws: ArgumentMistake.self) { try TapReader(path: folder + "/nowhere") }
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("A recording longer than one piece is read line by line, and says what was not shown where it was")
    func long() throws {
        let recorder = try recorder()
        var loss = TapLoss()
        loss.cut = 2
        loss.interruption = TapInterruption(began: Date(timeIntervalSince1970: 1_760_000_000), length: .milliseconds(12_345))
        for at in 0..<2_000 { try recorder.add(TapFixtures.all[at % 8], atMilliseconds: Int64(at)) }
        try recorder.add(loss, atMilliseconds: 2_000)
        try recorder.add(TapFixtures.outbound, atMilliseconds: 2_001)
        try recorder.close()
        let read = try read()
        #expect(read.times == (0...2_001).map(Int64.init))
        #expect(read.recorded[2_000] == .loss(loss))
        #expect(read.badLines == 0)
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("Masked parts never reach the file")
    func masks() throws {
        let recorder = try recorder(Set(TapMask.allCases))
        for entry in TapFixtures.all { try recorder.add(entry, atMilliseconds: 0) }
        try recorder.close()
        let text = try text()
        for secret in ["VoteDoughnut", "voting", "10.0.0", "fd00", "trailers\"}", "web-1"] { #expect(!text.contains(secret), "\(secret)") }
        #expect(text.contains("\"tls\":\"true\""))
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("Rotation keeps so many files, and never overwrites")
    func rotates() throws {
        let recorder = try recorder(bytesMax: 600, filesMax: 2)
        for _ in 0..<20 { try recorder.add(TapFixtures.outbound, atMilliseconds: 0) }
        try recorder.close()
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count == 2)
        for name in names { #expect(try read(name).recorded.isEmpty == false) }
        #expect(throws: ArgumentMistake.self) {
            try TapRecorder(
                path: folder + "/" + names[0],
                header: TapRecordingHeader(startedAtMilliseconds: 0, resource: "", masked: []), masks: [], bytesMax: 0,
                filesMax: 0)
        }
        try FileManager.default.removeItem(atPath: folder)
    }
}
