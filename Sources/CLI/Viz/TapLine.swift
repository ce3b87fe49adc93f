// Events as lines, in Linkerd's grammar (`spec/viz.md` 4.7). Pure. What peers can choose (paths, names, labels) is
// printed so that it cannot act on the terminal.

/// Renders events as text lines.
package enum TapLine {
    /// One line without its end.
    /// - Parameter isWide: labels follow, sorted, with `src_`, `dst_` and `rt_` in front.
    package static func text(_ entry: TapEntry, isWide: Bool = false) -> String {
        let flow = flow(entry)
        var line: String
        switch entry.part {
        case .request(let part):
            line =
                "req id=\(id(part.id)) \(flow) :method=\(safe(part.method)) :authority=\(safe(part.authority)) "
                + ":path=\(safe(part.path))"
        case .response(let part):
            line = "rsp id=\(id(part.id)) \(flow) :status=\(part.status) latency=\(micros(part.sinceRequest))µs"
        case .end(let part):
            let tail = "duration=\(micros(part.sinceResponse))µs response-length=\(part.bytes)B"
            if let code = part.grpcStatus {
                line = "end id=\(id(part.id)) \(flow) grpc-status=\(GRPCCodes.name(code)) \(tail)"
            } else if let code = part.resetCode {
                line = "end id=\(id(part.id)) \(flow) reset-error=\(code) \(tail)"
            } else {
                line = "end id=\(id(part.id)) \(flow) \(tail)"
            }
        case .unknown: line = "unknown \(flow)"
        }
        if isWide {
            line += labels("src", entry.source.labels) + labels("dst", entry.destination.labels)
                + labels("rt", entry.routeLabels)
        }
        return line
    }

    private static func id(_ id: TapEntry.ID) -> String { "\(id.base):\(id.stream)" }

    private static func flow(_ entry: TapEntry) -> String {
        let proxy =
            switch entry.direction {
            case .inbound: "in "
            case .outbound: "out"
            case .unknown: "???"
            }
        return "proxy=\(proxy) src=\(safe(entry.source.address)) dst=\(safe(entry.destination.address)) "
            + "tls=\(safe(entry.tls))"
    }

    private static func labels(_ prefix: String, _ labels: [String: String]) -> String {
        labels.sorted { $0.key < $1.key }.map { " \(prefix)_\(safe($0.key))=\(safe($0.value))" }.joined()
    }

    private static func micros(_ duration: Duration?) -> Int64 {
        guard let duration else { return 0 }
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }

    /// The text with everything escaped that a terminal might obey: control characters, and the marks that turn
    /// the direction of writing.
    package static func safe(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            guard isControl(scalar) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            let digits = String(scalar.value, radix: 16)
            if scalar.value < 0x100 {
                result += "\\x" + String(repeating: "0", count: 2 - digits.count) + digits
            } else {
                result += "\\u{\(digits)}"
            }
        }
        return result
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200B...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }
}

/// gRPC's status codes by their names in Go, which Linkerd prints.
package enum GRPCCodes {
    private static let names = [
        "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
        "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
        "Internal", "Unavailable", "DataLoss", "Unauthenticated",
    ]

    /// `Unavailable`, or `Code(99)` for one that gRPC does not know.
    package static func name(_ code: UInt32) -> String {
        Int(code) < names.count ? names[Int(code)] : "Code(\(code))"
    }

    /// The code of a number or a name, in any case of letters and with or without underscores.
    package static func code(_ text: String) -> UInt32? {
        if let number = UInt32(text) { return number }
        let wanted = text.lowercased().filter { $0 != "_" && $0 != "-" }
        if wanted == "cancelled" { return 1 }
        return names.firstIndex { $0.lowercased() == wanted }.map { UInt32($0) }
    }
}
