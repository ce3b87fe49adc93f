// DNS messages, RFC 1035 section 4: as much as a cluster's resolver needs. Queries with one question are
// read; answers hold A, SRV, CNAME and SOA records, names compressed only against the question. EDNS (RFC
// 6891) is read for the size that the client takes, and never answered with options.

/// Why bytes are not a query we can answer.
package enum DNSFormatError: Error, Equatable {
    case truncated, badName, notOneQuestion, isAnswer
}

/// Types of records, by their numbers in RFC 1035 and RFC 2782.
package enum DNSType {
    package static let a: UInt16 = 1
    package static let cname: UInt16 = 5
    package static let soa: UInt16 = 6
    package static let aaaa: UInt16 = 28
    package static let srv: UInt16 = 33
    package static let any: UInt16 = 255
    static let opt: UInt16 = 41
}

/// A question: what a client wants to know.
package struct DNSQuery: Sendable, Hashable {
    package var id: UInt16
    package var isRecursionDesired: Bool
    package var opcode: UInt8
    /// Lower case, without the final dot.
    package var name: String
    package var type: UInt16
    package var recordClass: UInt16
    /// What fits in the answer by UDP.
    package var answerBytesMax: Int
    /// The question as it came, echoed so that mixed case survives.
    package var rawQuestion: [UInt8]
}

/// A record of an answer.
package struct DNSRecord: Sendable, Hashable {
    package enum Content: Sendable, Hashable {
        case address([UInt8])
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: String)
        case alias(String)
    }
    /// `nil`: the name that was asked for.
    package var name: String?
    package var ttlSeconds: UInt32
    package var content: Content

    package init(name: String? = nil, ttlSeconds: UInt32, content: Content) {
        self.name = name
        self.ttlSeconds = ttlSeconds
        self.content = content
    }
}

/// An answer.
package struct DNSAnswer: Sendable, Hashable {
    package enum Code: UInt8, Sendable {
        case noError = 0, formatError = 1, serverFailure = 2, nameError = 3, refused = 5
    }
    package var code: Code
    package var answers: [DNSRecord]
    package var additional: [DNSRecord]
    /// The zone whose SOA says how long a negative answer holds; `nil` without one.
    package var negativeZone: String?

    package init(
        code: Code, answers: [DNSRecord] = [], additional: [DNSRecord] = [], negativeZone: String? = nil
    ) {
        self.code = code
        self.answers = answers
        self.additional = additional
        self.negativeZone = negativeZone
    }
}

extension DNSQuery {
    static let headerBytes = 12
    static let udpBytesDefault = 512
    /// More than fits one unfragmented packet is asked again by TCP.
    static let udpBytesMax = 1_232

    /// Reads a query.
    package init(parsing bytes: [UInt8]) throws(DNSFormatError) {
        guard bytes.count >= Self.headerBytes else { throw .truncated }
        let flags = Self.number(bytes, 2)
        guard flags & 0x8000 == 0 else { throw .isAnswer }
        guard Self.number(bytes, 4) == 1 else { throw .notOneQuestion }
        let (name, end) = try Self.name(bytes, at: Self.headerBytes)
        guard bytes.count >= end + 4 else { throw .truncated }
        id = Self.number(bytes, 0)
        isRecursionDesired = flags & 0x0100 != 0
        opcode = UInt8(truncatingIfNeeded: flags >> 11 & 0xF)
        self.name = name
        type = Self.number(bytes, end)
        recordClass = Self.number(bytes, end + 2)
        rawQuestion = Array(bytes[Self.headerBytes..<end + 4])
        answerBytesMax = Self.udpBytesDefault
        // An OPT record right after the question; anything else there does not matter to us.
        let isPlainQuery =
            Self.number(bytes, 6) == 0 && Self.number(bytes, 8) == 0 && Self.number(bytes, 10) > 0
        let extra = end + 4
        if isPlainQuery, bytes.count >= extra + 11, bytes[extra] == 0,
            Self.number(bytes, extra + 1) == DNSType.opt
        {
            let size = Int(Self.number(bytes, extra + 3))
            answerBytesMax = min(max(size, Self.udpBytesDefault), Self.udpBytesMax)
        }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    /// Labels joined by dots, and the offset behind them. A question has nothing to point at, so pointers
    /// are refused.
    private static func name(_ bytes: [UInt8], at start: Int) throws(DNSFormatError) -> (String, Int) {
        var offset = start
        var labels: [String] = []
        while true {
            guard offset < bytes.count else { throw .truncated }
            let length = Int(bytes[offset])
            if length == 0 { break }
            guard length <= 63, offset - start < 255 else { throw .badName }
            guard offset + 1 + length <= bytes.count else { throw .truncated }
            labels.append(String(decoding: bytes[offset + 1...offset + length], as: UTF8.self).lowercased())
            offset += 1 + length
        }
        return (labels.joined(separator: "."), offset + 1)
    }
}

extension DNSAnswer {
    static let negativeTTLSeconds: UInt32 = 5

