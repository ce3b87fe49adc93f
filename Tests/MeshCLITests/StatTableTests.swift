import Foundation
import MeshAPI
import MeshCLI
import Testing

@Suite("The stat table", .timeLimit(.minutes(1))) struct StatTableTests {
    private static func row(
        _ kind: String, _ name: String, meshed: UInt64 = 1, running: UInt64 = 1,
        stats: (success: UInt64, failure: UInt64)? = nil
    ) -> StatTable.Row {
        var row = StatTable.Row()
        row.resource.namespace = "emojivoto"
        row.resource.type = kind
        row.resource.name = name
        row.timeWindow = "1m"
        (row.meshedPodCount, row.runningPodCount) = (meshed, running)
        guard let stats else { return row }
        (row.stats.successCount, row.stats.failureCount) = stats
        (row.stats.latencyMsP50, row.stats.latencyMsP95, row.stats.latencyMsP99) = (1, 4, 9)
        row.tcpStats.openConnections = 3
        (row.tcpStats.readBytesTotal, row.tcpStats.writeBytesTotal) = (6000, 90)
        return row
    }

    static let rows = [
        row("deployment", "web", stats: (108, 12)), row("deployment", "voting", stats: (50, 10)),
        row("deployment", "emoji", stats: (120, 0)), row("deployment", "vote-bot"), row("deployment", "unmeshed", meshed: 0),
    ]

    /// Compares with `Golden/<name>`; `UPDATE_GOLDEN=1` rewrites the file, and the diff is the review.
    private func expectGolden(_ name: String, _ text: String, file: String = #filePath) throws {
        let path = URL(filePath: file).deletingLastPathComponent().appending(path: "Golden/\(name)")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: path) }
        #expect(try String(contentsOf: path, encoding: .utf8) == text)
    }

    @Test("Deployments, as a table")
    func rendersTable() throws {
        let table = StatTable(output: .table, showsNamespace: false, showsUnmeshed: false)
        try expectGolden("stat-deploy.txt", table.rendered(Self.rows))
    }

    @Test("Wide, across namespaces, unmeshed ones too")
    func rendersWide() throws {
        let table = StatTable(output: .wide, showsNamespace: true, showsUnmeshed: true)
        try expectGolden("stat-deploy-wide.txt", table.rendered(Self.rows))
    }

    @Test("Several kinds stand in tables of their own")
    func rendersKinds() throws {
        var pod = Self.row("pod", "web-1", stats: (1, 0))
        pod.status = "Running"
        let table = StatTable(output: .table, showsNamespace: false, showsUnmeshed: false)
        let service = Self.row("service", "web-svc", meshed: 0, running: 0, stats: (5, 5))
        try expectGolden("stat-kinds.txt", table.rendered(Self.rows.prefix(1) + [service, pod]))
    }

    @Test("JSON has null where nothing was measured")
    func rendersJSON() throws {
        let table = StatTable(output: .json, showsNamespace: false, showsUnmeshed: false)
        let text = table.rendered([Self.rows[0], Self.rows[3]])
        try expectGolden("stat-deploy.json", text)
        #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [[String: Any]])
        #expect(table.rendered([]) == "[]\n")
    }

    @Test("No row, no text")
    func rendersNothing() {
        #expect(StatTable(output: .table, showsNamespace: false, showsUnmeshed: false).rendered([]).isEmpty)
    }

    @Test("Digits are fixed and rounded", arguments: [(0.05, 1, "0.1"), (99.996, 2, "100.00"), (1.0, 1, "1.0"), (-0.5, 1, "-0.5")])
    func fixesDigits(value: Double, digits: Int, text: String) {
        #expect(fixed(value, digits: digits) == text)
    }
}

@Suite("The edges table", .timeLimit(.minutes(1))) struct EdgesTableTests {
    private var edge: Linkerd2_Viz_Edge {
        var edge = Linkerd2_Viz_Edge()
        (edge.src.name, edge.src.namespace) = ("web", "emojivoto")
        (edge.dst.name, edge.dst.namespace) = ("voting", "emojivoto")
        edge.clientID = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
        edge.noIdentityMsg = "Not Provided By Service Discovery"
        return edge
    }

    @Test("Names, namespaces, and why an edge is not secured")
    func rendersTable() {
        #expect(
            EdgesTable(output: .table).rendered([edge]) == """
                SRC   DST      SRC_NS      DST_NS      SECURED
                web   voting   emojivoto   emojivoto   Not Provided By Service Discovery

                """)
        #expect(EdgesTable(output: .wide).rendered([edge]).contains("web.emojivoto "))
        #expect(EdgesTable(output: .json).rendered([]) == "[]\n")
    }

    @Test("Kinds without edges are refused in words", arguments: [
        ("svc", "Resource type is not supported: service"),
        ("deploy/web", "Edges cannot be returned for a specific resource name; remove web from query"),
    ])
    func refuses(argument: String, message: String) {
        #expect(throws: ArgumentMistake(message)) { try EdgesCommand.request(argument, namespace: "x") }
    }
}
