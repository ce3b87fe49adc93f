// From a path to the family that it belongs to, so that `/orders/17` and `/orders/18` are counted as one. Segments that
// name a thing become placeholders: numbers, UUIDs, hexadecimal ids, mail addresses, and long texts that look like
// random ones. Words stay, and so do gRPC's methods, which are a closed set already. What no rule sees (`/users/alice`)
// is bounded where paths are counted. Queries, fragments and matrix parameters are never kept. Pure; bytes in, text out,
// one pass over each segment, no back-tracking.

/// Makes templates of paths, and paths that may be kept.
public enum PathTemplate {
    /// Bytes of a path that are looked at.
    static let pathBytesMax = 2_048
    /// Segments that are kept; the rest becomes `{rest}`.
    static let segmentsMax = 16
    /// Bytes of a template.
    public static let templateBytesMax = 200
    /// Bytes of a path that is kept for one request.
    public static let keptBytesMax = 512
    /// Longer segments name a thing.
    static let segmentBytesMax = 64

    /// The family of a path.
    ///
    /// - Parameter isGRPC: `/package.Service/Method` is left alone then; anything else is a path as any other.
    /// - Returns: At most `templateBytesMax` bytes, and the same when asked about the result.
    public static func template(of path: String, isGRPC: Bool = false) -> String {
        if isGRPC, isMethod(path) { return path }
        return rewritten(path, bytesMax: templateBytesMax) { Segment($0).template }
    }

    /// The path as it may be kept for one request: numbers and ids lead to it; what may be a secret or a person's
    /// address is taken out.
    public static func kept(_ path: String, isGRPC: Bool = false) -> String {
        if isGRPC, isMethod(path) { return path }
        return rewritten(path, bytesMax: keptBytesMax) { Segment($0).kept }
    }

    /// Whether it is `/package.Service/Method`, of the characters that protobuf's names have.
    private static func isMethod(_ path: String) -> Bool {
        let bytes = path.utf8
        guard bytes.count <= templateBytesMax, bytes.first == UInt8(ascii: "/") else { return false }
        let parts = bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.allSatisfy { $0.isLetter || $0.isDigit || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") }
            }
    }

    private static func rewritten(
        _ path: String, bytesMax: Int, _ segment: (ArraySlice<UInt8>) -> String
    ) -> String {
        let bytes = bare(path)
        guard bytes.first == UInt8(ascii: "/") else { return bytes.elementsEqual("*".utf8) ? "*" : "/" }
        var result = ""
        let segments = bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for (index, part) in segments.enumerated() {
            let clean = part.prefix { $0 != UInt8(ascii: ";") }
            let text = "/" + segment(clean)
            let isTooMuch = index >= segmentsMax || result.utf8.count + text.utf8.count > bytesMax - rest.utf8.count
            guard !isTooMuch else { return result + rest }
            result += text
        }
        return result
    }

    private static let rest = "/{rest}"

    /// The path without query and fragment, and without the scheme and host that requests to proxies have.
    private static func bare(_ path: String) -> ArraySlice<UInt8> {
        var bytes = Array(path.utf8.prefix(pathBytesMax))[...]
        bytes = bytes.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        guard bytes.first != UInt8(ascii: "/") else { return bytes }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) else {
            return bytes
        }
        let afterHost = bytes[(colon + 3)...].drop { $0 != UInt8(ascii: "/") }
        return afterHost.isEmpty ? Array("/".utf8)[...] : afterHost
    }
}

/// One segment of a path.
private struct Segment {
    /// What a segment, or a part of one, is.
    enum Kind {
        case word, number, uuid, hex, token, mail

        var placeholder: String {
            switch self {
            case .word: ""
            case .number: "{number}"
            case .uuid: "{uuid}"
            case .hex: "{hex}"
            case .token: "{token}"
            case .mail: "{mail}"
            }
        }
    }

    /// Hexadecimal ids longer than this may be secrets.
    static let hexKeptMax = 24
    private let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    var template: String { rewritten { kind, _ in kind != .word } }

    var kept: String {
        rewritten { kind, count in
            switch kind {
            case .word, .number, .uuid: false
            case .hex: count > Self.hexKeptMax
            case .token, .mail: true
            }
        }
    }

    /// The segment with what `isHidden` (a kind, and how many bytes are of it) replaced by placeholders.
    private func rewritten(_ isHidden: (Kind, Int) -> Bool) -> String {
        let whole = kind
        if whole != .word { return isHidden(whole, bytes.count) ? whole.placeholder : text(bytes) }
        // An escape is no separator, and its digits are no number.
        guard !bytes.contains(UInt8(ascii: "%")) else { return text(bytes) }
        var result = ""
        var start = bytes.startIndex
        for index in bytes.indices where Self.separators.contains(bytes[index]) {
            result += piece(bytes[start..<index], isHidden) + text(bytes[index...index])
            start = index + 1
        }
        result += piece(bytes[start...], isHidden)
        // Many placeholders in a row name a thing together, and a template of a template has to be the same.
        let isLong = result.utf8.count > PathTemplate.segmentBytesMax && isHidden(.token, bytes.count)
        return isLong ? Kind.token.placeholder : result
    }

