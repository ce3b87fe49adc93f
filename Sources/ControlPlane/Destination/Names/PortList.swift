// The port lists of annotations and flags: `25, 3000-3010, mysql`. Spaces and empty items are tolerated;
// items that make no sense are left out, since one typo must not change how other ports are treated.

/// A set of ports, some of them by name.
package struct PortList: Equatable, Sendable {
    package private(set) var ranges: [ClosedRange<Int>] = []
    package private(set) var names: Set<String> = []

    /// No port at all.
    package init() {}

    package init(parsing text: String) {
        for item in text.split(separator: ",") {
            let item = item.trimmingSpaces()
            guard !item.isEmpty else { continue }
            let bounds = item.split(separator: "-", omittingEmptySubsequences: false)
            if let port = Self.port(item) {
                ranges.append(port...port)
            } else if bounds.count == 2, let low = Self.port(bounds[0]), let high = Self.port(bounds[1]) {
                if low <= high { ranges.append(low...high) }
            } else if Self.isPortName(item) {
                names.insert(String(item))
            }
        }
    }

    private static func port(_ text: Substring) -> Int? {
        let text = text.trimmingSpaces()
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text).flatMap { (0...65_535).contains($0) ? $0 : nil }
    }

    /// Port names have at least one letter (RFC 6335 section 5.1); a mere range typo is no name.
    private static func isPortName(_ text: Substring) -> Bool {
        text.utf8.count <= 63 && text.contains(where: \.isLetter)
            && text.utf8.allSatisfy {
                (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 45
            }
    }

    /// Whether a port is listed, by number or by one of its names.
    package func contains(_ port: Int, names portNames: [String] = []) -> Bool {
        ranges.contains { $0.contains(port) } || portNames.contains { names.contains($0) }
    }
}

extension Substring {
    /// Without leading and trailing spaces and tabs.
    fileprivate func trimmingSpaces() -> Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var text = drop(while: isSpace)
        while let last = text.last, isSpace(last) { text.removeLast() }
        return text
    }
}
