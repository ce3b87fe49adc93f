// The table of `linkerd viz top`: requests added up by who asked whom for what. Pure: time is an argument.
// Source: `spec/viz.md` 4.8.

/// One row: requests that share the columns shown.
package struct TopRow: Sendable, Equatable {
    package let source: String
    package let destination: String
    package let method: String
    package let path: String
    package let route: String
    package var count: UInt64 = 0
    package var successes: UInt64 = 0
    /// Of how many the outcome is known, when `count` is an estimate.
    package var sampledCount: UInt64?
    package var best: Duration = .zero
    package var worst: Duration = .zero
    package var last: Duration = .zero
    /// The newest event's order, for sorting by recency.
    package var touched: UInt64 = 0

    /// Share that succeeded, in `0...1`.
    package var successRate: Double {
        let known = sampledCount ?? count
        return known == 0 ? 0 : Double(successes) / Double(known)
    }
}

/// A column that rows can be sorted by.
package enum TopColumn: String, Sendable, CaseIterable {
    case source = "Source"
    case destination = "Destination"
    case method = "Method"
    case path = "Path"
    case route = "Route"
    case count = "Count"
    case best = "Best"
    case worst = "Worst"
    case last = "Last"
    case successRate = "Success Rate"

    /// Numbers stand to the right, and begin with the largest.
    package var isNumber: Bool {
        switch self {
        case .source, .destination, .method, .path, .route: false
        case .count, .best, .worst, .last, .successRate: true
        }
    }
}

/// Which columns make a row.
package struct TopShape: Sendable, Equatable {
    package var hidesSources: Bool
    package var showsRoutes: Bool

    package init(hidesSources: Bool = false, showsRoutes: Bool = false) {
        self.hidesSources = hidesSources
        self.showsRoutes = showsRoutes
    }

    /// In the order they stand.
    package var columns: [TopColumn] {
        (hidesSources ? [] : [.source]) + [.destination] + (showsRoutes ? [.route] : [.method, .path])
            + [.count, .best, .worst, .last, .successRate]
    }
}

