import MeshCompression
import MeshHTTP2
import MeshMetrics
import MeshModel
import MeshWire
import NIOCore

/// Every parser that reads what a peer sent, by the name of its corpus.
nonisolated(unsafe) let parsers: [String: ([UInt8]) -> Void] = [
    "http1-request": http1Request, "http1-response": http1Response, "http1-body": http1Body,
    "client-hello": clientHello, "protocol-detector": protocolDetector, "authority": authority,
    "http2-session": http2Session, "grpc-messages": grpcMessages, "exposition": exposition, "json": json,
    "spdy-session": spdySession, "transport-header": transportHeader, "gzip": gzip,
    "http1-carried": http1Carried, "http2-restored": http2Restored,
    "rollup-chunk": rollupChunk, "rollup-cursor": rollupCursor, "rollup-journal": rollupJournal,
    "series-selector": seriesSelector, "label-selector": labelSelector, "tap-path": tapPath,
    "path-pattern": pathPattern, "dns-query": dnsQuery, "go-notation": goNotation,
]

/// What must never be: stops the fuzzer with the input at hand.
func require(_ isTrue: Bool, _ what: @autoclosure () -> String) {
    if !isTrue { fatalError(what()) }
}

// MARK: HTTP/1

func http1Request(_ bytes: [UInt8]) {
    var parser = HTTP1RequestParser(rules: [.dropsClientID, .dropsCanonicalName])
    guard let isWhole = try? parser.parse(bytes.span), isWhole else { return }
    require(parser.headBytes <= bytes.count && parser.leadingBytes <= parser.headBytes, "a head ends in its bytes")
    require(parser.fieldsEnd + 2 == parser.headBytes, "fields end before the empty line")
    var last = parser.leadingBytes
    for removal in parser.removals {
        require(removal.lowerBound >= last && removal.upperBound <= parser.fieldsEnd, "removals ascend within the fields")
        last = removal.upperBound
    }
    // A part of the head is incomplete, never something else.
    for end in [0, 1, parser.headBytes / 2, parser.headBytes - 1] where end < parser.headBytes {
        var partial = HTTP1RequestParser(rules: [])
        if let isWhole = try? partial.parse(Array(bytes[..<end]).span) { require(!isWhole, "half a head is no head") }
    }
    // What travels on is read alike by the next hop.
    var output = ByteBuffer()
    HTTP1HeadCopy.append(
        head: ByteBuffer(bytes: bytes), from: parser.leadingBytes, removals: parser.removals, fieldsEnd: parser.fieldsEnd,
        additions: nil, to: &output)
    let copy = Array(output.readableBytesView)
    var again = HTTP1RequestParser(rules: [])
    guard let isHead = try? again.parse(copy.span), isHead else { fatalError("an accepted head is refused by the next hop") }
    require(again.framing == parser.framing, "the framing changed on the way")
    require(again.headBytes == copy.count, "something is left behind the head")
    require(
        Array(copy[again.authority]) == Array(bytes[parser.authority]) || parser.authority.isEmpty, "the authority changed")
    http1Consume(parser.framing, Array(bytes[parser.headBytes...]))
}

func http1Response(_ bytes: [UInt8]) {
    for method in [HTTP1Method.get, .head, .connect] {
        var parser = HTTP1ResponseParser()
        guard let isWhole = try? parser.parse(bytes.span, answering: method), isWhole else { continue }
        require(parser.headBytes <= bytes.count, "a head ends in its bytes")
        require((100...999).contains(parser.status), "a status has three digits")
        http1Consume(parser.framing, Array(bytes[parser.headBytes...]))
    }
}

/// The first byte chooses the framing, the rest is the body.
func http1Body(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let framings: [HTTP1Framing] = [.none, .chunked, .untilClose, .length(UInt64(first)), .length(.max)]
    http1Consume(framings[Int(first) % framings.count], Array(bytes.dropFirst()))
}

/// Cutting a body into pieces changes neither its length nor whether it is one.
func http1Consume(_ framing: HTTP1Framing, _ bytes: [UInt8]) {
    var whole = HTTP1BodyReader(framing)
    let atOnce = try? whole.consume(bytes.span, from: 0)
    var pieces = HTTP1BodyReader(framing)
    var sum: Int? = 0
    for byte in bytes {
        guard let count = try? pieces.consume([byte].span, from: 0) else {
            sum = nil
            break
        }
        sum = sum.map { $0 + count }
        if pieces.isDone { break }
    }
    require(atOnce == sum, "a body's length depends on how it arrives: \(String(describing: atOnce)), \(String(describing: sum))")
    if atOnce != nil { require(whole.isDone == pieces.isDone, "a body's end depends on how it arrives") }
}

// MARK: First bytes

