import MeshAPI
import MeshModel
import MetricsAPI

extension TapQuestion {
    /// All that one proxy receives, or, without an address, every pod there is.
    ///
    /// - Throws: when the address is none.
    package static func sampling(rate: Double, address: String?) throws -> TapQuestion {
        var match = ProxyMatch()
        if let address {
            guard let netmask = netmask(address) else {
                throw TapRefusal(.invalidArgument, "\"\(address)\" is no address of a pod")
            }
            match.destination.netmask = netmask
        } else {
            match.all = .init()
        }
        return try TapQuestion(samplingPerSecond: rate, match: match)
    }

    private init(samplingPerSecond rate: Double, match: ProxyMatch) throws {
        kind = .pod
        namespace = ""
        name = ""
        selector = try LabelQuery("")
        ratePerSecond = rate
        self.match = match
        wantsHeaders = true
        filter = .none
        wantsLosses = true
    }

    /// The network that holds this address alone; `nil` when the text is none, in the forms that pods have.
    private static func netmask(_ text: String) -> ProxyMatch.Tcp.Netmask? {
        var netmask = ProxyMatch.Tcp.Netmask()
        let octets = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        if octets.count == 4, !octets.contains(nil) {
            netmask.ip.ipv4 = octets.reduce(0) { $0 << 8 | UInt32($1 ?? 0) }
            netmask.mask = 32
            return netmask
        }
        guard let groups = groups(text) else { return nil }
        func half(_ groups: ArraySlice<UInt16>) -> UInt64 { groups.reduce(0) { $0 << 16 | UInt64($1) } }
        netmask.ip.ipv6.first = half(groups[..<4])
        netmask.ip.ipv6.last = half(groups[4...])
        netmask.mask = 128
        return netmask
    }

    /// The eight groups of an IPv6 address, `::` filled in.
    ///
    /// Source: RFC 4291, section 2.2, without the form that ends in dotted decimals.
    private static func groups(_ text: String) -> [UInt16]? {
        let gap = text.firstRange(of: "::")
        let sides = [text[..<(gap?.lowerBound ?? text.endIndex)], text[(gap?.upperBound ?? text.endIndex)...]]
        let numbers = sides.map { side in
            side.split(separator: ":", omittingEmptySubsequences: !side.contains(":")).map { UInt16($0, radix: 16) }
        }
        guard !numbers.joined().contains(nil) else { return nil }
        let known = numbers.map { $0.compactMap(\.self) }
        let missing = 8 - known[0].count - known[1].count
        guard gap == nil ? missing == 0 : missing > 0 else { return nil }
        return known[0] + Array(repeating: 0, count: missing) + known[1]
    }
}
