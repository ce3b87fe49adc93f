import MeshModel
import Testing

@Suite("JSON values", .timeLimit(.minutes(1))) struct JSONValueTests {
    @Test("Documents survive reading and writing", arguments: [
        #"{"a":[1,2.5,true,null,"x"],"b":{"c":{}}}"#, "[]", "{}", "-9223372036854775808", #""""#, "1.5e+300",
        #""quote \" slash \\ newline \n tab \t bell \u0007""#, #"{"é":"😀"}"#,
    ])
    func roundTrips(text: String) throws {
        #expect(try JSONValue(parsing: text).jsonText == text)
    }

    @Test("Escapes are undone", arguments: [
        (#""\u00e9""#, "é"), (#""\ud83d\ude00""#, "😀"), (#""\ud83d""#, "\u{FFFD}"),
        (#""\ud83d\u0041""#, "\u{FFFD}A"), (#""\/\b\f""#, "/\u{8}\u{C}"),
    ])
    func unescapes(text: String, expected: String) throws {
        #expect(try JSONValue(parsing: text) == .string(expected))
    }

    @Test("What is not JSON is refused where it goes wrong", arguments: [
        ("", JSONParseError.Kind.truncated, 0), ("{", .truncated, 1), ("[1,]", .syntax, 3), ("{\"a\" 1}", .syntax, 5),
        ("01", .syntax, 0), ("1.", .syntax, 0), ("nul", .truncated, 3), ("\"a", .truncated, 2), ("1 2", .trailingBytes, 2),
        ("\"\u{1}\"", .syntax, 1), ("'a'", .syntax, 0), ("1e999", .syntax, 0),
    ])
    func refuses(text: String, kind: JSONParseError.Kind, offset: Int) {
        #expect(throws: JSONParseError(kind: kind, offset: offset)) { try JSONValue(parsing: text) }
    }

    @Test("Invalid UTF-8 is refused")
    func refusesInvalidUTF8() {
        #expect(throws: JSONParseError(kind: .invalidUTF8, offset: 1)) {
            try JSONValue(parsing: [0x22, 0xFF, 0x22])
        }
    }

    @Test("Nesting beyond the bound is refused, not a crash")
    func boundsDepth() {
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: JSONParseError(kind: .tooDeep, offset: JSONValue.depthMax)) { try JSONValue(parsing: text) }
    }

    @Test("Random bytes never crash the parser")
    func survivesRandomBytes() {
        var generator = SeededGenerator(seed: 20_261_124)
        let alphabet = Array(#"{}[]",:0123456789.eE+-truefalsn \u\"#.utf8) + [0xFF, 0x00, 0xC3]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            if let value = try? JSONValue(parsing: bytes) {  // Only accepted bytes can be checked further.
                #expect((try? JSONValue(parsing: value.serialized())) == value, "\(bytes)")
            }
        }
    }

    @Test("Nested members are set, and removed with nil")
    func setsNested() {
        var value: JSONValue = [:]
        value.set("x", at: ["a", "b", "c"])
        #expect(value == ["a": ["b": ["c": "x"]]])
        value.set(nil, at: ["a", "b", "c"])
        #expect(value == ["a": ["b": [:]]])
        value.set(nil, at: ["missing", "c"])
        #expect(value == ["a": ["b": [:]]])
    }
}

/// A small deterministic generator (SplitMix64), so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
