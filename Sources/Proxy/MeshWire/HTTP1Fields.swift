// The field lines of an HTTP/1 head, read in place: offsets into the caller's bytes, nothing is copied.
//
// What decides framing or routing is picked out in one pass, and lines that must not travel to the next hop
// (RFC 9110 section 7.6.1) are noted as ranges to leave out. Anything that two readers could understand
// differently is refused: bare CR or LF, folded lines, blanks before the colon, differing lengths, a length
// beside a transfer encoding. Source: RFC 9112 sections 2.2, 5, 6.3.

/// Which side's own fields are left out besides the hop-by-hop ones.
package struct HTTP1FieldRules: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Drop `l5d-client-id`: only a proxy may set it.
    package static let dropsClientID = HTTP1FieldRules(rawValue: 1)
    /// Drop `l5d-dst-canonical`, because this proxy sets its own.
    package static let dropsCanonicalName = HTTP1FieldRules(rawValue: 2)
    /// Read `l5d-dst-override` and drop it (ingress mode).
    package static let takesOverride = HTTP1FieldRules(rawValue: 4)
    /// Read `l5d-require-id` and drop it.
    package static let takesRequiredID = HTTP1FieldRules(rawValue: 8)
    /// Read `l5d-proxy-connection`, by which a peer's proxy ends the client's connection, and drop it.
    package static let takesProxyConnection = HTTP1FieldRules(rawValue: 16)
    /// Drop `l5d-proxy-error`.
    package static let dropsProxyError = HTTP1FieldRules(rawValue: 32)
}

/// What the field lines of one head say.
struct HTTP1Fields {
    struct Connection: OptionSet {
        let rawValue: UInt8
        static let close = Connection(rawValue: 1)
        static let keepAlive = Connection(rawValue: 2)
        static let upgrade = Connection(rawValue: 4)
        /// Names fields beyond the ones that are always dropped.
        static let nominates = Connection(rawValue: 8)
    }

    /// Ranges of whole lines to leave out, ascending. Its capacity is kept between heads.
    var removals: [Range<Int>] = []
    /// Offset of the empty line, where fields may be added.
    var end = 0
    var connection: Connection = []
    var contentLength: UInt64?
    var isChunked = false
    var hasTransferEncoding = false
    var hasUpgrade = false
    var isH2CUpgrade = false
    var expectsContinue = false
    var host: Range<Int> = 0..<0
    var hasHost = false
    var canonicalName: Range<Int> = 0..<0
    var overrideName: Range<Int> = 0..<0
    var requiredID: Range<Int> = 0..<0
    var endsClientConnection = false
    var rules: HTTP1FieldRules

    /// Where the first field line begins.
    private(set) var linesStart = 0
    private var count = 0

    init(rules: HTTP1FieldRules) {
        self.rules = rules
    }

    /// Forgets the last head.
    mutating func reset() {
        removals.removeAll(keepingCapacity: true)
        end = 0
        connection = []
        contentLength = nil
        isChunked = false
        hasTransferEncoding = false
        hasUpgrade = false
        isH2CUpgrade = false
        expectsContinue = false
        host = 0..<0
        hasHost = false
        canonicalName = 0..<0
        overrideName = 0..<0
        requiredID = 0..<0
        endsClientConnection = false
        count = 0
    }

    /// Reads field lines from `start` to the empty line.
    /// - Returns: `false` when the bytes end before the empty line.
    mutating func scan(_ bytes: Span<UInt8>, from start: Int) throws(HTTP1ParseError) -> Bool {
        linesStart = start
        var offset = start
        while true {
            guard let line = try Self.line(bytes, at: offset) else { return false }
            if line.isEmptyLine {
                end = offset
                return true
            }
            count += 1
            guard count <= HTTP1Limits.fieldCountMax else { throw .tooManyFields }
            try take(bytes, line, start: offset)
            offset = line.end
        }
    }

