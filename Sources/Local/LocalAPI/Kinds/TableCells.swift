// The cells of tables: what each computed column of a built-in kind shows, as upstream prints it.

import Foundation
import MeshModel

/// Computes cells of one object.
struct TableCells {
    let object: JSONValue
    let now: Date

    func cell(_ column: TableColumn) -> JSONValue {
        switch column.source {
        case .path(let path): return object.value(at: path) ?? (column.type == "string" ? "" : .null)
        case .jsonPath(let path): return custom(path, column: column)
        case .computed(let name):
            return Self.computations[name]?(self) ?? .string("<unknown>")
        }
    }

    private func custom(_ path: String, column: TableColumn) -> JSONValue {
        guard let value = SimpleJSONPath.value(path, in: object) else {
            return column.type == "string" ? "" : .null
        }
        switch column.type {
        case "date": return .string(age(of: value.stringValue))
        case "string":
            if case .string = value { return value }
            return .string(String(decoding: value.serialized(), as: UTF8.self))
        default: return value
        }
    }

    typealias Computation = @Sendable (TableCells) -> JSONValue

    private static let computations: [String: Computation] =
        general.merging(pods) { first, _ in first }.merging(workloads) { first, _ in first }
        .merging(network) { first, _ in first }.merging(cluster) { first, _ in first }

    /// Whether a computation has a name.
    static func isKnown(_ name: String) -> Bool { computations[name] != nil }

    // Shared readers.

    func text(_ path: String...) -> String { object.value(at: path)?.stringValue ?? "" }
    func number(_ path: String...) -> Int { object.value(at: path)?.intValue ?? 0 }
    func list(_ path: String...) -> [JSONValue] { object.value(at: path)?.arrayValue ?? [] }

    /// How long ago a time was; `<unknown>` without one.
    func age(of text: String?) -> String {
        guard let date = text.flatMap(Timestamp.parse) else { return "<unknown>" }
        return AgeText.text(seconds: Int(now.timeIntervalSince(date)))
    }

    /// `<none>` for the empty text, as upstream shows it.
    static func orNone(_ text: String) -> JSONValue { .string(text.isEmpty ? "<none>" : text) }

    static func labels(_ labels: JSONValue?) -> JSONValue {
        orNone(
            (labels?.objectValue ?? [:]).map { "\($0)=\($1.stringValue ?? "")" }.sorted().joined(
                separator: ","))
    }

    private static let general: [String: Computation] = [
        "age": { .string($0.age(of: $0.text("metadata", "creationTimestamp"))) },
        "dataCount": { cells in
            let count = ["data", "binaryData"].reduce(0) { $0 + (cells.object[$1]?.objectValue?.count ?? 0) }
            return .string(String(count))
        },
        "secretCount": { .string(String($0.list("secrets").count)) },
        "controller": { cells in
            let owner = cells.object.ownerReferences.first { $0["controller"] == true }
            let kind = owner?["kind"]?.stringValue ?? ""
            return orNone(
                owner.map { _ in "\(kind.lowercased())/\(owner?["name"]?.stringValue ?? "")" } ?? "")
        },
    ]

