/// Host and optional port, as requests name them.
package struct Authority: Hashable, Sendable {
    /// Lower case, without a trailing dot; IPv6 addresses keep their brackets.
    package let host: String
    /// `nil` when none was named.
    package let port: UInt16?

    /// Reads `host`, `host:port` or `[v6]:port`; `nil` when the text is empty or the port is not a port.
    package init?(_ text: some StringProtocol) {
        // RFC 3986 section 3.2.2 knows ASCII only; other scalars could join with a colon into one character.
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        let text = text.lowercased()
        var host = Substring(text)
        var port: UInt16?
        let bracket = text.lastIndex(of: "]")
        if let colon = text.lastIndex(of: ":"), bracket.map({ colon > $0 }) ?? true {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else { return nil }
            port = number
            host = text[..<colon]
        }
        if bracket == nil, host.contains(":") { return nil }
        if host.hasSuffix(".") { host = host.dropLast() }
        guard !host.isEmpty, !host.hasSuffix(".") else { return nil }  // A name ends in one dot at most.
        self.host = String(host)
        self.port = port
    }

    package init(host: String, port: UInt16?) {
        self.host = host
        self.port = port
    }

    /// The name with its port always, as discovery wants it.
    package func path(defaultPort: UInt16) -> String { "\(host):\(port ?? defaultPort)" }

    /// The `authority` label: the port is left out when it is 80.
    package var label: String {
        if let port, port != 80 { return "\(host):\(port)" }
        return host
    }

    /// Whether the host is, or is below, one of `suffixes` (lower case; `.` matches all).
    package func isUnder(_ suffixes: [String]) -> Bool {
        suffixes.contains { suffix in
            let bare = suffix.hasSuffix(".") ? String(suffix.dropLast()) : suffix
            return bare.isEmpty || host == bare || host.hasSuffix("." + bare)
        }
    }
}
