import Foundation
import MeshModel
import Testing

/// Watches: order, selectors, ends.
@Suite("Watches", .timeLimit(.minutes(2))) struct WatchTests {
    private static let maps = "/api/v1/namespaces/default/configmaps"

    private static func map(_ name: String, tier: String) -> JSONValue {
        ["metadata": ["name": .string(name), "labels": ["tier": .string(tier)]]]
    }

    /// `TYPE name` of the next `count` events.
    private func events(
        _ lines: AsyncThrowingStream<String, any Error>, _ count: Int
    ) async throws -> [String] {
        var events: [String] = []
        for try await line in lines {
            let event = try JSONValue(parsing: line)
            let name = event.value(at: ["object", "metadata", "name"])?.stringValue ?? ""
            events.append("\(event["type"]?.stringValue ?? "?") \(name)")
            if events.count == count { break }
        }
        return events
    }

    @Test("A watch from a list's version sees every later change in order")
    func order() async throws {
        try await TestCluster.run { cluster in
            let version = try await cluster.call(.GET, Self.maps).json.value(at: [
                "metadata", "resourceVersion",
            ])?.stringValue
            // Half of the changes happen before the watch starts, half while it runs.
            _ = try await cluster.call(.POST, Self.maps, Self.map("a", tier: "x"))
            let lines = try await cluster.lines("\(Self.maps)?watch=true&resourceVersion=\(version ?? "")")
            _ = try await cluster.call(.PUT, Self.maps + "/a", Self.map("a", tier: "y"))
            _ = try await cluster.call(.DELETE, Self.maps + "/a")
            #expect(try await events(lines, 3) == ["ADDED a", "MODIFIED a", "DELETED a"])
        }
    }

    @Test("Without a version a watch starts with what is there")
    func initialState() async throws {
        try await TestCluster.run { cluster in
            _ = try await cluster.call(.POST, Self.maps, Self.map("a", tier: "x"))
            let lines = try await cluster.lines("\(Self.maps)?watch=true&labelSelector=tier")
            #expect(try await events(lines, 1) == ["ADDED a"])
        }
    }

    @Test("An object that leaves a selector is DELETED there, one that enters is ADDED")
    func selectorTransitions() async throws {
        try await TestCluster.run { cluster in
            let lines = try await cluster.lines("\(Self.maps)?watch=true&labelSelector=tier%3Dx")
            for tier in ["y", "x", "x", "y", "x"] {
                if tier == "y", try await cluster.call(.GET, Self.maps + "/a").status == 404 {
                    _ = try await cluster.call(.POST, Self.maps, Self.map("a", tier: tier))
                    continue
                }
                var map = Self.map("a", tier: tier)
                map.set(.string(UUID().uuidString), at: ["data", "change"])
                _ = try await cluster.call(.PUT, Self.maps + "/a", map)
            }
            _ = try await cluster.call(.DELETE, Self.maps + "/a")
            #expect(
                try await events(lines, 5) == ["ADDED a", "MODIFIED a", "DELETED a", "ADDED a", "DELETED a"])
        }
    }

    @Test("Initial events end with a marked bookmark when asked for")
    func initialEvents() async throws {
        try await TestCluster.run { cluster in
            let query =
                "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            var last: JSONValue = .null
            for try await line in try await cluster.lines("\(Self.maps)?\(query)") {
                last = try JSONValue(parsing: line)
                if last["type"] == "BOOKMARK" { break }
            }
            #expect(
                last.value(at: ["object", "metadata", "annotations", "k8s.io/initial-events-end"]) == "true")
        }
    }

    @Test("A watch ends when its time is up")
    func timeout() async throws {
        try await TestCluster.run { cluster in
            let lines = try await cluster.lines("\(Self.maps)?watch=true&timeoutSeconds=1&resourceVersion=1")
            var count = 0
            for try await _ in lines { count += 1 }
            #expect(count >= 0)  // Reaching this line is the promise.
        }
    }

    @Test("A version the log no longer has, or does not have yet, is 410")
    func expired() async throws {
        try await TestCluster.run { cluster in
            let ahead = try await cluster.call(.GET, "\(Self.maps)?watch=true&resourceVersion=999999")
            #expect(ahead.status == 410)
            #expect(ahead.json["reason"] == "Expired")
            #expect(try await cluster.call(.GET, "\(Self.maps)?watch=true&resourceVersion=abc").status == 400)
            // More changes than the log keeps; one transaction each.
            let path = Self.maps + "/busy"
            _ = try await cluster.call(.POST, Self.maps, Self.map("busy", tier: "0"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<16 {
                    group.addTask {
                        for number in 0..<330 {
                            let patch: JSONValue = ["data": ["w\(worker)": .string("\(number)")]]
                            _ = try await cluster.call(.PATCH, path, patch, type: PatchTests.merge)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await cluster.call(.GET, "\(Self.maps)?watch=true&resourceVersion=1").status == 410)
        }
    }

    @Test("A watcher as Table gets rows")
    func tables() async throws {
        try await TestCluster.run { cluster in
            _ = try await cluster.call(.POST, Self.maps, Self.map("a", tier: "x"))
            let answer = try await cluster.call(
                .GET, "\(Self.maps)?watch=true&timeoutSeconds=1&labelSelector=tier",
                headers: [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")])
            let line = try JSONValue(parsing: answer.text.split(separator: "\n").first.map(String.init) ?? "")
            #expect(line.value(at: ["object", "kind"]) == "Table")
            #expect(line.value(at: ["object", "rows"])?[0]?["cells"]?[0] == "a")
        }
    }
}