    private static let workloads: [String: Computation] = [
        "replicas": { .int(Int64($0.number("spec", "replicas"))) },
        "statusReplicas": { .int(Int64($0.number("status", "replicas"))) },
        "readyReplicas": { .int(Int64($0.number("status", "readyReplicas"))) },
        "readyOfDesired": {
            .string("\($0.number("status", "readyReplicas"))/\($0.number("spec", "replicas"))")
        },
        "updatedReplicas": { .string(String($0.number("status", "updatedReplicas"))) },
        "availableReplicas": { .string(String($0.number("status", "availableReplicas"))) },
        "desiredScheduled": { .int(Int64($0.number("status", "desiredNumberScheduled"))) },
        "currentScheduled": { .int(Int64($0.number("status", "currentNumberScheduled"))) },
        "numberReady": { .int(Int64($0.number("status", "numberReady"))) },
        "updatedScheduled": { .int(Int64($0.number("status", "updatedNumberScheduled"))) },
        "numberAvailable": { .int(Int64($0.number("status", "numberAvailable"))) },
        "nodeSelector": { labels($0.object.value(at: ["spec", "template", "spec", "nodeSelector"])) },
        "containers": { .string($0.containerField("name")) },
        "images": { .string($0.containerField("image")) },
        "selector": { cells in
            let selector = cells.object.value(at: ["spec", "selector"])
            let isPlain = selector?["matchLabels"] == nil && selector?["matchExpressions"] == nil
            return isPlain ? labels(selector) : orNone(LabelSelector(selector).text)
        },
        "jobStatus": { cells in
            func holds(_ type: String) -> Bool {
                cells.list("status", "conditions").contains {
                    $0["type"] == .string(type) && $0["status"] == "True"
                }
            }
            if holds("Complete") { return "Complete" }
            if holds("Failed") { return "Failed" }
            if cells.object.isTerminating { return "Terminating" }
            return holds("Suspended") ? "Suspended" : "Running"
        },
        "jobCompletions": { cells in
            let done = cells.number("status", "succeeded")
            if let wanted = cells.object.value(at: ["spec", "completions"])?.intValue {
                return .string("\(done)/\(wanted)")
            }
            let parallel = cells.number("spec", "parallelism")
            return .string(parallel > 1 ? "\(done)/1 of \(parallel)" : "\(done)/1")
        },
        "jobDuration": { cells in
            guard let start = Timestamp.parse(cells.text("status", "startTime")) else { return "" }
            let end = Timestamp.parse(cells.text("status", "completionTime")) ?? cells.now
            return .string(AgeText.text(seconds: Int(end.timeIntervalSince(start))))
        },
        "timeZone": { orNone($0.text("spec", "timeZone")) },
        "activeCount": { .int(Int64($0.list("status", "active").count)) },
        "lastSchedule": { cells in
            let last = cells.text("status", "lastScheduleTime")
            return last.isEmpty ? "<none>" : .string(cells.age(of: last))
        },
    ]

    private func containerField(_ field: String) -> String {
        let spec = object.value(at: ["spec", "template", "spec"]) ?? object["spec"]
        return (spec?["containers"]?.arrayValue ?? []).compactMap { $0[field]?.stringValue }.joined(
            separator: ",")
    }
}

/// The small part of JSONPath that printer columns use: `.a.b`, `.a[0]`, `.a[?(@.k=="v")].b`.
enum SimpleJSONPath {
    /// The first value the path reaches; `nil` when there is none or the path is not of that small part.
    static func value(_ path: String, in object: JSONValue) -> JSONValue? {
        var current: JSONValue? = object
        var rest = path[...]
        while let first = rest.first, let value = current {
            if first == "." {
                let name = rest.dropFirst().prefix { $0 != "." && $0 != "[" }
                rest = rest[name.endIndex...]
                current = name.isEmpty ? value : value[String(name)]
            } else if first == "[", let close = rest.firstRange(of: "]") {
                current = element(rest[rest.index(after: rest.startIndex)..<close.lowerBound], of: value)
                rest = rest[close.upperBound...]
            } else {
                return nil
            }
        }
        return current
    }

    private static func element(_ text: Substring, of value: JSONValue) -> JSONValue? {
        if let index = Int(text) { return value[index] }
        if text.hasPrefix("'") || text.hasPrefix("\"") { return value[String(text.dropFirst().dropLast())] }
        guard text.hasPrefix("?(@."), text.hasSuffix(")"), let equals = text.firstRange(of: "==") else {
            return nil
        }
        let key = text[text.index(text.startIndex, offsetBy: 4)..<equals.lowerBound].filter { $0 != " " }
        let wanted = text[equals.upperBound...].dropLast().filter { !"\"' ".contains($0) }
        return value.arrayValue?.first { $0.value(dotted: String(key))?.stringValue == wanted }
    }
}
