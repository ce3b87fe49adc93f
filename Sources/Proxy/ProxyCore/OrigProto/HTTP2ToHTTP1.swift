// Header lists of HTTP/2 as HTTP/1 heads and trailers. Every byte is looked at again: what a peer could put into a
// header list, but not into a line of HTTP/1, must not become a second line or a second request.

import MeshHTTP2
import MeshWire
import NIOCore

/// How a restored message's body is framed.
enum RestoredFraming {
    /// Neither length nor chunks: there is no body, or it lasts until the connection closes.
    case bare
    /// `content-length` says it; HTTP/2 checks that the body keeps to it.
    case length
    case chunked
}

extension ByteBuffer {
    /// Writes the head of a carried request.
    ///
    /// - Parameters:
    ///   - isEnd: neither body nor trailers follow.
    /// - Returns: how the body goes on; `nil` when the list cannot be an HTTP/1 request.
    mutating func writeRequest(
        _ block: HeaderBlock, of headers: HTTP2Headers, as origin: OrigProto, isEnd: Bool
    ) -> RestoredFraming? {
        guard Self.hasOneHost(block, of: headers, as: origin), writeRequestLine(block, of: headers, as: origin) else { return nil }
        guard writeFields(block, of: headers, dropping: { $0 == .origProto }) else { return nil }
        if !origin.isHTTP10, !headers.contains(.host, in: block) {
            // RFC 9113 section 8.3.1: HTTP/1.1 cannot do without.
            guard writeField("host", headers, .authority, block) else { return nil }
        }
        let framing: RestoredFraming
        if headers.contains(.contentLength, in: block) {
            guard headers.number(of: .contentLength, in: block) != nil else { return nil }
            framing = .length
        } else if isEnd {
            framing = .bare
        } else {
            guard !origin.isHTTP10 else { return nil }  // HTTP/1.0 has no body without a length.
            writeString("transfer-encoding: chunked\r\n")
            framing = .chunked
        }
        writeString("\r\n")
        return framing
    }

    /// Whether the application would serve the host that the proxies routed to and counted: a target without a host has
    /// the one of its field. One with a host is passed on with whatever field it came with, which servers must ignore then.
    /// nghttp2 refuses a second field. Source: RFC 9112 section 3.2, RFC 9113 section 8.3.1.
    private static func hasOneHost(_ block: HeaderBlock, of headers: HTTP2Headers, as origin: OrigProto) -> Bool {
        guard !origin.isAbsoluteForm else { return true }
        return headers.withValue(of: .host, in: block) { host in
            headers.withValue(of: .authority, in: block) { host.isEmpty || host.isEqual(to: $0) } ?? true
        } ?? true
    }

