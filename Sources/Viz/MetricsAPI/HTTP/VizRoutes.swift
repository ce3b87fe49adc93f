// What metrics-api answers over HTTP/1.1: Linkerd 2.11's framing, the same questions in JSON, and federation.
//
//   POST /api/v1/<Rpc>   body: protobuf      answer: 4 bytes of length (little-endian) and protobuf; an error is
//                                            HTTP 200 with `linkerd-error` and a framed ApiError, as 2.11 does
//   POST /api/v1/<Rpc>   body: JSON, by its content type; answer: JSON, errors by status with {"error": "…"}
//   GET  /federate       text exposition of what the store counted, chosen by `match[]`

import Foundation
import GRPCCore
import MeshAPI
import MeshMetrics
import MeshModel
import SwiftProtobuf

/// An answer over HTTP/1.1.
struct VizHTTPResponse: Sendable, Equatable {
    var status = 200
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []

    static func == (left: VizHTTPResponse, right: VizHTTPResponse) -> Bool {
        left.status == right.status && left.body == right.body
            && left.headers.map(\.name) == right.headers.map(\.name)
            && left.headers.map(\.value) == right.headers.map(\.value)
    }

    static func text(_ status: Int, _ text: String) -> VizHTTPResponse {
        VizHTTPResponse(
            status: status, headers: [("content-type", "text/plain; charset=utf-8")], body: Array(text.utf8))
    }
}

/// Decides what a request is answered. No sockets.
struct VizRoutes: Sendable {
    static let prefix = "/api/v1/"

    let table: RPCTable
    /// `nil` when there is no store to federate from; then `backendTitle` says where to ask.
    let federation: Federation?
    let backendTitle: String

    /// - Parameter isJSON: Whether the content type is JSON.
    func answer(method: String, uri: String, isJSON: Bool, body: [UInt8]) async -> VizHTTPResponse {
        let path = String(uri.prefix { $0 != "?" })
        if path == "/federate" { return await federate(method, uri) }
        guard path.hasPrefix(Self.prefix) else { return .text(404, "404 page not found\n") }
        let name = String(path.dropFirst(Self.prefix.count))
        guard let handler = table.handler(name) else { return .text(404, "404 page not found\n") }
        guard method == "POST" else {
            return isJSON
                ? Self.json(405, "POST required") : Self.framedError("POST required", status: "Bad Request")
        }
        do {
            let answer = try await handler(body, isJSON ? .json : .protobuf)
            var response = VizHTTPResponse(body: isJSON ? answer : Self.framed(answer))
            response.headers = [("content-type", isJSON ? "application/json" : "application/octet-stream")]
            if name == "Gateways" { response.headers.append((VizService.reasonKey, VizAnswers.gatewaysReason)) }
            return response
        } catch {
            let error = error as? RPCError ?? RPCError(code: .unknown, message: "\(error)")
            let status = Self.status(error.code)
            return isJSON
                ? Self.json(status.code, error.message) : Self.framedError(error.message, status: status.text)
        }
    }

    private func federate(_ method: String, _ uri: String) async -> VizHTTPResponse {
        guard method == "GET" || method == "HEAD" else { return .text(405, "GET required\n") }
        guard let federation else {
            return .text(404, "nothing is kept here to federate: metrics are in \(backendTitle)\n")
        }
        var matchers: [SeriesMatcher] = []
        for selector in Self.values(of: "match[]", in: uri) {
            do { matchers.append(try SeriesMatcher(selector)) } catch { return .text(400, "\(error)\n") }
        }
        return VizHTTPResponse(
            headers: [("content-type", ExpositionWriter.contentType)], body: await federation.render(matchers))
    }

    /// Values of a query parameter. Brackets come raw from curl and encoded from Prometheus, which `URLComponents` does
    /// not take side by side.
    static func values(of name: String, in uri: String) -> [String] {
        guard let mark = uri.firstIndex(of: "?") else { return [] }
        return uri[uri.index(after: mark)...].split(separator: "&").compactMap { item in
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacing("+", with: " ").removingPercentEncoding ?? String($0)
            }
            return pair.count == 2 && pair[0] == name ? pair[1] : nil
        }
    }

    static func framed(_ message: [UInt8]) -> [UInt8] {
        let length = UInt32(clamping: message.count)
        return (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) } + message
    }

    private static func framedError(_ text: String, status: String) -> VizHTTPResponse {
        var message = Linkerd2_Viz_ApiError()
        message.error = text
        // A message of one string always encodes.
        let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
        return VizHTTPResponse(
            headers: [("content-type", "application/octet-stream"), ("linkerd-error", status)],
            body: framed(bytes))
    }

    private static func json(_ status: Int, _ error: String) -> VizHTTPResponse {
        let body = JSONValue.object(["error": .string(error)]).jsonText + "\n"
        return VizHTTPResponse(
            status: status, headers: [("content-type", "application/json")], body: Array(body.utf8))
    }

    private static func status(_ code: RPCError.Code) -> (code: Int, text: String) {
        switch code {
        case .invalidArgument, .failedPrecondition, .outOfRange: (400, "Bad Request")
        case .unauthenticated: (401, "Unauthorized")
        case .permissionDenied: (403, "Forbidden")
        case .notFound: (404, "Not Found")
        case .unimplemented: (501, "Not Implemented")
        case .unavailable: (503, "Service Unavailable")
        case .deadlineExceeded: (504, "Gateway Timeout")
        default: (500, "Internal Server Error")
        }
    }
}