func clientHello(_ bytes: [UInt8]) {
    let peek = ClientHello.peek(bytes.span)
    switch peek {
    case .serverName(let name):
        let isName = DNSName.parse(Array(name.utf8).span) == name
        require(isName && ClientHello.peek((bytes + [0]).span) == peek, "a server name is a name, whatever follows")
    case .notTLS: require(ClientHello.peek((bytes + [0]).span) == .notTLS, "more bytes make no TLS of what is none")
    case .incomplete: require(bytes.count < ClientHello.bytesMax + 5, "a hello is not read for ever")
    }
}

func protocolDetector(_ bytes: [UInt8]) {
    let wire = ProtocolDetector.detect(bytes.span)
    var parser = HTTP1RequestParser(rules: [])
    // What is taken for opaque must be nothing that the HTTP/1 parser would serve.
    if wire == .opaque, bytes.count >= ProtocolDetector.prefixBytesMin, let isWhole = try? parser.parse(bytes.span), isWhole {
        fatalError("a request slips through as opaque bytes")
    }
}

func authority(_ bytes: [UInt8]) {
    if let name = DNSName.parse(bytes.span) {
        require(bytes.count <= DNSName.bytesMax && name.utf8.count == bytes.count, "a name is bounded")
        require(DNSName.parse(Array(name.utf8).span) == name, "a name reads back")
    }
    guard let name = Authority(String(decoding: bytes, as: UTF8.self)) else { return }
    require(Authority(name.path(defaultPort: 80)) == Authority(host: name.host, port: name.port ?? 80), "a name reads back")
}

func transportHeader(_ bytes: [UInt8]) {
    func parse(_ bytes: [UInt8]) throws(TransportHeaderError) -> (header: TransportHeader, byteCount: Int)? {
        try TransportHeader.parse(bytes.span)
    }
    // Without the constant before it, which an input need not find.
    for bytes in [bytes, Array("\(TransportHeader.alpn)\r\n\r\n".utf8) + bytes] {
        guard let read = try? parse(bytes) else { continue }
        require(read.byteCount <= min(bytes.count, TransportHeader.bytesMax), "a header lies in its bytes")
        let encoded = read.header.encoded
        let again = try? parse(encoded)
        require(again?.header == read.header && again?.byteCount == encoded.count, "a header reads back")
        for end in [0, 1, read.byteCount / 2, read.byteCount - 1] {
            do throws(TransportHeaderError) {
                require(try parse(Array(bytes[..<end])) == nil, "half a header is no header")
            } catch { fatalError("half a header is refused: \(error.rawValue)") }
        }
    }
}

// MARK: HTTP/2

