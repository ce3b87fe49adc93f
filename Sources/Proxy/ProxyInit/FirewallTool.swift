/// The names of one iptables flavour's programs.
public struct FirewallTool: Sendable, Equatable {
    public let save: String
    public let restore: String

    /// Programs beside `binary` (`iptables-nft`, a path works too) for a family; `save` overrides the usual
    /// name.
    public init(binary: String, save: String? = nil, family: AddressFamily) {
        func named(_ name: String) -> String {
            guard family == .ipv6, let range = name.range(ofLast: "iptables") else { return name }
            return name.replacingCharacters(in: range, with: "ip6tables")
        }
        self.save = named(save ?? "\(binary)-save")
        restore = named("\(binary)-restore")
    }

    /// Flavours to try, in order: the one asked for, then nft, the system's default, legacy.
    ///
    /// - Parameter mode: `nft`, `legacy` or `plain`; overrides the binaries. `nil` when it is none of these.
    public static func candidates(
        mode: String?, binary: String, save: String, family: AddressFamily
    ) -> [FirewallTool]? {
        let asked: FirewallTool
        switch mode {
        case nil, "": asked = FirewallTool(binary: binary, save: save, family: family)
        case "nft": asked = FirewallTool(binary: "iptables-nft", family: family)
        case "legacy": asked = FirewallTool(binary: "iptables-legacy", family: family)
        case "plain": asked = FirewallTool(binary: "iptables", family: family)
        default: return nil
        }
        let usual = ["iptables-nft", "iptables", "iptables-legacy"].map {
            FirewallTool(binary: $0, family: family)
        }
        return [asked] + usual.filter { $0 != asked }
    }
}

extension String {
    fileprivate func range(ofLast word: String) -> Range<Index>? {
        var start = index(endIndex, offsetBy: -word.count, limitedBy: startIndex)
        while let from = start {
            let end = index(from, offsetBy: word.count)
            if self[from..<end] == word { return from..<end }
            start = from == startIndex ? nil : index(before: from)
        }
        return nil
    }

    fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
