// Aligned text tables as `linkerd viz stat` prints them: cells padded to the column's width plus three
// spaces, names to the left, numbers to the right, nothing to the right of the last column.

/// A table of text cells.
package struct TabTable: Sendable {
    /// One column: its heading and the side its cells lean to.
    package struct Column: Sendable {
        package let heading: String
        package let isLeftAligned: Bool

        package init(_ heading: String, isLeftAligned: Bool = false) {
            self.heading = heading
            self.isLeftAligned = isLeftAligned
        }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    /// Spaces between two columns.
    package static let gap = 3

    package init(columns: [Column]) { self.columns = columns }

    /// Adds a row of as many cells as there are columns.
    package mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row has a cell for each column")
        rows.append(cells)
    }

    /// The heading and all rows, each ended by a line feed.
    package func rendered() -> String {
        let headings = columns.map(\.heading)
        let widths = columns.indices.map { index in
            ([headings] + rows).map { $0[index].count }.max() ?? 0
        }
        var text = ""
        for cells in [headings] + rows {
            var line = ""
            for (index, cell) in cells.enumerated() {
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                if index > 0 { line += String(repeating: " ", count: Self.gap) }
                line += columns[index].isLeftAligned ? cell + padding : padding + cell
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }
}
