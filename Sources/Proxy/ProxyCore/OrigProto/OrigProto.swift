// HTTP/1 carried over HTTP/2 between two proxies: many clients share one connection, and the far proxy gives its
// application what the near one was given.
//
// The near (outbound) proxy turns a request into a stream and names in `l5d-orig-proto` what it was; the far (inbound)
// one restores it, and names in its answer's `l5d-orig-proto` what the application answered with. Bodies lose their
// chunks on the way and get new ones; names of fields become lower case; everything else stays, in order. Never carried:
// CONNECT, `Upgrade`, and HTTP/1.1 without a host, which only plain HTTP/1 can say. Source: `spec/proxy.md` 3.9.

import MeshHTTP2
import MeshWire

/// What `l5d-orig-proto` says.
struct OrigProto: Equatable, Sendable {
    /// HTTP/1.0 rather than 1.1.
    var isHTTP10: Bool
    /// The request's target was a whole URI; never so in answers.
    var isAbsoluteForm: Bool

    init(isHTTP10: Bool, isAbsoluteForm: Bool = false) {
        self.isHTTP10 = isHTTP10
        self.isAbsoluteForm = isAbsoluteForm
    }

    /// Reads the field's value; `nil` for a version that nobody knows. The form is found by its place, as Linkerd does.
    init?(_ value: Span<UInt8>) {
        guard value.starts(with: "HTTP/1."), value.count > 7 else { return nil }
        switch value[7] {
        case UInt8(ascii: "0"): isHTTP10 = true
        case UInt8(ascii: "1"): isHTTP10 = false
        default: return nil
        }
        isAbsoluteForm = value.count >= 23 && value.extracting(10..<23).starts(with: "absolute-form")
    }

    /// The field's value.
    var text: StaticString {
        switch (isHTTP10, isAbsoluteForm) {
        case (false, false): "HTTP/1.1"
        case (false, true): "HTTP/1.1; absolute-form"
        case (true, false): "HTTP/1.0"
        case (true, true): "HTTP/1.0; absolute-form"
        }
    }
}

extension Span<UInt8> {
    /// Whether the bytes begin with `text`, ASCII.
    func starts(with text: String) -> Bool {
        var offset = 0
        for byte in text.utf8 {
            guard offset < count, self[offset] == byte else { return false }
            offset += 1
        }
        return true
    }

    /// Whether both have the same bytes.
    func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where self[index] != other[index] { return false }
        return true
    }

    /// Whether the bytes are `text` in any case; `text` is lower-case ASCII.
    func spells(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for offset in indices {
            // SAFETY: a constant has as many bytes as it states.
            let byte = unsafe text.utf8Start[offset]
            let own = self[offset]
            guard own == byte || (own >= 0x41 && own <= 0x5A && own | 0x20 == byte) else { return false }
        }
        return true
    }
}
