// The rules of the house that a machine can check. A limit may fall, never rise; each message says what to do.

import Foundation
import Testing

@Suite("Tidy", .timeLimit(.minutes(2))) struct TidyTests {
    @Test("Files stay small: 500 lines in Sources, 800 in Tests")
    func fileSizes() {
        for file in SourceTree.swiftSources {
            #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count) lines: split it by idea")
        }
        for file in SourceTree.swiftTests {
            #expect(file.lines.count <= 801, "\(file.path) has \(file.lines.count) lines: split it by idea")
        }
    }

    @Test("Functions stay within 70 lines")
    func functionSizes() {
        for file in SourceTree.swiftSources {
            for span in FunctionScanner.spans(in: file) where span.length > 70 {
                Issue.record("\(file.path):\(span.line) \(span.head) has \(span.length) lines: keep the decisions, move work down")
            }
        }
    }

    @Test("Lines stay within 140 columns; the aim is 110")
    func lineWidths() {
        for file in SourceTree.swiftSources {
            for (index, line) in file.lines.enumerated() where line.count > 140 {
                Issue.record("\(file.path):\(index + 1) is \(line.count) columns wide")
            }
        }
    }

    /// Word, what to do instead, and the folders in which it is allowed.
    private static let banned: [(word: String, instead: String, allowed: [String])] = [
        ("try!", "handle the error, or prove the literal beside it", []),
        ("fatalError(", "throw, or use precondition with a message", []),
        ("Task.detached", "give the task an owner: a task group under run()", []),
        ("DispatchQueue", "use structured concurrency or an event loop", []),
        ("DispatchSemaphore", "use structured concurrency", []),
        (" as! ", "use as? and handle nil", []),
        ("TODO", "finish it, or say so in the README's limits", []),
        ("FIXME", "fix it", []),
        ("@preconcurrency", "needs a proof and a line in this list", []),
    ]

    @Test("Banned words do not appear in Sources")
    func bannedWords() {
        for file in SourceTree.swiftSources {
            var isInText = false
            for (index, line) in file.lines.enumerated() {
                let code = FunctionScanner.strip(line, &isInText)
                for rule in Self.banned where code.contains(rule.word) {
                    if rule.allowed.contains(where: { file.path.hasPrefix("Sources/" + $0) }) { continue }
                    Issue.record("\(file.path):\(index + 1) has \(rule.word): \(rule.instead)")
                }
            }
        }
    }

    /// Folders in which unsafe code is at home, and single files whose need is written beside the code.
    private static let unsafeAllowed = [
        "Base/MeshCompression/", "Base/MeshMetrics/System/", "Proxy/MeshHTTP2/", "Proxy/MeshTLS/",
        "Proxy/MeshTransport/System/", "Local/LocalNode/System/", "Local/LocalCluster/System/", "CLI/Terminal/", "CLI/Local/",
    ]

    @Test("Unsafe code stays in its few folders")
    func unsafeCode() {
        for file in SourceTree.swiftSources {
            if Self.unsafeAllowed.contains(where: { file.path.hasPrefix("Sources/" + $0) }) { continue }
            var isInText = false
            for (index, line) in file.lines.enumerated() {
                let code = FunctionScanner.strip(line, &isInText)
                let words = ["Unsafe", "Unmanaged", "OpaquePointer", "nonisolated(unsafe)"]
                if words.contains(where: code.contains) {
                    Issue.record("\(file.path):\(index + 1): unsafe code belongs in a System folder: \(code)")
                }
            }
        }
    }

    /// Files whose `@unchecked Sendable` has its proof beside it.
    private static let uncheckedFilesMax = 0

    @Test("@unchecked Sendable comes with a proof in the line above")
    func uncheckedSendable() {
        for file in SourceTree.swiftSources {
            for (index, line) in file.lines.enumerated() where line.contains("@unchecked Sendable") {
                let above = file.lines[max(0, index - 6)..<index].joined()
                #expect(
                    line.contains("//") || above.contains("//"),
                    "\(file.path):\(index + 1): say why the type is safe to share")
            }
        }
    }

    @Test("Public and package declarations have a docstring")
    func docstrings() {
        for file in SourceTree.swiftSources {
            for (index, line) in file.lines.enumerated() {
                let code = line.trimmingCharacters(in: .whitespaces)
                let isDeclared = ["public func ", "public struct ", "public final class ", "public enum ", "public protocol ",
                                  "public actor ", "public static func "].contains { code.hasPrefix($0) }
                if isDeclared, !hasDocstring(file.lines, above: index) {
                    Issue.record("\(file.path):\(index + 1) lacks a docstring: \(code)")
                }
            }
        }
    }

    private func hasDocstring(_ lines: [String], above index: Int) -> Bool {
        var line = index - 1
        while line >= 0 {
            let text = lines[line].trimmingCharacters(in: .whitespaces)
            if text.hasPrefix("///") || text.hasSuffix("*/") { return true }
            guard text.hasPrefix("@") || text.hasPrefix("#if") else { return false }
            line -= 1
        }
        return false
    }

    @Test("The top level holds exactly what the map says")
    func topLevel() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: SourceTree.root.path)
            .filter { !$0.hasPrefix(".") && $0 != "Package.resolved" }
        let expected = ["LICENSE", "Package.swift", "README.md", "Sources", "Tests", "deploy", "grafana-dashboards", "web-assets"]
        #expect(Set(names).subtracting(expected) == [], "move it into a room, or change the map first")
    }

    @Test("No placeholder is left")
    func placeholders() {
        for file in SourceTree.swiftSources + SourceTree.swiftTests {
            #expect(!file.path.hasSuffix("Placeholder.swift"), "\(file.path): the target has no code yet")
        }
    }
}
