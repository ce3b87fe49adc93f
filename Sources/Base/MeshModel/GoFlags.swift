// Command lines in the style of Go's flag package, which existing manifests use: `-addr :8086`,
// `-addr=:8086`, `-enable-h2-upgrade`, `-enable-pprof=false`. Ours is `--name value`; this turns one into
// the other.

/// Rewrites Go-style flags into long options.
public enum GoFlags {
    /// The arguments with every `-name` as `--name`, and every bare boolean as `--name=true`.
    ///
    /// Single-letter flags, values and everything after `--` stay as they are; so does an argument that
    /// starts with a dash and a digit, which is a value.
    ///
    /// - Parameter booleans: Names, without dashes, of flags that take no separate value.
    public static func normalise(_ arguments: [String], booleans: Set<String> = []) -> [String] {
        var result: [String] = []
        for (index, argument) in arguments.enumerated() {
            if argument == "--" { return result + arguments[index...] }
            guard let name = flagName(argument) else {
                result.append(argument)
                continue
            }
            let rest = argument.drop { $0 == "-" }
            result.append("--" + rest + (booleans.contains(name) && !rest.contains("=") ? "=true" : ""))
        }
        return result
    }

    /// The name of a flag of two letters or more, `nil` for anything else.
    private static func flagName(_ argument: String) -> String? {
        guard argument.hasPrefix("-") else { return nil }
        let dashCount = argument.prefix { $0 == "-" }.count
        let name = argument.dropFirst(dashCount).prefix { $0 != "=" }
        guard dashCount <= 2, name.count > 1, let first = name.first, first.isLetter else { return nil }
        return String(name)
    }

    /// Reads a boolean as Go does; `nil` for anything else.
    public static func bool(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }

    /// Splits a listen address: `:8086` listens everywhere; `[::1]:80` and `127.0.0.1:80` on one address.
    public static func listenAddress(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (host.isEmpty ? "0.0.0.0" : String(host), port)
    }
}
