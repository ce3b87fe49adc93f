// YAML as kubectl reads it, to and from JSON values. Reading leans on Yams for syntax and resolves plain
// scalars itself, since Kubernetes' rules (YAML 1.1 booleans, octal modes, no dates) differ from Yams'.

public import MeshModel
import Yams

/// Converts between YAML text and JSON values.
public enum YAMLText {
    /// Every document that is not empty, in order.
    ///
    /// - Throws: `YamlError` on bad syntax.
    public static func documents(_ text: String) throws -> [JSONValue] {
        // The sequence ends at the first bad document and keeps the reason to itself.
        var nodes = try Yams.compose_all(yaml: text)
        var documents: [JSONValue] = []
        while let node = nodes.next() { documents.append(value(of: node)) }
        if let error = nodes.error { throw error }
        return documents.filter { !$0.isNull }
    }

    /// Block-style YAML with sorted keys, ending in a line feed.
    public static func render(_ value: JSONValue) -> String {
        var writer = YAMLWriter()
        writer.write(value)
        return writer.text
    }

    private static func value(of node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            var merged: [String: JSONValue] = [:]
            for (key, child) in mapping {
                guard let name = key.scalar?.string else { continue }
                if name == "<<" {
                    for (inherited, member) in value(of: child).objectValue ?? [:] {
                        merged[inherited] = member
                    }
                } else {
                    members[name] = value(of: child)
                }
            }
            return .object(merged.merging(members) { _, own in own })
        case .sequence(let sequence): return .array(sequence.map(value(of:)))
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any,
                scalar.tag.rawValue != "tag:yaml.org,2002:str"
            else {
                return .string(scalar.string)
            }
            return resolve(plain: scalar.string)
        case .alias: return .null
        }
    }

    /// What an unquoted scalar means.
    static func resolve(plain text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .bool(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .bool(false)
        default: break
        }
        guard let first = text.utf8.first,
            first == UInt8(ascii: "-") || first == UInt8(ascii: "+")
                || first == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        else { return .string(text) }
        let digits = text.hasPrefix("+") ? String(text.dropFirst()) : text
        if digits.hasPrefix("0x"), let number = Int64(digits.dropFirst(2), radix: 16) { return .int(number) }
        if digits.hasPrefix("0o"), let number = Int64(digits.dropFirst(2), radix: 8) { return .int(number) }
        if digits.count > 1, digits.hasPrefix("0"), let octal = Int64(digits.dropFirst(), radix: 8) {
            return .int(octal)
        }
        if let number = Int64(digits) { return .int(number) }
        // Double() also accepts words such as `infinity` and hexadecimal floats, which YAML does not.
        let isDecimal = digits.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "+-.eE".utf8.contains(byte)
        }
        if isDecimal, let number = Double(digits), number.isFinite { return .double(number) }
        return .string(text)
    }
}

/// Writes block-style YAML.
struct YAMLWriter {
    private(set) var text = ""

    mutating func write(_ value: JSONValue) {
        if let inline = Self.inline(value) {
            text += inline + "\n"
        } else {
            block(value, indent: 0)
        }
    }

    private mutating func block(_ value: JSONValue, indent: Int) {
        let margin = String(repeating: " ", count: indent)
        switch value {
        case .object(let members):
            for (index, key) in members.keys.sorted().enumerated() {
                // The first key of a mapping inside a sequence stands behind its dash.
                text += (index == 0 && text.hasSuffix("- ") ? "" : margin) + Self.scalar(key) + ":"
                member(members[key] ?? .null, indent: indent)
            }
        case .array(let elements):
            for element in elements {
                text += margin + "- "
                if let inline = Self.inline(element) {
                    text += inline + "\n"
                } else if case .array = element {
                    text.removeLast()
                    text += "\n"
                    block(element, indent: indent + 2)
                } else {
                    block(element, indent: indent + 2)
                }
            }
        default: break
        }
    }

    private mutating func member(_ value: JSONValue, indent: Int) {
        if case .string(let string) = value, let lines = Self.literalLines(string) {
            let margin = String(repeating: " ", count: indent + 2)
            text += string.hasSuffix("\n") ? " |\n" : " |-\n"
            for line in lines { text += line.isEmpty ? "\n" : margin + line + "\n" }
        } else if let inline = Self.inline(value) {
            text += " " + inline + "\n"
        } else {
            text += "\n"
            // kubectl's own output does not indent a sequence below its key either.
            if case .array = value { block(value, indent: indent) } else { block(value, indent: indent + 2) }
        }
    }

    /// Scalars and empty collections; `nil` for what takes lines of its own.
    private static func inline(_ value: JSONValue) -> String? {
        switch value {
        case .object(let members): members.isEmpty ? "{}" : nil
        case .array(let elements): elements.isEmpty ? "[]" : nil
        case .string(let string): scalar(string)
        default: value.jsonText
        }
    }

    /// The lines of a text that a literal block can hold; `nil` when it takes quotes or one line.
    private static func literalLines(_ string: String) -> [Substring]? {
        guard string.contains("\n"), !string.hasSuffix("\n\n"), string.first != " ", string.first != "\n",
            !string.unicodeScalars.contains(where: {
                $0.value < 0x20 && $0 != "\n" || $0.value == 0x7F || $0.value == 0xFEFF
            })
        else { return nil }
        var lines = string.split(separator: "\n", omittingEmptySubsequences: false)
        if string.hasSuffix("\n") { lines.removeLast() }
        return lines.contains { $0.last == " " } ? nil : lines
    }

    /// A string plain where every YAML reader takes it for that string, else in double quotes.
    private static func scalar(_ string: String) -> String {
        if isPlain(string) { return string }
        var quoted = ""
        for character in JSONValue.string(string).jsonText.unicodeScalars {
            switch character.value {
            case 0x7F...0x9F, 0xFEFF, 0x2028, 0x2029:  // Fine in JSON, refused by YAML readers.
                let digits = String(character.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(character)
            }
        }
        return quoted
    }

    private static func isPlain(_ string: String) -> Bool {
        guard let first = string.first, YAMLText.resolve(plain: string) == .string(string) else {
            return false
        }
        if first == " " || string.last == " " || string.last == ":" || string.contains(": ")
            || string.contains(" #")
        {
            return false
        }
        if "!&*?|>%@`\"'#{}[],=<:".contains(first) || string.hasPrefix("- ")
            || ["-", "---", "..."].contains(string)
        {
            return false
        }
        if ["y", "Y", "n", "N"].contains(string) { return false }
        // Dates, base-60 numbers and digit groups are numbers or times to some readers.
        if "0123456789+-.".contains(first), string.allSatisfy({ "0123456789:._,+-TZtzeExX ".contains($0) }) {
            return string.hasPrefix("--")
        }
        return !string.unicodeScalars.contains {
            $0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0.value == 0xFEFF
        }
    }
}
