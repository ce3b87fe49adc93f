import Foundation
import MeshModel
import Testing

/// `pods/log` over files as the node agent writes them.
@Suite("Pod logs", .timeLimit(.minutes(2))) struct LogTests {
    private static let path = "/api/v1/namespaces/default/pods"

    /// A running pod whose container has written `lines`.
    private static func withLog(
        _ lines: [String], run: Int = 0,
        _ body: @escaping @Sendable (TestCluster, String) async throws -> Void
    ) async throws {
        try await TestCluster.run { cluster in
            let pod = try await cluster.call(.POST, path, TestCluster.pod("web")).json
            let uid = pod.value(at: ["metadata", "uid"])?.stringValue ?? ""
            let directory = "\(cluster.directory)/logs/default_web_\(uid)/app"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try lines.map { $0 + "\n" }.joined().write(
                toFile: "\(directory)/\(run).log", atomically: true, encoding: .utf8)
            try await body(cluster, directory)
        }
    }

    private static let lines = (1...5).map { "2026-03-0\($0)T10:00:00.000000001Z line \($0)" }

    @Test(
        "Lines are chosen as asked",
        arguments: [
            ("", "line 1\nline 2\nline 3\nline 4\nline 5\n"), ("?tailLines=2", "line 4\nline 5\n"),
            ("?tailLines=0", ""),
            ("?tailLines=99", "line 1\nline 2\nline 3\nline 4\nline 5\n"), ("?limitBytes=9", "line 1\nli"),
            ("?tailLines=1&timestamps=true", "2026-03-05T10:00:00.000000001Z line 5\n"),
            ("?sinceTime=2026-03-04T00:00:00Z", "line 4\nline 5\n"),
            ("?container=app&tailLines=1", "line 5\n"),
        ])
    func selections(query: String, expected: String) async throws {
        try await Self.withLog(Self.lines) { cluster, _ in
            let answer = try await cluster.call(.GET, Self.path + "/web/log" + query)
            #expect(answer.status == 200)
            #expect(answer.text == expected)
        }
    }

    @Test("A long log is read from the right place")
    func longLogs() async throws {
        let many = (0..<20_000).map { "2026-03-01T10:00:00Z line \($0)" }
        try await Self.withLog(many) { cluster, _ in
            let answer = try await cluster.call(.GET, Self.path + "/web/log?tailLines=6000")
            let lines = answer.text.split(separator: "\n")
            #expect(lines.count == 6_000)
            #expect(lines.first == "line 14000")
        }
    }

    @Test("Following gives what is written later, and ends with the container")
    func follows() async throws {
        try await Self.withLog(["2026-03-01T10:00:00Z first"]) { cluster, directory in
            var seen: [String] = []
            for try await line in try await cluster.lines(Self.path + "/web/log?follow=true") {
                seen.append(line)
                if seen.count == 1 {
                    let handle = try #require(FileHandle(forWritingAtPath: directory + "/0.log"))
                    try handle.seekToEnd()
                    try handle.write(contentsOf: Data("2026-03-01T10:00:01Z second\n".utf8))
                } else {
                    let patch: JSONValue = ["status": ["phase": "Succeeded"]]
                    _ = try await cluster.call(
                        .PATCH, Self.path + "/web/status", patch, type: PatchTests.merge)
                }
            }
            #expect(seen == ["first", "second"])
        }
    }

    @Test("The previous run is another file")
    func previous() async throws {
        try await Self.withLog(["2026-03-01T10:00:00Z new"], run: 1) { cluster, directory in
            #expect(try await cluster.call(.GET, Self.path + "/web/log?previous=true").status == 400)
            try "2026-03-01T09:00:00Z old\n".write(
                toFile: directory + "/0.log", atomically: true, encoding: .utf8)
            #expect(try await cluster.call(.GET, Self.path + "/web/log?previous=true").text == "old\n")
            #expect(try await cluster.call(.GET, Self.path + "/web/log").text == "new\n")
        }
    }

    @Test("What cannot be read is refused with a reason")
    func refusals() async throws {
        try await TestCluster.run { cluster in
            var pod = TestCluster.pod("web")
            pod.set(
                [["name": "a", "image": "x"], ["name": "b", "image": "x"]], at: ["spec", "containers"])
            _ = try await cluster.call(.POST, Self.path, pod)
            #expect(try await cluster.call(.GET, Self.path + "/none/log").status == 404)
            let several = try await cluster.call(.GET, Self.path + "/web/log")
            #expect(several.json["message"]?.stringValue?.contains("choose one of: [a b]") == true)
            let waiting = try await cluster.call(.GET, Self.path + "/web/log?container=a")
            #expect(waiting.json["message"]?.stringValue?.contains("is waiting to start") == true)
            #expect(try await cluster.call(.GET, Self.path + "/web/log?container=z").status == 400)
            #expect(
                try await cluster.call(.GET, Self.path + "/web/log?container=a&tailLines=-1").status == 400)
        }
    }
}