    /// Decides again what to leave out when `Connection` names other fields, or keeps a protocol upgrade.
    /// Rare.
    /// - Parameter keepsUpgrade: leave `Connection` and `Upgrade` in place.
    mutating func rebuildRemovals(_ bytes: Span<UInt8>, keepsUpgrade: Bool) throws(HTTP1ParseError) {
        removals.removeAll(keepingCapacity: true)
        let nominated = try nominatedNames(bytes)
        var offset = linesStart
        var lengthCount = 0
        while let line = try Self.line(bytes, at: offset), !line.isEmptyLine {
            let name = Self.text(bytes, line.name).lowercased()
            if name == "content-length" { lengthCount += 1 }
            let isDropped =
                switch name {
                case "content-length": lengthCount > 1  // As in `takeFourteen`: once.
                case "connection", "upgrade": !keepsUpgrade
                case "keep-alive", "proxy-connection": true
                case "l5d-client-id": rules.contains(.dropsClientID)
                case "l5d-dst-canonical": rules.contains(.dropsCanonicalName)
                case "l5d-dst-override": rules.contains(.takesOverride)
                case "l5d-require-id": rules.contains(.takesRequiredID)
                case "l5d-proxy-connection": rules.contains(.takesProxyConnection)
                case "l5d-proxy-error": rules.contains(.dropsProxyError)
                default: nominated.contains(name)
                }
            if isDropped { removals.append(offset..<line.end) }
            offset = line.end
        }
    }

    // Framing and routing stay whatever `Connection` claims: dropping them would change what the message
    // means.
    private static let neverNominated: Set<String> = [
        "content-length", "transfer-encoding", "host", "connection",
    ]

    private func nominatedNames(_ bytes: Span<UInt8>) throws(HTTP1ParseError) -> Set<String> {
        var names: Set<String> = []
        var offset = linesStart
        while let line = try Self.line(bytes, at: offset), !line.isEmptyLine {
            if Self.text(bytes, line.name).lowercased() == "connection" {
                for item in Self.text(bytes, line.value).split(separator: ",") {
                    names.insert(item.filter { $0 != " " && $0 != "\t" }.lowercased())
                }
            }
            offset = line.end
        }
        return names.subtracting(Self.neverNominated)
    }

    /// Copies `range` into a string; slow paths only.
    static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        String(decoding: range.map { bytes[$0] }, as: UTF8.self)
    }
}

// MARK: - One line

extension HTTP1Fields {
    /// Offsets of one field line; `end` is after its line feed.
    struct Line {
        var name: Range<Int>
        var value: Range<Int>
        var end: Int
        var isEmptyLine: Bool { name.isEmpty }
    }

    /// Reads the line at `start`; `nil` when it is incomplete, an empty name at the end of the fields.
    static func line(_ bytes: Span<UInt8>, at start: Int) throws(HTTP1ParseError) -> Line? {
        let count = bytes.count
        guard start < count else { return nil }
        switch bytes[start] {
        case carriageReturn:
            guard start + 1 < count else { return nil }
            guard bytes[start + 1] == lineFeed else { throw .bareCarriageReturn }
            return Line(name: start..<start, value: start..<start, end: start + 2)
        case lineFeed: throw .bareLineFeed
        case 0x20, 0x09: throw .obsoleteFold
        default: break
        }
        var offset = start
        while offset < count, ByteClass.isToken(bytes[offset]) { offset += 1 }
        guard offset < count else { return nil }
        guard bytes[offset] == UInt8(ascii: ":"), offset > start else { throw .badFieldName }
        let nameEnd = offset
        offset += 1
        while offset < count, ByteClass.isBlank(bytes[offset]) { offset += 1 }
        let valueStart = offset
        while offset < count, ByteClass.isFieldValue(bytes[offset]) { offset += 1 }
        guard offset < count else { return nil }
        guard bytes[offset] == carriageReturn else {
            throw bytes[offset] == lineFeed ? .bareLineFeed : .badFieldValue
        }
        guard offset + 1 < count else { return nil }
        guard bytes[offset + 1] == lineFeed else { throw .bareCarriageReturn }
        var valueEnd = offset
        while valueEnd > valueStart, ByteClass.isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
        return Line(name: start..<nameEnd, value: valueStart..<valueEnd, end: offset + 2)
    }

