import Foundation

/// One file of the repository, read once.
struct SourceFile: Sendable {
    /// Relative to the package, such as `Sources/Base/MeshModel/JSONValue.swift`.
    let path: String
    let lines: [String]

    /// The target the file belongs to, from the package's layout.
    var isGenerated: Bool { path.contains("/Generated/") }
}

enum SourceTree {
    /// The package's folder, found from this file.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// All files under `folder` with one of the extensions, sorted by path.
    static func files(under folder: String, extensions: Set<String>) -> [SourceFile] {
        let base = root.appending(path: folder)
        guard let walker = FileManager.default.enumerator(atPath: base.path) else { return [] }
        var found: [SourceFile] = []
        for case let name as String in walker where extensions.contains((name as NSString).pathExtension) {
            let path = base.appending(path: name)
            if name.contains("node_modules/") || name.hasPrefix(".build") { continue }
            guard let text = try? String(contentsOf: path, encoding: .utf8) else { continue }  // A link that dangles.
            found.append(SourceFile(path: folder + "/" + name, lines: text.components(separatedBy: "\n")))
        }
        return found.sorted { $0.path < $1.path }
    }

    static let swiftSources = files(under: "Sources", extensions: ["swift"]).filter { !$0.isGenerated }
    static let swiftTests = files(under: "Tests", extensions: ["swift"])
}

/// A function found by matching braces.
struct FunctionSpan {
    let line: Int
    let length: Int
    let head: String
}

/// Finds functions and measures them; strings and comments do not count as braces.
struct FunctionScanner {
    static func spans(in file: SourceFile) -> [FunctionSpan] {
        var spans: [FunctionSpan] = []
        var open: [(line: Int, depth: Int, head: String)] = []
        var depth = 0
        var isInText = false
        for (index, line) in file.lines.enumerated() {
            let code = strip(line, &isInText)
            let head = code.trimmingCharacters(in: .whitespaces)
            let opens = code.filter { $0 == "{" }.count
            if opens > 0 || code.hasSuffix("{"), isFunctionHead(file.lines, index, head) {
                open.append((functionStart(file.lines, index), depth, head))
            }
            for character in code {
                if character == "{" { depth += 1 }
                guard character == "}" else { continue }
                depth -= 1
                if let last = open.last, last.depth == depth {
                    open.removeLast()
                    spans.append(FunctionSpan(line: last.line + 1, length: index - last.line + 1, head: last.head))
                }
            }
        }
        return spans
    }

    /// The line without comments and the insides of strings.
    static func strip(_ line: String, _ isInText: inout Bool) -> String {
        if line.contains("\"\"\"") {
            let quotes = line.components(separatedBy: "\"\"\"").count - 1
            let before = isInText ? "" : line.components(separatedBy: "\"\"\"")[0]
            if quotes % 2 == 1 { isInText.toggle() }
            return before
        }
        if isInText { return "" }
        var result = ""
        var isString = false
        var previous: Character = " "
        for character in line {
            if !isString, previous == "/", character == "/" {
                result.removeLast()
                break
            }
            if character == "\"", previous != "\\" { isString.toggle() }
            if !isString, character != "\"" { result.append(character) }
            previous = previous == "\\" && character == "\\" ? " " : character
        }
        return result
    }

    private static let heads = ["func ", "init(", "init?(", "init<", "deinit"]

    private static func isFunctionHead(_ lines: [String], _ index: Int, _ head: String) -> Bool {
        let start = lines[functionStart(lines, index)].trimmingCharacters(in: .whitespaces)
        let words = start.components(separatedBy: " ")
        let hasHead = heads.contains { start.hasPrefix($0) }
            || words.contains("func") || words.contains { word in heads.dropFirst().contains { word.hasPrefix($0) } }
        return hasHead && !start.hasPrefix("//") && !start.hasPrefix("self.") && !start.hasPrefix("super.")
            && !start.hasPrefix("return") && !start.hasPrefix("let ") && !start.hasPrefix("var ") && !start.hasPrefix(".")
    }

    /// A head may run over several lines: the one that closes its parameters begins with `)`.
    private static func functionStart(_ lines: [String], _ index: Int) -> Int {
        guard lines[index].trimmingCharacters(in: .whitespaces).hasPrefix(")") else { return index }
        let indent = lines[index].prefix { $0 == " " }.count
        var start = index - 1
        while start > 0, lines[start].prefix(while: { $0 == " " }).count > indent || lines[start].isEmpty { start -= 1 }
        return start
    }
}
