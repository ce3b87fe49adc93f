import Foundation
import MeshModel
import Yams

/// Fills in our own charts: the part of Helm's template language that they use, and an error for any other, so that
/// nothing half-filled is ever applied.
///
/// Lines of their own: `{{- if .Values.a.b }}`, `{{- if not .Values.a.b }}`, `{{- else }}`, `{{- end }}`. Inside lines:
/// `{{ .Values.a.b }}`. Everything else a chart may say is for Helm.
package struct ChartText {
    private let values: JSONValue

    /// - Parameter values: The text of `values.yaml`; empty for a chart without.
    package init(values: String) throws {
        let node = try Yams.compose(yaml: values)
        self.values = node.map { JSONValue(node: $0) } ?? .object([:])
    }

    /// The manifest that a template stands for.
    package func render(_ template: String) throws -> String {
        var output: [String] = []
        // Whether each open block is written, innermost last.
        var blocks: [Bool] = []
        for line in template.split(separator: "\n", omittingEmptySubsequences: false) {
            let text = line.trimmingCharacters(in: .whitespaces)
            if text.hasPrefix("{{-"), text.hasSuffix("}}") {
                try control(text.dropFirst(3).dropLast(2).trimmingCharacters(in: .whitespaces), &blocks)
            } else if !blocks.contains(false) {
                output.append(try filled(String(line)))
            }
        }
        guard blocks.isEmpty else { throw ArgumentMistake("a template has an {{- if }} without {{- end }}") }
        return output.joined(separator: "\n")
    }

    private func control(_ action: String, _ blocks: inout [Bool]) throws {
        let words = action.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("if", 2): blocks.append(try isTrue(words[1]))
        case ("if", 3) where words[1] == "not": blocks.append(try !isTrue(words[2]))
        case ("else", 1) where !blocks.isEmpty: blocks[blocks.count - 1].toggle()
        case ("end", 1) where !blocks.isEmpty: blocks.removeLast()
        default: throw ArgumentMistake("a template says {{- \(action) }}, which only Helm understands")
        }
    }

    private func filled(_ line: String) throws -> String {
        var rest = Substring(line)
        var output = ""
        while let open = rest.range(of: "{{") {
            guard let close = rest[open.upperBound...].range(of: "}}") else {
                throw ArgumentMistake("a template has {{ without }}: \(line)")
            }
            output += rest[..<open.lowerBound]
            let path = rest[open.upperBound..<close.lowerBound].trimmingCharacters(in: .whitespaces)
            output += try text(path)
            rest = rest[close.upperBound...]
        }
        return output + rest
    }

    private func value(_ path: String) throws -> JSONValue {
        let parts = path.split(separator: ".").map(String.init)
        guard path.hasPrefix(".Values."), let value = values.value(at: Array(parts.dropFirst())) else {
            throw ArgumentMistake("a template asks for \(path), which values.yaml does not have")
        }
        return value
    }

    private func text(_ path: String) throws -> String {
        switch try value(path) {
        case .string(let text): text
        case .int(let number): "\(number)"
        case .double(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        default: throw ArgumentMistake("a template asks for \(path), which is no scalar")
        }
    }

    private func isTrue(_ path: String) throws -> Bool {
        switch try value(path) {
        case .bool(let flag): flag
        case .string(let text): !text.isEmpty
        case .int(let number): number != 0
        case .double(let number): number != 0
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        case .null: false
        }
    }
}
