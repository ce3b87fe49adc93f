/// `$(NAME)` references in commands, arguments and environment values, as the Kubernetes API defines them
/// (core/v1 Container.args): an unknown name stays as it is written, `$$` is a dollar.
package enum EnvironmentExpansion {
    /// `text` with every reference to a known name replaced.
    package static func expand(_ text: String, _ lookup: (String) -> String?) -> String {
        guard text.contains("$") else { return text }
        var output = ""
        var rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            output += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                output += "$"
                rest = rest.dropFirst()
            } else if rest.first == "(", let end = rest.firstIndex(of: ")") {
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                output += lookup(name) ?? "$(\(name))"
                rest = rest[rest.index(after: end)...]
            } else {
                output += "$"
            }
        }
        return output + rest
    }
}
