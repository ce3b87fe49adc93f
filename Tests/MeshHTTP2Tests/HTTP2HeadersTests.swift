import MeshHTTP2
import Testing

@Suite("Header lists", .timeLimit(.minutes(1)))
struct HTTP2HeadersTests {
    @Test("Lists keep their fields, also when the arena grows and when they are copied")
    func growth() {
        let arena = HTTP2Headers(byteCapacity: 8, fieldCapacity: 1)
        let copies = HTTP2Headers(byteCapacity: 8, fieldCapacity: 1)
        var blocks: [(HeaderBlock, HeaderBlock, [String])] = []
        for list in 0..<50 {
            let fields = (0..<list % 7).map {
                (name: "name-\($0)", value: String(repeating: "v", count: list * $0))
            }
            let block = arena.append(fields)
            blocks.append(
                (block, copies.append(copying: block, of: arena), fields.map { $0.name + $0.value }))
        }
        for (block, copy, fields) in blocks {
            #expect(arena.fields(of: block).map { $0.name + $0.value } == fields)
            #expect(copies.fields(of: copy).map { $0.name + $0.value } == fields)
        }
    }

    @Test("Removed fields are gone from every view, and from copies")
    func removal() {
        let arena = HTTP2Headers()
        let block = arena.append([(":path", "/"), ("l5d-dst-canonical", "a:80"), ("x", "1")])
        #expect(arena.text(of: .dstCanonical, in: block) == "a:80")
        arena.remove(.dstCanonical, from: block)
        #expect(!arena.contains(.dstCanonical, in: block))
        #expect(arena.fields(of: block).map(\.name) == [":path", "x"])
        let other = HTTP2Headers()
        #expect(other.fields(of: other.append(copying: block, of: arena)).map(\.name) == [":path", "x"])
    }

    @Test(
        "Numbers are digits, nothing else",
        arguments: [
            ("200", 200), ("0", 0), ("", nil), ("-1", nil), ("+1", nil), ("2 ", nil),
            ("9999999999999999999", nil), ("9223372036854775807", Int.max), ("9223372036854775808", nil),
            ("01218772778324551463", 1_218_772_778_324_551_463), ("000000000000000000000000000005", 5),
        ])
    func numbers(text: String, number: Int?) {
        let arena = HTTP2Headers()
        let block = arena.append([("grpc-status", text)])
        #expect(arena.number(of: .grpcStatus, in: block) == number)
    }

    @Test(
        "The names a proxy looks at are told from their neighbours",
        arguments: [
            (":method", HeaderToken.method), (":scheme", .scheme), (":authority", .authority),
            (":path", .path),
            (":status", .status), ("host", .host), ("content-type", .contentType),
            ("content-length", .contentLength),
            ("grpc-status", .grpcStatus), ("grpc-message", .grpcMessage), ("connection", .hop),
            ("upgrade", .hop),
            ("keep-alive", .hop), ("proxy-connection", .hop), ("transfer-encoding", .hop),
            ("l5d-proxy-error", .proxyError), ("l5d-proxy-connection", .proxyConnection),
            ("l5d-orig-proto", .origProto),
            ("l5d-dst-override", .dstOverride), ("l5d-dst-canonical", .dstCanonical),
            ("l5d-client-id", .clientID),
            ("date", .volatile), ("traceparent", .volatile), ("x-request-id", .volatile), ("b3", .volatile),
        ])
    func tokens(name: String, token: HeaderToken) {
        let arena = HTTP2Headers()
        let block = arena.append([(name, "v")])
        #expect(arena.text(of: token, in: block) == "v")
        let neighbour = arena.append([(String(name.dropLast()) + "~", "v")])
        #expect(!arena.contains(token, in: neighbour))
    }

    @Test(
        "gRPC is a prefix of the content type",
        arguments: [
            ("application/grpc", true), ("application/grpc+proto", true), ("application/grp", false),
            ("text/plain", false),
        ])
    func isGRPC(type: String, expected: Bool) {
        let arena = HTTP2Headers()
        #expect(arena.isGRPC(arena.append([("content-type", type)])) == expected)
        #expect(!arena.isGRPC(arena.append([("accept", type)])))
    }
}
