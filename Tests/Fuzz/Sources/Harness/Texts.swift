// Small languages that people and peers write: selectors, paths, patterns, names, durations, flags.

import MeshModel
import MeshRoutes
import MeshWire

/// The input as lines, at most `count`; the last one has all that is left.
private func lines(_ bytes: [UInt8], _ count: Int) -> [String] {
    bytes.split(separator: 10, maxSplits: count - 1, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
}

/// A selector, then a label value.
func seriesSelector(_ bytes: [UInt8]) {
    let parts = lines(bytes, 2)
    let value = parts.count > 1 ? parts[1] : ""
    if let matcher = try? SeriesMatcher(parts[0]) {
        require(parts[0].utf8.count <= SeriesMatcher.lengthMax, "selectors are bounded")
        _ = matcher.matches(name: value, [("a", value), ("namespace", "")])
    }
    if parts[0].utf8.count <= SeriesMatcher.lengthMax { _ = LabelPattern(parts[0])?.matches(value) }
    guard !value.isEmpty, value.utf8.count < SeriesMatcher.lengthMax, value.utf8.allSatisfy({ $0 < 0x80 }) else { return }
    // Text with everything escaped that may be means itself, in a selector too.
    let literal = value.map { $0.isLetter || $0.isNumber ? String($0) : "\\\($0)" }.joined()
    guard let pattern = LabelPattern(literal) else { fatalError("escaped text is a pattern") }
    require(pattern.matches(value) && !pattern.matches(value + "x") && !pattern.matches(""), "text matches itself alone")
    let quoted = value.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
    guard let matcher = try? SeriesMatcher("{a=\"\(quoted)\"}") else {
        return require(quoted.utf8.count + 6 > SeriesMatcher.lengthMax, "quoted text is a value")
    }
    require(matcher.matches(name: "", [("a", value)]) && !matcher.matches(name: "", [("a", value + "x")]), "a value is itself")
}

/// A label selector, then a label value.
func labelSelector(_ bytes: [UInt8]) {
    let parts = lines(bytes, 2)
    guard let query = try? LabelQuery(parts[0]) else { return }
    let value = parts.count > 1 ? parts[1] : ""
    for labels in [[:], ["app": value], ["app": value, "tier": ""]] {
        require(!query.isEmpty || query.matches(labels), "an empty selector takes everything")
    }
}

func tapPath(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    require(text.removingPercentEscapes == GRPCStatus.decodedMessage(text), "two readers of escapes differ")
    guard let request = TapPath.parse(text) else { return }
    require(!request.namespace.isEmpty && !request.resource.isEmpty, "a request names what it wants")
    // A namespace within another one has a path that no question fits.
    let isOdd = request.resource == "namespaces" && request.namespace != request.name
    for kind in ResourceKind.allCases where kind.plural == request.resource && !isOdd {
        let question = TapQuestion(kind: kind, namespace: request.namespace, name: request.name)
        require(TapPath.parse(TapPath.path(question)) == request, "a path reads back")
    }
}

/// A pattern, then a path.
func pathPattern(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    let text = String(decoding: parts.first ?? [], as: UTF8.self)
    let path = parts.count > 1 ? Array(parts[1]) : []
    guard let pattern = try? PathPattern(text) else { return }
    let isMatch = pattern.matches(path.span)
    require(pattern.matches(path.span) == isMatch, "a warm matcher differs from a cold one")
    _ = pattern.matches([UInt8](path.reversed()).span)
    require(pattern.matches(path.span) == isMatch, "what was matched before changes a match")
    let isLiteral = text.utf8.allSatisfy { $0 == 0x2F || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
    if isLiteral { require(isMatch == path.elementsEqual(text.utf8), "text matches itself alone") }
}

/// A query, answered within its bounds.
func dnsQuery(_ bytes: [UInt8]) {
    guard let query = try? DNSQuery(parsing: bytes) else { return }
    require((512...1_232).contains(query.answerBytesMax), "an answer fits one packet")
    require(query.rawQuestion.count <= bytes.count, "the question lies in its query")
    for code in [DNSAnswer.Code.noError, .nameError] {
        let records = (0..<64).map { DNSRecord(ttlSeconds: 5, content: .address([10, 0, 0, UInt8($0)])) }
        let answer = DNSAnswer(code: code, answers: code == .noError ? records : [])
        let encoded = answer.encoded(for: query, bytesMax: query.answerBytesMax)
        require(encoded.count <= query.answerBytesMax, "an answer is cut to what the client takes")
        require(encoded.prefix(2).elementsEqual(bytes.prefix(2)), "an answer has its query's number")
        require((try? DNSQuery(parsing: encoded)) == nil, "an answer is no query")
    }
}

/// Durations and flags as Go writes them: a duration, then arguments.
func goNotation(_ bytes: [UInt8]) {
    let parts = lines(bytes, 64)
    if let duration = GoDuration.parse(parts[0]) {
        guard let again = GoDuration.parse(GoDuration.format(duration)) else { fatalError("a duration cannot be read back") }
        // Hours in nanoseconds have more digits than a double.
        let difference = (again - duration).seconds
        require(abs(difference) <= max(1e-9, abs(duration.seconds) * 1e-14), "a duration changed when it was written")
    }
    let booleans: Set<String> = ["pprof", "enable-h2-upgrade"]
    let once = GoFlags.normalise(parts, booleans: booleans)
    require(once.count == parts.count, "no argument is lost")
    require(GoFlags.normalise(once, booleans: booleans) == once, "flags are rewritten once")
    if let end = parts.firstIndex(of: "--") { require(once[end...] == parts[end...], "what follows -- is left alone") }
}