    /// The message that answers `query`, cut to its header and question, with the truncation bit, beyond
    /// `bytesMax`.
    package func encoded(for query: DNSQuery, bytesMax: Int) -> [UInt8] {
        let whole = encoded(for: query, isTruncated: false)
        return whole.count <= bytesMax ? whole : encoded(for: query, isTruncated: true)
    }

    private func encoded(for query: DNSQuery, isTruncated: Bool) -> [UInt8] {
        let hasAuthority = negativeZone != nil && !isTruncated
        var bytes: [UInt8] = []
        Self.append(query.id, to: &bytes)
        var flags: UInt16 = 0x8400 | UInt16(code.rawValue)  // An answer, authoritative.
        if query.isRecursionDesired { flags |= 0x0180 }  // RD echoed; RA, or glibc complains.
        if isTruncated { flags |= 0x0200 }
        Self.append(flags, to: &bytes)
        Self.append(1, to: &bytes)
        Self.append(isTruncated ? 0 : UInt16(answers.count), to: &bytes)
        Self.append(hasAuthority ? 1 : 0, to: &bytes)
        Self.append(isTruncated ? 0 : UInt16(additional.count), to: &bytes)
        bytes += query.rawQuestion
        guard !isTruncated else { return bytes }
        for record in answers { Self.append(record, to: &bytes) }
        if let negativeZone { Self.appendAuthority(of: negativeZone, to: &bytes) }
        for record in additional { Self.append(record, to: &bytes) }
        return bytes
    }

    private static func append(_ record: DNSRecord, to bytes: inout [UInt8]) {
        if let name = record.name {
            append(name: name, to: &bytes)
        } else {
            bytes += [0xC0, UInt8(DNSQuery.headerBytes)]
        }
        var content: [UInt8] = []
        let type: UInt16
        switch record.content {
        case .address(let octets):
            type = DNSType.a
            content = octets
        case .service(let priority, let weight, let port, let target):
            type = DNSType.srv
            for number in [priority, weight, port] { append(number, to: &content) }
            append(name: target, to: &content)
        case .alias(let target):
            type = DNSType.cname
            append(name: target, to: &content)
        }
        append(type, to: &bytes)
        append(1, to: &bytes)
        append(long: record.ttlSeconds, to: &bytes)
        append(UInt16(content.count), to: &bytes)
        bytes += content
    }

    private static func appendAuthority(of zone: String, to bytes: inout [UInt8]) {
        append(name: zone, to: &bytes)
        append(DNSType.soa, to: &bytes)
        append(1, to: &bytes)
        append(long: negativeTTLSeconds, to: &bytes)
        var content: [UInt8] = []
        append(name: "ns.dns.\(zone)", to: &content)
        append(name: "hostmaster.\(zone)", to: &content)
        // Serial, refresh, retry, expire, minimum: only the last says anything to a stub resolver (RFC 2308).
        for number in [1, 7200, 1800, 86_400, negativeTTLSeconds] { append(long: number, to: &content) }
        append(UInt16(content.count), to: &bytes)
        bytes += content
    }

    private static func append(name: String, to bytes: inout [UInt8]) {
        for label in name.split(separator: ".") {
            let text = Array(label.utf8.prefix(63))
            bytes.append(UInt8(text.count))
            bytes += text
        }
        bytes.append(0)
    }

    private static func append(_ number: UInt16, to bytes: inout [UInt8]) {
        bytes += [UInt8(number >> 8), UInt8(number & 0xFF)]
    }

    private static func append(long number: UInt32, to bytes: inout [UInt8]) {
        append(UInt16(number >> 16), to: &bytes)
        append(UInt16(number & 0xFFFF), to: &bytes)
    }
}
