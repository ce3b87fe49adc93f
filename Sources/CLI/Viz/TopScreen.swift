// What `top` shows and what its keys do, without a terminal: a screen is lines of text. Pure.

/// A key the user pressed.
package enum TopKey: Sendable, Equatable {
    case character(Character)
    case left, right, up, down, enter, escape, backspace, interrupt
}

/// The state of the screen.
package struct TopScreen: Sendable {
    package enum Mode: Sendable, Equatable {
        case table
        /// Typing the filter.
        case filter
        /// One row with all it has.
        case detail
        case help
    }

    /// Cells moved by one key.
    static let scrollCells = 5
    static let gap = 2

    package var table: TopTable
    package private(set) var mode = Mode.table
    package private(set) var isPaused = false
    package private(set) var isDone = false
    package private(set) var filter = ""
    package private(set) var sortColumn = TopColumn.count
    package private(set) var isReversed = false
    /// Said at the bottom, such as the end of the stream.
    package var notice = ""
    private var frozen: [TopRow] = []
    private var selected = 0
    private var scrolled = 0

    package init(_ shape: TopShape) { table = TopTable(shape) }

    /// Takes one event; while paused it is counted, but not shown.
    package mutating func take(_ entry: TapEntry) { table.take(entry) }

    private var rows: [TopRow] {
        isPaused ? frozen : table.sorted(by: sortColumn, filter: filter, isReversed: isReversed)
    }

    // MARK: Keys

    /// Does what the key means.
    package mutating func press(_ key: TopKey) {
        if key == .interrupt {
            isDone = true
            return
        }
        switch mode {
        case .table: pressInTable(key)
        case .filter: pressInFilter(key)
        case .detail, .help: mode = .table
        }
    }

    private mutating func pressInTable(_ key: TopKey) {
        switch key {
        case .character("q"): isDone = true
        case .left, .character("a"): scrolled = max(0, scrolled - Self.scrollCells)
        case .right, .character("d"): scrolled += Self.scrollCells
        case .up, .character("k"): selected = max(0, selected - 1)
        case .down, .character("j"): selected = min(max(0, rows.count - 1), selected + 1)
        case .enter: if !rows.isEmpty { mode = .detail }
        case .character("/"): mode = .filter
        case .escape: filter = ""
        case .character("s"): sortNext()
        case .character("r"): isReversed.toggle()
        case .character("c"): table.clear()
        case .character("h"), .character("?"): mode = .help
        case .character(" "), .character("p"):
            frozen = rows
            isPaused.toggle()
        default: break
        }
    }

    private mutating func pressInFilter(_ key: TopKey) {
        switch key {
        case .character(let character): filter.append(character)
        case .backspace: if !filter.isEmpty { filter.removeLast() }
        case .escape:
            filter = ""
            mode = .table
        case .enter: mode = .table
        default: break
        }
    }

    private mutating func sortNext() {
        let columns = table.shape.columns
        let index = columns.firstIndex(of: sortColumn) ?? 0
        sortColumn = columns[(index + 1) % columns.count]
        isReversed = false
    }

    // MARK: Lines

    /// A line and whether it stands out.
    package struct Line: Sendable, Equatable {
        package var text: String
        package var isBold = false
        package var isSelected = false
    }

    /// The screen of so many columns and lines; never more, never wider.
    package func lines(width: Int, height: Int) -> [Line] {
        let lines: [Line] =
            switch mode {
            case .help: Self.help
            case .detail: detail
            case .table, .filter: tableLines(height: height)
            }
        return lines.prefix(max(0, height)).map { line in
            var line = line
            line.text = String(line.text.prefix(max(0, width)))
            return line
        }
    }

    private static let help: [Line] =
        ["Keys", ""].map { Line(text: $0, isBold: true) }
        + [
            "q          quit", "a d ← →    scroll left and right", "j k ↓ ↑    choose a row", "enter      the row alone",
            "s          sort by the next column", "r          turn the order round",
            "/          show only rows with a text; escape shows all", "space      pause and go on",
            "c          start counting again", "any key goes back",
        ].map { Line(text: $0) }

    private var detail: [Line] {
        let rows = rows
        guard rows.indices.contains(selected) else { return [Line(text: "(gone; any key goes back)")] }
        let row = rows[selected]
        let columns: [TopColumn] = TopColumn.allCases.filter { $0.isNumber || !row.text($0).isEmpty }
        let width = columns.map(\.rawValue.count).max() ?? 0
        return [Line(text: "(any key goes back)"), Line(text: "")]
            + columns.map { column in
                let padding = String(repeating: " ", count: width - column.rawValue.count)
                return Line(text: "\(column.rawValue)\(padding)  \(row.text(column))")
            }
    }

    private func tableLines(height: Int) -> [Line] {
        var status = isPaused ? "PAUSED  " : ""
        status += "sorted by \(sortColumn.rawValue)\(isReversed ? ", reversed" : "")"
        if mode == .filter || !filter.isEmpty {
            status += "  filter: \(TapLine.safe(filter))\(mode == .filter ? "_" : "")"
        }
        if !notice.isEmpty { status += "  \(notice)" }
        let rows = rows
        let bodyHeight = max(0, height - 4)
        let chosen = min(selected, max(0, rows.count - 1))
        let first = chosen < bodyHeight ? 0 : chosen - bodyHeight + 1
        let shown = Array(rows.dropFirst(first).prefix(bodyHeight))
        let text = Self.columns(table.shape.columns, shown)
        return [
            Line(text: "(press q to quit, h for the other keys)"),
            Line(text: "(press a/LeftArrowKey to scroll left, d/RightArrowKey to scroll right)"),
            Line(text: status),
            Line(text: scroll(text.heading), isBold: true),
        ]
            + text.rows.enumerated().map { index, row in
                Line(text: scroll(row), isSelected: first + index == chosen)
            }
    }

    private func scroll(_ text: String) -> String { String(text.dropFirst(scrolled)) }

    /// Cells padded to their column: texts to the left, numbers to the right.
    package static func columns(_ columns: [TopColumn], _ rows: [TopRow]) -> (heading: String, rows: [String]) {
        let cells = rows.map { row in columns.map { row.text($0) } }
        let widths = columns.indices.map { index in
            max(minimumWidth(columns[index]), cells.map { $0[index].count }.max() ?? 0)
        }
        func line(_ texts: [String]) -> String {
            let padded = columns.indices.map { index in
                let padding = String(repeating: " ", count: max(0, widths[index] - texts[index].count))
                return columns[index].isNumber ? padding + texts[index] : texts[index] + padding
            }
            return padded.joined(separator: String(repeating: " ", count: gap))
        }
        return (line(columns.map(\.rawValue)), cells.map(line))
    }

    private static func minimumWidth(_ column: TopColumn) -> Int {
        switch column {
        case .source, .destination: 23
        case .method: 10
        case .path: 37
        case .route: 47
        case .count, .best, .worst, .last: 6
        case .successRate: 12
        }
    }
}
