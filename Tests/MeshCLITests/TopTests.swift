import MeshCLI
import Testing

@Suite("The top table", .timeLimit(.minutes(1))) struct TopTests {
    private func exchange(
        _ stream: UInt64, path: String = "/a", status: UInt32 = 200, grpc: UInt32? = nil, reset: UInt32? = nil,
        millis: Int64 = 1
    ) -> [TapEntry] {
        let id = TapEntry.ID(base: 1, stream: stream)
        return [
            TapFixtures.with(.request(.init(id: id, method: "GET", scheme: "", authority: "", path: path, headers: []))),
            TapFixtures.with(.response(.init(id: id, sinceRequest: .milliseconds(millis), status: status, headers: []))),
            TapFixtures.with(
                .end(
                    .init(
                        id: id, sinceRequest: .milliseconds(millis), sinceResponse: .zero, bytes: 0, grpcStatus: grpc,
                        resetCode: reset, trailers: []))),
        ]
    }

    private func table(_ entries: [[TapEntry]], _ shape: TopShape = TopShape()) -> TopTable {
        var table = TopTable(shape)
        for entry in entries.joined() { table.take(entry) }
        return table
    }

    @Test("Requests count when they end, with the best, worst and last time")
    func counts() throws {
        var table = table([exchange(0, millis: 5), exchange(1, millis: 2), exchange(2, millis: 3)])
        let row = try #require(table.allRows.first)
        #expect(table.allRows.count == 1)
        #expect(row.count == 3)
        #expect((row.best, row.worst, row.last) == (.milliseconds(2), .milliseconds(5), .milliseconds(3)))
        #expect((row.source, row.destination) == ("web-1", "voting-1"))
        for entry in exchange(3).dropLast() { table.take(entry) }
        #expect(table.total == 3)
    }

    @Test(
        "A 5xx, a reset and some gRPC codes fail; PermissionDenied does not, here",
        arguments: [
            (200, nil, nil, 1.0), (503, nil, nil, 0), (200, 2, nil, 0), (200, 7, nil, 1), (200, 0, nil, 1),
            (200, nil, 8, 0),
        ] as [(UInt32, UInt32?, UInt32?, Double)])
    func classifies(status: UInt32, grpc: UInt32?, reset: UInt32?, rate: Double) throws {
        let row = try #require(table([exchange(0, status: status, grpc: grpc, reset: reset)]).allRows.first)
        #expect(row.successRate == rate)
    }

    @Test("Rows are bounded; what is beyond is added up together")
    func bounded() {
        let table = table((0..<UInt64(TopTable.rowsMax + 50)).map { exchange($0, path: "/\($0)") })
        #expect(table.allRows.count == TopTable.rowsMax + 1)
        #expect(table.total == UInt64(TopTable.rowsMax + 50))
    }

    @Test("Sorting by each column is stable, and can be reversed; a filter looks into texts")
    func sorts() {
        let table = table([exchange(0, path: "/b"), exchange(1, path: "/a"), exchange(2, path: "/a"), exchange(3, path: "/c", status: 500)])
        #expect(table.sorted(by: .count).map(\.path) == ["/a", "/b", "/c"])
        #expect(table.sorted(by: .path, isReversed: true).map(\.path) == ["/c", "/b", "/a"])
        #expect(table.sorted(by: .successRate).first?.path == "/c")
        #expect(table.sorted(by: .count, filter: "/B").map(\.path) == ["/b"])
    }

    @Test("Routes replace methods and paths")
    func routes() {
        let table = table([exchange(0)], TopShape(hidesSources: true, showsRoutes: true))
        #expect(table.allRows.first?.route == "VoteDoughnut")
        #expect(table.shape.columns == [.destination, .route, .count, .best, .worst, .last, .successRate])
    }

    @Test("The screen never passes its size, at any width", arguments: [(80, 24), (200, 50), (10, 3), (1, 1)])
    func fits(width: Int, height: Int) {
        var screen = TopScreen(TopShape())
        for index in 0..<UInt64(60) { for entry in exchange(index, path: "/\(index)/\u{1B}[2J") { screen.take(entry) } }
        let lines = screen.lines(width: width, height: height)
        #expect(lines.count <= height)
        #expect(lines.allSatisfy { $0.text.count <= width })
        #expect(!lines.contains { $0.text.unicodeScalars.contains("\u{1B}") })
    }

    @Test("Keys sort, filter, pause, open a row and quit")
    func keys() {
        var screen = TopScreen(TopShape())
        for entry in exchange(0, path: "/first") { screen.take(entry) }
        #expect(screen.lines(width: 200, height: 30)[3].isBold)
        screen.press(.character("s"))
        #expect(screen.sortColumn == .best)
        for key in "/fir" { screen.press(.character(key)) }
        screen.press(.enter)
        #expect(screen.filter == "fir")
        screen.press(.character(" "))
        for entry in exchange(1, path: "/first") { screen.take(entry) }
        #expect(screen.lines(width: 200, height: 30)[4].text.contains(" 1  "))
        screen.press(.character(" "))
        #expect(screen.lines(width: 200, height: 30)[4].text.contains(" 2  "))
        screen.press(.enter)
        #expect(screen.mode == .detail)
        #expect(screen.lines(width: 200, height: 30).contains { $0.text.hasPrefix("Path") && $0.text.hasSuffix("/first") })
        screen.press(.escape)
        screen.press(.character("q"))
        #expect(screen.isDone)
    }

    @Test(
        "Bytes become keys, and a broken sequence waits or goes",
        arguments: [
            ([0x71], [TopKey.character("q")], 0), ([0x1B, 0x5B, 0x41, 0x61], [.up, .character("a")], 0),
            ([0x1B], [.escape], 0), ([0xC3], [], 1), ([0xC3, 0xA9], [.character("é")], 0), ([0x03], [.interrupt], 0),
            ([0xFF, 0x0D], [.enter], 0),
        ] as [([UInt8], [TopKey], Int)])
    func reads(bytes: [UInt8], keys: [TopKey], left: Int) {
        var bytes = bytes
        #expect(KeyReader.keys(&bytes) == keys)
        #expect(bytes.count == left)
    }
}
