// Reads the predicate off the wire and refuses what cannot be meant. The texts are for the person who asked.

package import MeshAPI

/// Why an `ObserveRequest` is refused; becomes `InvalidArgument`.
package struct TapRequestError: Error, Sendable, Equatable {
    package let message: String

    package init(message: String) { self.message = message }

    static let missing = TapRequestError(message: "missing required field")
}

extension TapMatch {
    /// Parts of one predicate, nested ones included; more are refused.
    package static let partsMax = 1_000

    package typealias Message = Io_Linkerd_Proxy_Tap_ObserveRequest.Match

    /// Compiles the message.
    ///
    /// - Throws: when a field is missing, or a port, network, method or scheme cannot be.
    package init(_ message: Message) throws(TapRequestError) {
        var budget = Self.partsMax
        self = try Self.compile(message, &budget)
    }

    private static func compile(_ message: Message, _ budget: inout Int) throws(TapRequestError) -> TapMatch {
        budget -= 1
        guard budget >= 0 else { throw TapRequestError(message: "match has more than \(partsMax) parts") }
        switch message.match {
        case .all(let sequence): return .all(try compile(sequence, &budget))
        case .any(let sequence): return .any(try compile(sequence, &budget))
        case .not(let inner): return .not(try compile(inner, &budget))
        case .source(let tcp): return .source(try TapAddressMatch(tcp))
        case .destination(let tcp): return .destination(try TapAddressMatch(tcp))
        case .http(let http): return try compile(http)
        case .destinationLabel(let label):
            try check(label)
            return .destinationLabel(key: label.key, value: label.value)
        case .routeLabel(let label):
            try check(label)
            return .routeLabel(key: label.key, value: label.value)
        case nil: throw .missing
        }
    }

    private static func compile(
        _ sequence: Message.Seq, _ budget: inout Int
    ) throws(TapRequestError) -> [TapMatch] {
        var parts: [TapMatch] = []
        for part in sequence.matches { parts.append(try compile(part, &budget)) }
        return parts
    }

    private static func check(_ label: Message.Label) throws(TapRequestError) {
        guard !label.key.isEmpty, !label.value.isEmpty else { throw .missing }
    }

    private static func compile(_ http: Message.Http) throws(TapRequestError) -> TapMatch {
        switch http.match {
        case .scheme(let scheme):
            switch scheme.type {
            case .registered(.http): return .scheme(Array("http".utf8))
            case .registered(.https): return .scheme(Array("https".utf8))
            case .unregistered(let name) where !name.isEmpty: return .scheme(Array(name.lowercased().utf8))
            case .registered, .unregistered: throw TapRequestError(message: "invalid scheme")
            case nil: throw .missing
            }
        case .method(let method):
            switch method.type {
            case .registered(let known):
                guard let name = TapMethods.name(known) else { throw TapRequestError(message: "invalid method") }
                return .method(Array(name.utf8))
            case .unregistered(let name):
                guard !name.isEmpty else { throw TapRequestError(message: "invalid method") }
                return .method(Array(name.utf8))
            case nil: throw .missing
            }
        case .authority(let text): return .authority(try TapTextMatch(text))
        case .path(let text): return .path(try TapTextMatch(text))
        case nil: throw .missing
        }
    }
}

extension TapTextMatch {
    fileprivate init(_ message: TapMatch.Message.Http.StringMatch) throws(TapRequestError) {
        switch message.match {
        case .exact(let text): self = .exact(Array(text.utf8))
        case .prefix(let text): self = .prefix(Array(text.utf8))
        case nil: throw .missing
        }
    }
}

extension TapAddressMatch {
    fileprivate init(_ message: TapMatch.Message.Tcp) throws(TapRequestError) {
        switch message.match {
        case .netmask(let network):
            guard network.hasIp, let ip = network.ip.ip else { throw .missing }
            var bytes: [UInt8] = []
            switch ip {
            case .ipv4(let bits): bytes = Self.bytes(UInt64(bits), count: 4)
            case .ipv6(let halves): bytes = Self.bytes(halves.first, count: 8) + Self.bytes(halves.last, count: 8)
            }
            guard network.mask > 0, network.mask <= bytes.count * 8 else {
                throw TapRequestError(message: "invalid network")
            }
            self = .network(bytes: bytes, bits: Int(network.mask))
        case .ports(let range):
            guard let min = UInt16(exactly: range.min), let max = UInt16(exactly: range.max), min > 0 || max > 0
            else { throw TapRequestError(message: "invalid port") }
            let (low, high) = (min == 0 ? max : min, max == 0 ? min : max)
            guard low <= high else { throw TapRequestError(message: "invalid port range") }
            self = .ports(low...high)
        case nil: throw .missing
        }
    }

    private static func bytes(_ value: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - $0) * 8)) }
    }
}

/// The methods that the wire has numbers for.
enum TapMethods {
    private static let names = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "HEAD", "TRACE",
    ]

    static func name(_ method: Io_Linkerd_Proxy_HttpTypes_HttpMethod.Registered) -> String? {
        names.indices.contains(method.rawValue) ? names[method.rawValue] : nil
    }

    /// The number of a method as it was spelt; `nil` when it travels as text.
    static func number(_ request: borrowing TapRequest) -> UInt64? {
        for index in names.indices where request.equals(request.method, names[index]) { return UInt64(index) }
        return nil
    }
}
