// HTTP/1 carried over HTTP/2, both ways: what a peer proxy sends must never become a second request, and what a client
// sends must arrive as it was.

import MeshHTTP2
import MeshWire
import NIOCore

/// Fields of a request: names end in 0, fields in 1; the first byte says whether a body follows.
func http2Restored(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let list = HTTP2Headers()
    var block = list.begin()
    for field in bytes.dropFirst().split(separator: 1).prefix(200) {
        let parts = field.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? Array(parts[1]) : []
        list.append(lowercasing: Array(parts[0]).span, value: value.span, to: &block)
    }
    let isEnd = first & 1 == 1
    restore(block, of: list, isEnd: isEnd, isChecked: false)
    _ = exchange(block, of: list, isEnd: isEnd) { restore($0, of: $1, isEnd: $2, isChecked: true) }
}

/// Restores a request in every form and reads it as the application would.
///
/// - Parameter isChecked: nghttp2 let the list through, so that all of it must be HTTP/1.
func restore(_ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool, isChecked: Bool) {
    guard !block.isTooLarge else { return }
    for (isHTTP10, isAbsolute) in [(false, false), (true, false), (false, true), (true, true)] {
        var head = ByteBuffer()
        let origin = OrigProto(isHTTP10: isHTTP10, isAbsoluteForm: isAbsolute)
        guard let framing = head.writeRequest(block, of: headers, as: origin, isEnd: isEnd) else { continue }
        var parser = HTTP1RequestParser(rules: [])
        do throws(HTTP1ParseError) {
            let isWhole = try parser.parse(head.readableBytesUInt8Span)
            require(isWhole && parser.headBytes == head.readableBytes, "a restored head is one head")
        } catch {
            let isLong = (headers.text(of: .method, in: block) ?? "").utf8.count > ProtocolDetector.methodBytesMax
            // nghttp2 takes more bytes in a host than HTTP/1 knows.
            let isKnown = isLong || [.headTooLong, .tooManyFields, .badHost].contains(error)
            require(!isChecked || isKnown, "a restored head is refused: \(error.rawValue)")
            continue
        }
        require(parser.leadingBytes == 0 && parser.isHTTP10 == isHTTP10, "a restored head has its version")
        switch (framing, parser.framing) {
        case (.bare, .none), (.length, .length), (.length, .none), (.chunked, .chunked): break
        default: fatalError("a restored body is framed as \(parser.framing), not \(framing)")
        }
        require(isHTTP10 || !headers.contains(.authority, in: block) || parser.hasHost, "HTTP/1.1 has a host")
    }
}

/// Sends a list over a connection between two sessions.
///
/// - Returns: whether the server was given a request.
private func exchange(
    _ block: HeaderBlock, of list: HTTP2Headers, isEnd: Bool, _ body: (HeaderBlock, HTTP2Headers, Bool) -> Void
) -> Bool {
    let client = HTTP2Session(role: .client, limits: SessionLimits())
    let server = HTTP2Session(role: .server, limits: SessionLimits())
    guard client.submitRequest(block, of: list, isEnd: isEnd) != nil else { return false }
    var isReceived = false
    while client.produce({ piece in
        server.receive(piece, nowNanoseconds: 1)
        while let event = server.nextEvent() {
            guard case .head(_, let block, let isEnd) = event else { continue }
            isReceived = true
            body(block, server.headers, isEnd)
        }
    }) > 0 { while client.nextEvent() != nil {} }
    return isReceived
}

/// A request of HTTP/1, there and back.
func http1Carried(_ bytes: [UInt8]) {
    var parser = HTTP1RequestParser(rules: [.dropsCanonicalName, .dropsClientID])
    guard let isWhole = try? parser.parse(bytes.span), isWhole else { return }
    // As `HTTP1Exchange.mayBeCarried`.
    guard parser.isHTTP10 || (parser.hasHost && !parser.authority.isEmpty), parser.method != .connect, !parser.wantsUpgrade
    else { return }
    let endpoint = EndpointHandle(canonicalName: "web.ns.svc.cluster.local:80", defaultAuthority: Array("web:80".utf8))
    let list = HTTP2Headers()
    let block = list.append(carrying: ByteBuffer(bytes: bytes), parser, to: endpoint)
    var output = ByteBuffer()
    let isReceived = exchange(block, of: list, isEnd: parser.framing == .none) { block, headers, isEnd in
        guard let origin = headers.withValue(of: .origProto, in: block, { OrigProto($0) }) ?? nil else {
            fatalError("a carried request says what it was")
        }
        require(origin.isHTTP10 == parser.isHTTP10, "a carried request keeps its version")
        require(output.writeRequest(block, of: headers, as: origin, isEnd: isEnd) != nil, "it cannot be restored")
    }
    require(isReceived, "a carried request is refused")
    let copy = Array(output.readableBytesView)
    var again = HTTP1RequestParser(rules: [.dropsCanonicalName, .dropsClientID])
    do throws(HTTP1ParseError) {
        let isHead = try again.parse(copy.span)
        require(isHead && again.headBytes == copy.count, "a carried head is one head")
    } catch {
        // Where it gets a host that it did not have.
        require([.tooManyFields, .headTooLong].contains(error), "a carried head is refused: \(error.rawValue)")
        return
    }
    require(again.framing == parser.framing && again.isHTTP10 == parser.isHTTP10, "the framing changed on the way")
    require(copy[again.methodText].elementsEqual(bytes[parser.methodText]), "the method changed on the way")
    require(copy[again.scheme].elementsEqual(bytes[parser.scheme]), "the scheme changed on the way")
    if parser.scheme.isEmpty {
        require(copy[again.target].elementsEqual(bytes[parser.target]), "the target changed on the way")
    }
    if !parser.authority.isEmpty {
        require(copy[again.authority].elementsEqual(bytes[parser.authority]), "the authority changed on the way")
    }
    require(endToEndFields(copy, again) == endToEndFields(bytes, parser), "fields changed on the way")
}

/// Fields that must arrive, in order: those that the way there and back does not touch by design.
private func endToEndFields(_ bytes: [UInt8], _ parser: borrowing HTTP1RequestParser) -> [[UInt8]] {
    let changed: Set<String> = ["te", "host", "cookie", "transfer-encoding", "l5d-orig-proto"]
    var fields: [[UInt8]] = []
    var cursor = parser.fieldCursor
    while let line = try? cursor.next(bytes.span, removals: parser.removals) {
        let name = String(decoding: bytes[line.name], as: UTF8.self).lowercased()
        if !changed.contains(name) { fields.append(Array(name.utf8) + [0] + bytes[line.value]) }
    }
    return fields
}