    private static let separators = Set("-_.,:=+~!()".utf8)

    private var kind: Kind {
        let decoded = Self.decoded(bytes)
        if Self.isNumber(decoded) { return .number }
        if Self.isUUID(decoded) { return .uuid }
        if Self.isMail(decoded) { return .mail }
        if Self.isHex(decoded) { return .hex }
        if bytes.count > PathTemplate.segmentBytesMax || Self.isWholeToken(decoded) { return .token }
        return .word
    }

    /// Placeholders of an earlier pass are words to all of these.
    private func piece(_ piece: ArraySlice<UInt8>, _ isHidden: (Kind, Int) -> Bool) -> String {
        var kind = Kind.word
        if !piece.isEmpty, piece.allSatisfy(\.isDigit) {
            kind = .number
        } else if Self.isHex(piece) {
            kind = .hex
        } else if Self.isRandom(piece) {
            kind = .token
        }
        if kind != .word { return isHidden(kind, piece.count) ? kind.placeholder : text(piece) }
        // `img20391`: a word with a number behind it, which versions (`sha256`, `oauth2`) are too short for.
        let digits = piece.reversed().prefix(while: \.isDigit).count
        guard digits >= 4, piece.dropLast(digits).allSatisfy(\.isLetter), isHidden(.number, digits) else { return text(piece) }
        return text(piece.dropLast(digits)) + Kind.number.placeholder
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    // MARK: What it looks like

    /// Escapes resolved; those that are none stay.
    private static func decoded(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard bytes.contains(UInt8(ascii: "%")) else { return bytes }
        var result: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.endIndex, let high = bytes[index + 1].hexValue,
                let low = bytes[index + 2].hexValue
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result[...]
    }

    /// Digits with at most a sign before and one point within.
    private static func isNumber(_ bytes: ArraySlice<UInt8>) -> Bool {
        let digits = bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+") ? bytes.dropFirst() : bytes
        guard digits.first?.isDigit == true, digits.last?.isDigit == true else { return false }
        return digits.allSatisfy { $0.isDigit || $0 == UInt8(ascii: ".") }
            && digits.count(where: { $0 == UInt8(ascii: ".") }) <= 1
    }

    private static func isUUID(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count == 36 else { return false }
        for (offset, byte) in bytes.enumerated() {
            let isDash = [8, 13, 18, 23].contains(offset)
            guard isDash ? byte == UInt8(ascii: "-") : byte.hexValue != nil else { return false }
        }
        return true
    }

    private static func isMail(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let at = bytes.firstIndex(of: UInt8(ascii: "@")), at > bytes.startIndex else { return false }
        let host = bytes[(at + 1)...]
        guard let dot = host.lastIndex(of: UInt8(ascii: ".")) else { return false }
        return dot > host.startIndex && dot < host.endIndex - 1 && !host.contains(UInt8(ascii: "@"))
    }

    /// Eight digits or more with one of `0…9` among them, sixteen without.
    private static func isHex(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count >= 8, bytes.allSatisfy({ $0.hexValue != nil }) else { return false }
        return bytes.contains(where: \.isDigit) && bytes.contains(where: \.isLetter) || bytes.count >= 16
    }

    /// A long text of the characters of base64 or a JWT, in which some stretch looks random.
    private static func isWholeToken(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count >= 20, bytes.allSatisfy({ $0.isLetter || $0.isDigit || "-_=+.~/".utf8.contains($0) }) else {
            return false
        }
        return bytes.split(whereSeparator: { !$0.isLetter && !$0.isDigit }).contains(where: isRandom)
    }

    /// Letters and digits in such an order as words and camel case do not have. Of 16 random characters of base64 ten
    /// differ in class from the one before; in camel case, with words of six letters, five do.
    private static func isRandom(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count >= 16, bytes.allSatisfy({ $0.isLetter || $0.isDigit }) else { return false }
        var changes = 0
        var digitChanges = 0
        for (before, byte) in zip(bytes, bytes.dropFirst()) where before.characterClass != byte.characterClass {
            changes += 1
            if before.isDigit != byte.isDigit { digitChanges += 1 }
        }
        return digitChanges >= 4 || changes * 5 >= bytes.count * 2 || bytes.count > 40
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    fileprivate var isLower: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }
    fileprivate var isUpper: Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) }
    fileprivate var isLetter: Bool { isLower || isUpper }

    fileprivate var characterClass: Int { isDigit ? 0 : isLower ? 1 : 2 }

    fileprivate var hexValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