    private mutating func writeRequestLine(
        _ block: HeaderBlock, of headers: HTTP2Headers, as origin: OrigProto
    ) -> Bool {
        var isValid = true
        func put(_ token: HeaderToken, _ isAllowed: (Span<UInt8>) -> Bool) {
            let isWritten =
                headers.withValue(of: token, in: block) { value in
                    guard isAllowed(value) else { return false }
                    write(value)
                    return true
                } ?? false
            isValid = isValid && isWritten
        }
        put(.method, ByteClass.isToken)
        writeInteger(UInt8(ascii: " "))
        let isAsterisk = headers.value(of: .path, in: block, equals: "*")
        if origin.isAbsoluteForm {
            put(.scheme, ByteClass.isHost)
            writeString("://")
            put(.authority, ByteClass.isHost)
            if !isAsterisk { put(.path, ByteClass.isTarget) }
        } else {
            put(.path, ByteClass.isTarget)
        }
        if isAsterisk {
            isValid = isValid && headers.value(of: .method, in: block, equals: "OPTIONS")
        } else {
            isValid = isValid && headers.value(of: .path, in: block, startsWith: "/")
        }
        writeStaticString(origin.isHTTP10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n")
        return isValid
    }

    /// Writes one field, if the list has it.
    ///
    /// - Returns: whether it may stand in HTTP/1.
    private mutating func writeField(
        _ name: String, _ headers: HTTP2Headers, _ token: HeaderToken, _ block: HeaderBlock
    ) -> Bool {
        headers.withValue(of: token, in: block) { value in
            guard ByteClass.isFieldValue(value) else { return false }
            writeString("\(name): ")
            write(value)
            writeString("\r\n")
            return true
        } ?? true
    }

    /// Writes the field lines of a list, in order, without pseudo headers and what only concerns one hop.
    ///
    /// - Parameter isDropped: leaves out further fields.
    /// - Returns: whether all of it may stand in HTTP/1.
    mutating func writeFields(
        _ block: HeaderBlock, of headers: HTTP2Headers, dropping isDropped: (HeaderToken) -> Bool
    ) -> Bool {
        var isValid = true
        var hasCookie = false
        headers.forEachField(of: block) { token, name, value in
            guard isValid, !name.isEmpty, name[0] != UInt8(ascii: ":"), token != .hop, !isDropped(token) else { return }
            let isCookie = name.count == 6 && name.spells("cookie")
            if isCookie, hasCookie { return }
            isValid = ByteClass.isToken(name) && ByteClass.isFieldValue(value)
            guard isValid else { return }
            writeFieldLine(name, value)
            guard isCookie else { return }
            hasCookie = true
            moveWriterIndex(to: writerIndex - 2)
            isValid = writeOtherCookies(block, of: headers)
            writeInteger(UInt16(0x0D0A))
        }
        return isValid
    }

    /// RFC 9113 section 8.2.3: crumbs of a cookie become one line again.
    private mutating func writeOtherCookies(_ block: HeaderBlock, of headers: HTTP2Headers) -> Bool {
        var isFirst = true
        var isValid = true
        headers.forEachField(of: block) { _, name, value in
            guard name.count == 6, name.spells("cookie") else { return }
            if isFirst {
                isFirst = false
                return
            }
            isValid = isValid && ByteClass.isFieldValue(value)
            writeString("; ")
            write(value)
        }
        return isValid
    }

    /// Writes the first line of a response.
    mutating func writeStatusLine(_ status: Int, isHTTP10: Bool) {
        if status == 200, !isHTTP10 {
            writeStaticString("HTTP/1.1 200 OK\r\n")
            return
        }
        writeStaticString(isHTTP10 ? "HTTP/1.0 " : "HTTP/1.1 ")
        writeString("\(status) ")
        writeString(ReasonPhrase.text(status))
        writeInteger(UInt16(0x0D0A))
    }

    /// Writes the line before one piece of a body.
    mutating func writeChunkHead(byteCount: Int) {
        writeString(String(byteCount, radix: 16))
        writeInteger(UInt16(0x0D0A))
    }
}

/// The words behind a status code, which HTTP/2 does not carry.
private enum ReasonPhrase {
    private static let known: [Int: String] = [
        100: "Continue", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted",
        203: "Non-Authoritative Information", 204: "No Content", 205: "Reset Content", 206: "Partial Content",
        207: "Multi-Status", 208: "Already Reported", 226: "IM Used", 300: "Multiple Choices",
        301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 305: "Use Proxy",
        307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
        402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict",
        410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Payload Too Large",
        414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
        417: "Expectation Failed", 418: "I'm a teapot", 421: "Misdirected Request", 422: "Unprocessable Entity",
        423: "Locked", 424: "Failed Dependency", 425: "Too Early", 426: "Upgrade Required",
        428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
        451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 501: "Not Implemented",
        502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
        506: "Variant Also Negotiates", 507: "Insufficient Storage", 508: "Loop Detected", 510: "Not Extended",
        511: "Network Authentication Required",
    ]

    /// The registered phrase; empty for a code that has none, which HTTP/1 allows.
    static func text(_ status: Int) -> String { known[status] ?? "" }
}
