// HTTP/1 heads and trailers as header lists of HTTP/2. What only concerns one hop stays behind: the parser noted most
// of it, `transfer-encoding` is left out by the session, and what is left of `TE` is the one value HTTP/2 knows.

import MeshHTTP2
import MeshWire
import NIOCore

extension HTTP2Headers {
    /// Adds a parsed request's head.
    ///
    /// - Parameters:
    ///   - source: readable bytes start with the parsed bytes.
    ///   - endpoint: names the request when the client did not, and sets the canonical name.
    func append(
        carrying source: ByteBuffer, _ parser: borrowing HTTP1RequestParser, to endpoint: EndpointHandle
    ) -> HeaderBlock {
        let bytes = source.readableBytesUInt8Span
        var block = begin()
        append(":method", value: bytes.extracting(parser.methodText), to: &block)
        if parser.scheme.isEmpty {
            append(":scheme", "http", to: &block)
        } else {
            append(":scheme", value: bytes.extracting(parser.scheme), to: &block)
        }
        if parser.authority.isEmpty {
            let name = endpoint.defaultAuthority
            append(":authority", value: name.span, to: &block)
        } else {
            append(":authority", value: bytes.extracting(parser.authority), to: &block)
        }
        appendPath(bytes, parser, to: &block)
        var cursor = parser.fieldCursor
        // The lines of a parsed head can be read again.
        while let line = try? cursor.next(bytes, removals: parser.removals) {
            append(bytes.extracting(line.name), bytes.extracting(line.value), to: &block)
        }
        if let name = endpoint.canonicalName { append(name: "l5d-dst-canonical", value: name, to: &block) }
        let origin = OrigProto(isHTTP10: parser.isHTTP10, isAbsoluteForm: !parser.scheme.isEmpty)
        append("l5d-orig-proto", origin.text, to: &block)
        return block
    }

    /// Adds a parsed response's head.
    /// - Parameter source: readable bytes start with the parsed bytes.
    func append(carrying source: ByteBuffer, _ parser: borrowing HTTP1ResponseParser) -> HeaderBlock {
        let bytes = source.readableBytesUInt8Span
        var block = begin()
        append(":status", value: bytes.extracting(9..<12), to: &block)
        // RFC 9110 section 8.6: such answers have no length, and HTTP/2 peers reset a stream that says otherwise.
        let hasNoLength = parser.status < 200 || parser.status == 204
        var cursor = parser.fieldCursor
        // The lines of a parsed head can be read again.
        while let line = try? cursor.next(bytes, removals: parser.removals) {
            let name = bytes.extracting(line.name)
            if hasNoLength, name.spells("content-length") { continue }
            append(name, bytes.extracting(line.value), to: &block)
        }
        if !parser.isInformational {
            append("l5d-orig-proto", OrigProto(isHTTP10: parser.isHTTP10).text, to: &block)
        }
        return block
    }

    /// Adds a trailer section.
    /// - Throws: when a line is no field.
    func append(carryingTrailers trailers: [UInt8]) throws(HTTP1ParseError) -> HeaderBlock {
        let bytes = trailers.span
        var block = begin()
        var cursor = HTTP1FieldCursor(from: 0, to: bytes.count)
        while let line = try cursor.next(bytes) {
            let name = bytes.extracting(line.name)
            // RFC 9110 section 6.5.1: what frames or routes a message means nothing behind it.
            if name.spells("content-length") || name.spells("host") { continue }
            append(name, bytes.extracting(line.value), to: &block)
        }
        return block
    }

    private func append(_ name: Span<UInt8>, _ value: Span<UInt8>, to block: inout HeaderBlock) {
        switch name.count {
        case 2 where name.spells("te"): guard value.spells("trailers") else { return }
        case 4 where name.spells("host"): guard !value.isEmpty else { return }
        case 14 where name.spells("l5d-orig-proto"): return
        default: break
        }
        append(lowercasing: name, value: value, to: &block)
    }

    private func appendPath(
        _ bytes: Span<UInt8>, _ parser: borrowing HTTP1RequestParser, to block: inout HeaderBlock
    ) {
        guard !parser.scheme.isEmpty else {
            return append(":path", value: bytes.extracting(parser.target), to: &block)
        }
        let path = bytes.extracting(parser.authority.upperBound..<parser.target.upperBound)
        if path.isEmpty {
            // RFC 9113 section 8.3.1: a URI without a path is "*" for OPTIONS, and "/" for everything else.
            if parser.method == .options {
                append(":path", "*", to: &block)
            } else {
                append(":path", "/", to: &block)
            }
        } else if path[0] == UInt8(ascii: "?") {
            var whole = [UInt8(ascii: "/")]
            for index in 0..<path.count { whole.append(path[index]) }
            append(":path", value: whole.span, to: &block)
        } else {
            append(":path", value: path, to: &block)
        }
    }
}