/// Adds up requests.
package struct TopTable: Sendable {
    /// Requests whose end is awaited; beyond it the oldest are forgotten.
    package static let pendingMax = 10_000
    /// Rows; requests beyond them are added up under `(other)`.
    package static let rowsMax = 2_000

    private struct Key: Hashable {
        let source: String
        let destination: String
        let method: String
        let path: String
        let route: String
    }

    private struct Pending {
        let key: Key
        var status: UInt32 = 0
        let order: UInt64
    }

    package let shape: TopShape
    private var rows: [Key: TopRow] = [:]
    private var pending: [String: Pending] = [:]
    private var order: UInt64 = 0

    package init(_ shape: TopShape) { self.shape = shape }

    /// Every row, in no order.
    package var allRows: [TopRow] { Array(rows.values) }
    /// Requests counted.
    package var total: UInt64 { rows.values.reduce(0) { $0 + $1.count } }

    /// Forgets everything.
    package mutating func clear() {
        rows = [:]
        pending = [:]
    }

    /// Takes one event.
    package mutating func take(_ entry: TapEntry) {
        order += 1
        switch entry.part {
        case .request(let part):
            if pending.count >= Self.pendingMax { forgetOldest() }
            pending[entry.key] = Pending(key: key(entry, part), order: order)
        case .response(let part): pending[entry.key]?.status = part.status
        case .end(let part):
            guard let begun = pending.removeValue(forKey: entry.key) else { return }
            add(begun, part)
        case .unknown: break
        }
    }

    private func key(_ entry: TapEntry, _ part: TapEntry.Request) -> Key {
        Key(
            source: shape.hidesSources ? "" : Self.name(entry.source), destination: Self.name(entry.destination),
            method: shape.showsRoutes ? "" : part.method, path: shape.showsRoutes ? "" : part.path,
            route: shape.showsRoutes ? entry.routeLabels["route"] ?? "[DEFAULT]" : "")
    }

    private static func name(_ peer: TapEntry.Peer) -> String { peer.labels["pod"] ?? peer.ip }

    private mutating func forgetOldest() {
        let oldest = pending.sorted { $0.value.order < $1.value.order }.prefix(Self.pendingMax / 10)
        for (key, _) in oldest { pending[key] = nil }
    }

    private mutating func add(_ begun: Pending, _ end: TapEntry.End) {
        var key = begun.key
        if rows[key] == nil, rows.count >= Self.rowsMax {
            key = Key(source: "(other)", destination: "(other)", method: "", path: "", route: "")
        }
        var row =
            rows[key]
            ?? TopRow(
                source: key.source, destination: key.destination, method: key.method, path: key.path, route: key.route)
        let latency = end.sinceRequest ?? .zero
        row.best = row.count == 0 ? latency : min(row.best, latency)
        row.worst = max(row.worst, latency)
        row.last = latency
        row.count += 1
        if !Self.isFailure(begun.status, end) { row.successes += 1 }
        row.touched = order
        rows[key] = row
    }

    /// Linkerd's rule for top: PermissionDenied counts as success here.
    private static func isFailure(_ status: UInt32, _ end: TapEntry.End) -> Bool {
        if status >= 500 || end.resetCode != nil { return true }
        switch end.grpcStatus {
        case 2, 4, 13, 14, 15: return true
        default: return false
        }
    }

    // MARK: Views

    /// Rows that hold `filter` in any text column, sorted; equal ones by their names, so that nothing jumps.
    package func sorted(by column: TopColumn, filter: String = "", isReversed: Bool = false) -> [TopRow] {
        let wanted = filter.lowercased()
        let found = rows.values.filter { row in
            wanted.isEmpty
                || [row.source, row.destination, row.method, row.path, row.route].contains {
                    $0.lowercased().contains(wanted)
                }
        }
        return found.sorted { left, right in
            let order = Self.compare(left, right, column)
            if order != 0 { return isReversed ? order > 0 : order < 0 }
            return (left.source, left.destination, left.path, left.method, left.route) < (
                right.source, right.destination, right.path, right.method, right.route
            )
        }
    }

    /// Negative when `left` stands first: texts rise, numbers fall.
    private static func compare(_ left: TopRow, _ right: TopRow, _ column: TopColumn) -> Int {
        func rising<Value: Comparable>(_ a: Value, _ b: Value) -> Int { a < b ? -1 : a > b ? 1 : 0 }
        return switch column {
        case .source: rising(left.source, right.source)
        case .destination: rising(left.destination, right.destination)
        case .method: rising(left.method, right.method)
        case .path: rising(left.path, right.path)
        case .route: rising(left.route, right.route)
        case .count: rising(right.count, left.count)
        case .best: rising(right.best, left.best)
        case .worst: rising(right.worst, left.worst)
        case .last: rising(right.last, left.last)
        case .successRate: rising(left.successRate, right.successRate)
        }
    }
}

extension TopRow {
    /// The cell's text.
    package func text(_ column: TopColumn) -> String {
        switch column {
        case .source: TapLine.safe(source)
        case .destination: TapLine.safe(destination)
        case .method: TapLine.safe(method)
        case .path: TapLine.safe(path)
        case .route: TapLine.safe(route)
        case .count: "\(count)"
        case .best: Self.text(best)
        case .worst: Self.text(worst)
        case .last: Self.text(last)
        case .successRate: Self.percent(successRate)
        }
    }

    /// Microseconds below a millisecond, milliseconds below a second, seconds above.
    static func text(_ duration: Duration) -> String {
        let micros = Int64((duration / .microseconds(1)).rounded())
        if micros < 1_000 { return "\(micros)µs" }
        if micros < 999_500 { return "\((micros + 500) / 1_000)ms" }
        return "\((micros + 500_000) / 1_000_000)s"
    }

    private static func percent(_ share: Double) -> String {
        let hundredths = Int((share * 10_000).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)%"
    }
}