    /// Notes what a line means; most lines mean nothing to a proxy and cost one comparison of lengths.
    private mutating func take(_ bytes: Span<UInt8>, _ line: Line, start: Int) throws(HTTP1ParseError) {
        let name = line.name
        switch name.count {
        case 4 where folded(bytes, at: start, count: 4) == word("h", "o", "s", "t"):
            guard !hasHost else { throw .duplicateHost }
            guard Self.isHost(bytes, line.value) else { throw .badHost }
            hasHost = true
            host = line.value
        case 6 where folded(bytes, at: start, count: 6) == word("e", "x", "p", "e", "c", "t"):
            expectsContinue = true
        case 7 where folded(bytes, at: start, count: 7) == word("u", "p", "g", "r", "a", "d", "e"):
            hasUpgrade = true
            isH2CUpgrade = Self.text(bytes, line.value).lowercased().hasPrefix("h2c")
            removals.append(start..<line.end)
        case 10: takeTen(bytes, line, start: start)
        case 13: takeThirteen(bytes, line, start: start)
        case 14: try takeFourteen(bytes, line, start: start)
        case 15
        where rules.contains(.dropsProxyError)
            && folded(bytes, at: start, count: 8) == word("l", "5", "d", "-", "p", "r", "o", "x")
            && folded(bytes, at: start + 8, count: 7) == word("y", "-", "e", "r", "r", "o", "r"):
            removals.append(start..<line.end)
        case 16
        where folded(bytes, at: start, count: 8) == word("p", "r", "o", "x", "y", "-", "c", "o")
            && folded(bytes, at: start + 8, count: 8) == word("n", "n", "e", "c", "t", "i", "o", "n"):
            removals.append(start..<line.end)
        case 16
        where rules.contains(.takesOverride)
            && folded(bytes, at: start, count: 8) == word("l", "5", "d", "-", "d", "s", "t", "-")
            && folded(bytes, at: start + 8, count: 8) == word("o", "v", "e", "r", "r", "i", "d", "e"):
            if Self.isHost(bytes, line.value) { overrideName = line.value }
            removals.append(start..<line.end)
        case 17: try takeSeventeen(bytes, line, start: start)
        case 20 where rules.contains(.takesProxyConnection): takeTwenty(bytes, line, start: start)
        default: break
        }
    }

    private mutating func takeTen(_ bytes: Span<UInt8>, _ line: Line, start: Int) {
        let first = folded(bytes, at: start, count: 8)
        let last = folded(bytes, at: start + 8, count: 2)
        if first == word("c", "o", "n", "n", "e", "c", "t", "i"), last == word("o", "n") {
            takeConnection(bytes, line.value)
            removals.append(start..<line.end)
        } else if first == word("k", "e", "e", "p", "-", "a", "l", "i"), last == word("v", "e") {
            removals.append(start..<line.end)
        }
    }

    private mutating func takeThirteen(_ bytes: Span<UInt8>, _ line: Line, start: Int) {
        guard rules.contains(.dropsClientID),
            folded(bytes, at: start, count: 8) == word("l", "5", "d", "-", "c", "l", "i", "e"),
            folded(bytes, at: start + 8, count: 5) == word("n", "t", "-", "i", "d")
        else { return }
        removals.append(start..<line.end)
    }

    private mutating func takeFourteen(_ bytes: Span<UInt8>, _ line: Line, start: Int) throws(HTTP1ParseError)
    {
        if rules.contains(.takesRequiredID),
            folded(bytes, at: start, count: 8) == word("l", "5", "d", "-", "r", "e", "q", "u"),
            folded(bytes, at: start + 8, count: 6) == word("i", "r", "e", "-", "i", "d")
        {
            requiredID = line.value
            return removals.append(start..<line.end)
        }
        guard folded(bytes, at: start, count: 8) == word("c", "o", "n", "t", "e", "n", "t", "-"),
            folded(bytes, at: start + 8, count: 6) == word("l", "e", "n", "g", "t", "h")
        else { return }
        guard !line.value.isEmpty else { throw .badContentLength }
        var length: UInt64 = 0
        for offset in line.value {
            guard let digit = ByteClass.decimal(bytes[offset]) else { throw .badContentLength }
            let (scaled, overflow) = length.multipliedReportingOverflow(by: 10)
            let (sum, carried) = scaled.addingReportingOverflow(digit)
            guard !overflow, !carried, sum <= UInt64(Int64.max) else { throw .badContentLength }
            length = sum
        }
        if let known = contentLength {
            guard known == length else { throw .conflictingContentLength }
            removals.append(start..<line.end)  // A repeated equal length travels once (RFC 9112 section 6.3).
        }
        contentLength = length
    }