/// The first byte chooses the role and how the input is cut.
func http2Session(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let isServer = first & 1 == 0
    let session = HTTP2Session(role: isServer ? .server : .client, limits: SessionLimits())
    var slots: [StreamSlot] = []
    if !isServer {
        let headers = HTTP2Headers()
        for _ in 0..<3 {
            let block = headers.append([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")])
            if let slot = session.submitRequest(block, of: headers, isEnd: first & 2 == 0) { slots.append(slot) }
        }
        _ = session.produce { _ in }
    }
    let piece = max(1, Int(first >> 2))
    var rest = Array(bytes.dropFirst())
    if isServer, first & 2 == 0 { rest = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0] + rest }
    var offset = 0
    var now: UInt64 = 1
    while offset < rest.count {
        let end = min(rest.count, offset + piece)
        now += 1_000_000
        session.receive(ByteBuffer(bytes: rest[offset..<end]), nowNanoseconds: now)
        serve(session, isServer)
        offset = end
    }
    require(session.openStreamCount <= SessionLimits().streamsMax + slots.count, "streams are bounded")
}

/// Answers as a handler would.
private func serve(_ session: HTTP2Session, _ isServer: Bool) {
    while let event = session.nextEvent() {
        switch event {
        case .head(let slot, let block, let isEnd):
            require(session.headers.fields(of: block).count <= 4_096, "a list is bounded")
            guard isServer else { continue }
            restore(block, of: session.headers, isEnd: isEnd, isChecked: true)
            let answer = HTTP2Headers()
            session.submitResponse(answer.append([(":status", "200")]), of: answer, isEnd: !isEnd, on: slot)
            if isEnd {
                session.sendBody(ByteBuffer(string: "hello"), on: slot)
                session.sendTrailers(answer.append([("grpc-status", "0")]), of: answer, on: slot)
            }
        case .data(let slot, let chunk):
            require(session.bytes(of: chunk).readableBytes == chunk.byteCount, "a chunk lies in its input")
            session.consume(streamID: session.streamID(of: slot), byteCount: chunk.byteCount)
        case .failed:
            _ = session.produce { _ in }
            return
        default: break
        }
    }
    while session.produce({ _ in }) > 0 { while session.nextEvent() != nil {} }
    session.detachPending()
}

func grpcMessages(_ bytes: [UInt8]) {
    var whole = GRPCMessageReader()
    whole.append(ByteBuffer(bytes: bytes))
    var sizes: [Int] = []
    while let message = try? whole.next() { sizes.append(message.readableBytes) }
    require(sizes.reduce(0) { $0 + $1 + 5 } <= bytes.count, "messages lie in their stream")
    var pieces = GRPCMessageReader()
    var again: [Int] = []
    for byte in bytes {
        pieces.append(ByteBuffer(bytes: [byte]))
        while let message = try? pieces.next() { again.append(message.readableBytes) }
    }
    require(again == sizes, "messages depend on how they arrive")
    _ = GRPCStatus.decodedMessage(String(decoding: bytes, as: UTF8.self))
}

// MARK: Text

func exposition(_ bytes: [UInt8]) {
    var parser = ExpositionParser()
    parser.forEachSample(in: bytes) { sample in
        require(sample.series.upperBound <= bytes.count && !sample.name.isEmpty, "a sample lies in its scrape")
        require(sample.labels.isEmpty || sample.labels.upperBound < sample.series.upperBound, "labels lie in their series")
        ExpositionParser.forEachLabel(in: bytes, of: sample) { name, value in
            require(name.upperBound <= value.lowerBound && value.upperBound <= sample.labels.upperBound, "labels in order")
            _ = ExpositionParser.text(of: value, in: bytes)
        }
    }
    expositionLines(bytes)
}

/// The reader of metrics-api: where the quick way and the strict one cut the same series, they read the same value.
private func expositionLines(_ bytes: [UInt8]) {
    let raw = bytes.span.bytes
    var scanner = ExpositionScanner()
    while let item = scanner.next(in: raw) {
        guard case .line(let line) = item else { continue }
        require(line.range.upperBound <= bytes.count && line.nameEnd <= line.range.upperBound, "a line lies in its scrape")
        guard let quick = ExpositionScanner.quick(line, in: raw) else { continue }
        require(quick.series.upperBound <= line.range.upperBound, "a series lies in its line")
        // An exemplar may be cut too late; the reader then asks the strict way.
        guard let strict = ExpositionParser.strict(line.range, in: bytes), strict.series == quick.series else { continue }
        require(strict.value == Double(quick.value), "the quick way reads another value")
    }
}

func json(_ bytes: [UInt8]) {
    guard let value = try? JSONValue(parsing: bytes) else { return }
    guard let again = try? JSONValue(parsing: value.serialized()) else { fatalError("what was written cannot be read") }
    require(again == value, "a value changed on the way")
}

// MARK: Compressed

/// The first byte says how the input is cut.
func gzip(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let outputBytesMax = 100_000
    let input = ByteBuffer(bytes: bytes.dropFirst())
    let whole = try? Gzip.expand(input, outputBytesMax: outputBytesMax)
    if let whole { require(whole.readableBytes <= outputBytesMax, "what is expanded is bounded") }
    let pieces = expand(input, by: max(1, Int(first)), outputBytesMax: outputBytesMax)
    require(whole == pieces, "what is expanded depends on how it arrives")
    guard let packed = try? Gzip.compress(input), let again = try? Gzip.expand(packed, outputBytesMax: bytes.count) else {
        fatalError("what was compressed cannot be expanded")
    }
    require(again == input, "bytes changed when they were compressed")
}

private func expand(_ input: ByteBuffer, by step: Int, outputBytesMax: Int) -> ByteBuffer? {
    guard var inflater = try? Inflater(format: .gzip) else { return nil }
    var input = input
    var output = ByteBuffer()
    while !inflater.isFinished, let piece = input.readSlice(length: min(step, max(1, input.readableBytes))) {
        guard var part = try? inflater.inflate(piece, outputBytesMax: outputBytesMax - output.readableBytes) else { return nil }
        output.writeBuffer(&part)
    }
    return inflater.isFinished ? output : nil
}

// MARK: SPDY

/// The first byte says how the input is cut.
func spdySession(_ bytes: [UInt8]) {
    guard let first = bytes.first, var session = try? SPDYSession() else { return }
    let piece = max(1, Int(first))
    var offset = 1
    while offset < bytes.count {
        let end = min(bytes.count, offset + piece)
        guard let events = try? session.received(ByteBuffer(bytes: bytes[offset..<end])) else { return }
        for event in events {
            switch event {
            case .opened(let stream, _): try? session.reply(to: stream)
            case .data(let stream, let data): session.send(data, on: stream, isLast: false)
            case .ended(let stream): session.reset(stream)
            case .reset, .goAway: break
            }
        }
        _ = session.takeOutput()
        offset = end
    }
}
