// Reads JSON (RFC 8259) from bytes into `JSONValue`. Strict: no comments, no trailing commas, no
// duplicate-key error (the last one wins, as in Kubernetes), depth bounded. Lone surrogates become U+FFFD.

/// Why bytes are not JSON, and where.
public struct JSONParseError: Error, Equatable, CustomStringConvertible {
    /// What kind of mistake it is.
    public enum Kind: String, Sendable { case syntax, truncated, tooDeep, invalidUTF8, trailingBytes }
    public let kind: Kind
    /// Offset in bytes at which the mistake was seen.
    public let offset: Int

    /// An error of `kind` at byte `offset`.
    public init(kind: Kind, offset: Int) {
        self.kind = kind
        self.offset = offset
    }

    public var description: String { "invalid JSON at byte \(offset): \(kind.rawValue)" }
}

extension JSONValue {
    /// Nesting that a document may have; deeper ones are refused before they exhaust the stack.
    public static let depthMax = 512

    /// Parses one whole document.
    ///
    /// - Throws: `JSONParseError` with the offset of the first mistake.
    /// - Complexity: O(bytes).
    public init(parsing bytes: some Collection<UInt8>) throws(JSONParseError) {
        var parser = JSONParser(bytes: Array(bytes))
        self = try parser.document()
    }

    /// Parses a document held in text.
    public init(parsing text: String) throws(JSONParseError) {
        self = try JSONValue(parsing: Array(text.utf8))
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONParseError) -> JSONValue {
        let value = try parseValue(depth: 0)
        skipSpace()
        guard offset == bytes.count else { throw JSONParseError(kind: .trailingBytes, offset: offset) }
        return value
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    private func failure(_ kind: JSONParseError.Kind = .syntax) -> JSONParseError {
        JSONParseError(kind: offset >= bytes.count ? .truncated : kind, offset: offset)
    }

    private mutating func parseValue(depth: Int) throws(JSONParseError) -> JSONValue {
        guard depth < JSONValue.depthMax else { throw JSONParseError(kind: .tooDeep, offset: offset) }
        skipSpace()
        guard offset < bytes.count else { throw failure() }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return try parseObject(depth: depth)
        case UInt8(ascii: "["): return try parseArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try parseNumber()
        }
    }

    private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONParseError) -> JSONValue {
        for expected in text.description.utf8 {
            guard offset < bytes.count, bytes[offset] == expected else { throw failure() }
            offset += 1
        }
        return value
    }

    private mutating func parseObject(depth: Int) throws(JSONParseError) -> JSONValue {
        offset += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "}") {
            offset += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else { throw failure() }
            let key = try parseString()
            skipSpace()
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: ":") else { throw failure() }
            offset += 1
            members[key] = try parseValue(depth: depth + 1)
            if try endsContainer(UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONParseError) -> JSONValue {
        offset += 1
        var elements: [JSONValue] = []
        skipSpace()
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "]") {
            offset += 1
            return .array(elements)
        }
        while true {
            elements.append(try parseValue(depth: depth + 1))
            if try endsContainer(UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    /// After an element: `true` at the closing byte, `false` after a comma.
    private mutating func endsContainer(_ close: UInt8) throws(JSONParseError) -> Bool {
        skipSpace()
        guard offset < bytes.count else { throw failure() }
        let byte = bytes[offset]
        guard byte == close || byte == UInt8(ascii: ",") else { throw failure() }
        offset += 1
        return byte == close
    }

    private mutating func parseString() throws(JSONParseError) -> String {
        offset += 1
        let start = offset
        while offset < bytes.count {  // Most strings have no escape: one slice, one validation.
            let byte = bytes[offset]
            if byte == UInt8(ascii: "\"") {
                let text = try validated(bytes[start..<offset], at: start)
                offset += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
            guard byte >= 0x20 else { throw failure() }
            offset += 1
        }
        throw failure()
    }

    private func validated(_ slice: ArraySlice<UInt8>, at start: Int) throws(JSONParseError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw JSONParseError(kind: .invalidUTF8, offset: start)
        }
        return text
    }

    private mutating func parseEscapedString(from start: Int) throws(JSONParseError) -> String {
        var unescaped = Array(bytes[start..<offset])
        while offset < bytes.count {
            let byte = bytes[offset]
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                return try validated(unescaped[...], at: start)
            case UInt8(ascii: "\\"):
                offset += 1
                try parseEscape(into: &unescaped)
            case 0..<0x20:
                throw failure()
            default:
                unescaped.append(byte)
                offset += 1
            }
        }
        throw failure()
    }

    private mutating func parseEscape(into output: inout [UInt8]) throws(JSONParseError) {
        guard offset < bytes.count else { throw failure() }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(byte)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "u"): output.append(contentsOf: Array(String(Character(try parseUnicode())).utf8))
        default:
            offset -= 1
            throw failure()
        }
    }

    private mutating func parseUnicode() throws(JSONParseError) -> Unicode.Scalar {
        let replacement: Unicode.Scalar = "\u{FFFD}"
        let first = try hexQuad()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), offset + 1 < bytes.count,
            bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u")
        else { return replacement }
        let mark = offset
        offset += 2
        let second = try hexQuad()
        guard (0xDC00..<0xE000).contains(second) else {
            offset = mark  // The second escape stands for itself.
            return replacement
        }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) ?? replacement
    }

    private mutating func hexQuad() throws(JSONParseError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard offset < bytes.count else { throw failure() }
            let digit: UInt32
            switch bytes[offset] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt32(bytes[offset] - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = UInt32(bytes[offset] - UInt8(ascii: "a")) + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = UInt32(bytes[offset] - UInt8(ascii: "A")) + 10
            default: throw failure()
            }
            value = value << 4 | digit
            offset += 1
        }
        return value
    }

    private mutating func parseNumber() throws(JSONParseError) -> JSONValue {
        let start = offset
        var isInteger = true
        scan: while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): break
            case UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): isInteger = false
            default: break scan
            }
            offset += 1
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        let startsWell = digits.first.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
        let hasLeadingZero = digits.count > 1 && digits.first == UInt8(ascii: "0")
        let endsWell = text.utf8.last.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
        guard startsWell, endsWell, !(hasLeadingZero && isInteger) else {
            offset = start
            throw failure()
        }
        if isInteger, let number = Int64(text) { return .int(number) }
        guard let number = Double(text), number.isFinite else {
            offset = start
            throw failure()
        }
        return .double(number)
    }
}