    private mutating func takeSeventeen(_ bytes: Span<UInt8>, _ line: Line, start: Int)
        throws(HTTP1ParseError)
    {
        let first = folded(bytes, at: start, count: 8)
        let second = folded(bytes, at: start + 8, count: 8)
        let last = bytes[start + 16] | 0x20
        if first == word("t", "r", "a", "n", "s", "f", "e", "r"),
            second == word("-", "e", "n", "c", "o", "d", "i", "n"), last == UInt8(ascii: "g")
        {
            hasTransferEncoding = true
            let codings = Self.text(bytes, line.value).lowercased().split(
                separator: ",", omittingEmptySubsequences: false
            ).map { $0.filter { $0 != " " && $0 != "\t" } }
            // "chunked" comes last and once, whatever lines the codings are spread over.
            guard !isChunked, !codings.contains(""), !codings.dropLast().contains("chunked") else {
                throw .badTransferEncoding
            }
            isChunked = codings.last == "chunked"
        } else if first == word("l", "5", "d", "-", "d", "s", "t", "-"),
            second == word("c", "a", "n", "o", "n", "i", "c", "a"), last == UInt8(ascii: "l")
        {
            if Self.isHost(bytes, line.value) { canonicalName = line.value }
            if rules.contains(.dropsCanonicalName) { removals.append(start..<line.end) }
        }
    }

    private mutating func takeTwenty(_ bytes: Span<UInt8>, _ line: Line, start: Int) {
        guard folded(bytes, at: start, count: 8) == word("l", "5", "d", "-", "p", "r", "o", "x"),
            folded(bytes, at: start + 8, count: 8) == word("y", "-", "c", "o", "n", "n", "e", "c"),
            folded(bytes, at: start + 16, count: 4) == word("t", "i", "o", "n")
        else { return }
        removals.append(start..<line.end)
        if Self.option(bytes, line.value) == .close { endsClientConnection = true }
    }

    private mutating func takeConnection(_ bytes: Span<UInt8>, _ value: Range<Int>) {
        var offset = value.lowerBound
        while offset < value.upperBound {
            while offset < value.upperBound,
                ByteClass.isBlank(bytes[offset]) || bytes[offset] == UInt8(ascii: ",")
            {
                offset += 1
            }
            let start = offset
            while offset < value.upperBound, bytes[offset] != UInt8(ascii: ",") { offset += 1 }
            var end = offset
            while end > start, ByteClass.isBlank(bytes[end - 1]) { end -= 1 }
            if end > start { connection.insert(Self.option(bytes, start..<end)) }
        }
    }

    private static func option(_ bytes: Span<UInt8>, _ item: Range<Int>) -> Connection {
        let start = item.lowerBound
        switch item.count {
        case 5 where folded(bytes, at: start, count: 5) == word("c", "l", "o", "s", "e"):
            return .close
        case 7 where folded(bytes, at: start, count: 7) == word("u", "p", "g", "r", "a", "d", "e"):
            return .upgrade
        case 10
        where folded(bytes, at: start, count: 8) == word("k", "e", "e", "p", "-", "a", "l", "i")
            && folded(bytes, at: start + 8, count: 2) == word("v", "e"):
            return .keepAlive
        default: return .nominates
        }
    }

    /// Whether the bytes may be a host with an optional port; empty is allowed (RFC 9112 section 3.2).
    static func isHost(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for offset in range where !ByteClass.isHost(bytes[offset]) { return false }
        return true
    }
}
