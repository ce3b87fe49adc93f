// What the proxy can be told, one value a key: its grammar, its default as the environment would spell it, what
// it changes, and whether it does. The README's table is written from these.

/// One variable of the environment.
package struct ConfigKey: Sendable, Equatable {
    /// How the text is read (`spec/proxy.md` 2.1).
    package enum Form: Sendable, Equatable {
        case duration, flag, text, listenAddress, listenAddresses, serviceAddress, ports, addresses, networks, suffixes
        case ratio, certificates
        case integer(ClosedRange<Int>)
        case oneOf([String])

        /// What the text should have been, for people.
        package var accepted: String {
            switch self {
            case .duration: "a whole number with ms, s, m, h or d, such as 10s"
            case .flag: "true or false"
            case .text: "text"
            case .listenAddress: "ip:port"
            case .listenAddresses: "one or two ip:port separated by a comma"
            case .serviceAddress: "host:port"
            case .ports: "ports and ranges separated by commas"
            case .addresses: "IP addresses separated by commas"
            case .networks: "networks such as 10.0.0.0/8 separated by commas"
            case .suffixes: "DNS suffixes separated by commas"
            case .ratio: "a number, 0 or more"
            case .certificates: "certificates in PEM"
            case .integer(let range) where range.upperBound == .max: "a whole number, \(range.lowerBound) or more"
            case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
            case .oneOf(let words): words.joined(separator: ", ")
            }
        }
    }

    /// Whether setting the key changes anything.
    package enum Standing: Sendable, Equatable {
        case inEffect
        /// Read and checked, because Linkerd's injectors set it, and no more; with the reason.
        case withoutEffect(String)
    }

    /// The name without `LINKERD2_PROXY_`.
    package let name: String
    package let form: Form
    /// The default as the variable would spell it; empty when there is none.
    package let fallback: String
    /// One line: what it is, and why that default where it is not plain.
    package let summary: String
    package let standing: Standing

    init(
        _ name: String, _ form: Form, _ fallback: String = "", _ summary: String,
        standing: Standing = .inEffect
    ) {
        self.name = name
        self.form = form
        self.fallback = fallback
        self.summary = summary
        self.standing = standing
    }

    /// The whole name of the variable.
    package var variable: String { ProxyConfig.prefix + name }

    /// The table of all keys, in Markdown, as the README has it.
    package static func table() -> String {
        var lines = ["| Variable (`LINKERD2_PROXY_…`) | Default | Form | What it does |", "|---|---|---|---|"]
        for key in all {
            let fallback = key.fallback.isEmpty ? "–" : "`\(key.fallback)`"
            var text = key.summary
            if case .withoutEffect(let reason) = key.standing { text += " *Without effect: \(reason).*" }
            lines.append("| `\(key.name)` | \(fallback) | \(key.form.accepted) | \(text) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Every key, in the order of the table.
extension ConfigKey {
    package static let all: [ConfigKey] =
        listeners + SideKeys.inbound.all + SideKeys.outbound.all + http2 + discovery + policy + identity + tapAndTracing
        + process
}
