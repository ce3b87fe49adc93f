// One line for each inbound HTTP request, to standard error, in one of the reference's two shapes
// (`spec/proxy.md` 8.3). Written when the response's head is there; a request that the proxy itself failed, or
// whose client left, gets a line without a status.

import MeshModel
import MeshTransport
import NIOCore

/// Where access log lines go, and in which shape.
package struct AccessLog: Sendable {
    private let format: AccessLogFormat
    private let write: @Sendable (String) -> Void

    /// - Parameter write: takes one line without its end; called on data-plane loops, so it must not block.
    package init(_ format: AccessLogFormat, write: @escaping @Sendable (String) -> Void) {
        self.format = format
        self.write = write
    }

    /// Begins a request's entry.
    func begin(_ request: AccessLogRequest) -> AccessLogEntry { AccessLogEntry(self, request) }

    fileprivate func write(_ entry: AccessLogEntry) {
        switch format {
        case .apache: write(entry.apache)
        case .json: write(entry.json)
        }
    }
}

/// An access log with what is the same for all requests of a connection.
package struct AccessLogSource: Sendable {
    let log: AccessLog
    /// The client's proven identity; empty when there is none.
    let clientID: String

    package init(_ log: AccessLog, clientID: String?) {
        self.log = log
        self.clientID = clientID ?? ""
    }
}

/// What a request's head says; every text may be empty.
struct AccessLogRequest {
    var client = ""
    /// The client's proven identity.
    var clientID = ""
    var method = ""
    /// Absolute for HTTP/2, as the client wrote it for HTTP/1.
    var uri = ""
    /// `HTTP/1.1` and the like.
    var version = ""
    var host = ""
    var userAgent = ""
    var traceID = ""
    /// The content-length field's text.
    var requestBytes = ""

    /// Notes one header field; names are in lower case.
    mutating func take(name: String, value: String) {
        switch name {
        case "host", ":authority": if host.isEmpty { host = value }
        case "user-agent": userAgent = value
        case "content-length": requestBytes = value
        case "x-b3-traceid": traceID = value
        case "x-request-id": if traceRank > 1 { traceID = value }
        case "x-amzn-trace-id": if traceRank > 2 { traceID = value }
        default: return
        }
        if let rank = ["x-b3-traceid", "x-request-id", "x-amzn-trace-id"].firstIndex(of: name) {
            traceRank = min(traceRank, rank)
        }
    }

    /// Of the names that carry one, the first in the reference's order wins.
    private var traceRank = 3
}

/// One request, from its head to its line. Bound to a loop.
final class AccessLogEntry {
    private let log: AccessLog
    private let request: AccessLogRequest
    private let time = WallClock.now()
    private let startedAt = NIODeadline.now().uptimeNanoseconds
    private var processing: UInt64 = 0
    private var total: UInt64 = 0
    private var status: Int?
    private var responseBytes = ""
    private var isWritten = false

    init(_ log: AccessLog, _ request: AccessLogRequest) {
        self.log = log
        self.request = request
    }

    /// The request is on its way to the application: what the proxy does for it is done.
    func dispatched() { processing = NIODeadline.now().uptimeNanoseconds &- startedAt }

    /// The head of the application's response came.
    func answered(status: Int, responseBytes: String) {
        self.status = status
        self.responseBytes = responseBytes
        total = NIODeadline.now().uptimeNanoseconds &- startedAt
        finish()
    }

    /// Writes the line, once.
    func finish() {
        guard !isWritten else { return }
        isWritten = true
        log.write(self)
    }

    private var timestamp: String { time.rfc3339(fractionDigits: 9) }

    fileprivate var apache: String {
        let id = request.clientID.isEmpty ? "-" : request.clientID
        let line = "\(request.method) \(request.uri) \(request.version)"
        let status = status.map { "\($0)" } ?? ""
        return "\(request.client) \(id) - [\(timestamp)] \"\(Self.quoted(line))\" \(status)"
    }

    fileprivate var json: String {
        var fields: [String: JSONValue] = [
            "client.addr": .string(request.client),
            "client.id": .string(request.clientID.isEmpty ? "-" : request.clientID), "host": .string(request.host),
            "method": .string(request.method), "processing_ns": .string(""), "request_bytes": .string(request.requestBytes),
            "response_bytes": .string(responseBytes), "timestamp": .string(timestamp), "total_ns": .string(""),
            "trace_id": .string(request.traceID), "uri": .string(request.uri), "user_agent": .string(request.userAgent),
            "version": .string(request.version),
        ]
        if let status {
            fields["status"] = .int(Int64(status))
            fields["processing_ns"] = .string("\(processing)")
            fields["total_ns"] = .string("\(total)")
        }
        return String(decoding: JSONValue.object(fields).serialized(), as: UTF8.self)
    }

    /// Quotes and bytes that no terminal should see are escaped: the client chose them.
    private static func quoted(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C || $0 >= 0x7F }) else { return text }
        return text.utf8.map { byte in
            switch byte {
            case 0x22: "\\\""
            case 0x5C: "\\\\"
            case 0x20..<0x7F: String(UnicodeScalar(byte))
            default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }.joined()
    }
}
