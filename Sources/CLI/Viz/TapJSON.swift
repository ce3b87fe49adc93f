// Events as JSON, with the keys and the order that Linkerd documents (`spec/viz.md` 4.7), and back again, for
// recordings. Pure.

import Foundation
package import MeshModel

/// Writes and reads events.
package enum TapJSON {
    /// Members in the order they are written; `JSONValue` has none.
    indirect enum Node {
        case value(JSONValue)
        case list([Node])
        case members([(String, Node)])
    }

    /// One event over several lines, two spaces for each level, without a final line end.
    package static func pretty(_ entry: TapEntry) -> String {
        var text = ""
        write(node(entry), to: &text, depth: 0)
        return text
    }

    /// One event on one line.
    /// - Parameter extra: members that come first, such as a time.
    package static func compact(_ entry: TapEntry, extra: [(String, JSONValue)] = []) -> String {
        guard case .members(let members) = node(entry, isRecording: true) else { return "" }
        var text = ""
        write(.members(extra.map { ($0.0, .value($0.1)) } + members), to: &text, depth: nil)
        return text
    }

    /// What was not shown, as an object with one member, `loss`.
    package static func pretty(_ loss: TapLoss) -> String {
        var text = ""
        write(.members([("loss", node(loss))]), to: &text, depth: 0)
        return text
    }

    /// The same on one line.
    package static func compact(_ loss: TapLoss, extra: [(String, JSONValue)] = []) -> String {
        var text = ""
        write(.members(extra.map { ($0.0, .value($0.1)) } + [("loss", node(loss))]), to: &text, depth: nil)
        return text
    }

    // MARK: Shape

    private static func node(_ loss: TapLoss) -> Node { .members(loss.members.map { ($0.0, .value($0.1)) }) }

    /// - Parameter isRecording: tells gRPC's OK from no gRPC, which Linkerd's shape cannot.
    private static func node(_ entry: TapEntry, isRecording: Bool = false) -> Node {
        var members: [(String, Node)] = [
            ("source", peer(entry.source)), ("destination", peer(entry.destination)),
            ("routeMeta", labels(entry.routeLabels)), ("proxyDirection", text(entry.direction.rawValue)),
        ]
        switch entry.part {
        case .request(let part):
            members.append(
                (
                    "requestInitEvent",
                    .members([
                        ("id", id(part.id)), ("method", text(part.method)), ("scheme", text(part.scheme)),
                        ("authority", text(part.authority)), ("path", text(part.path)),
                        ("headers", fields(part.headers)),
                    ])
                ))
        case .response(let part):
            members.append(
                (
                    "responseInitEvent",
                    .members([
                        ("id", id(part.id)), ("sinceRequestInit", duration(part.sinceRequest)),
                        ("httpStatus", number(UInt64(part.status))), ("headers", fields(part.headers)),
                    ])
                ))
        case .end(let part):
            var end: [(String, Node)] = [
                ("id", id(part.id)), ("sinceRequestInit", duration(part.sinceRequest)),
                ("sinceResponseInit", duration(part.sinceResponse)), ("responseBytes", number(part.bytes)),
                ("trailers", fields(part.trailers)),
                (
                    "grpcStatusCode",
                    isRecording && part.grpcStatus == nil ? .value(.null) : number(UInt64(part.grpcStatus ?? 0))
                ),
            ]
            if let code = part.resetCode { end.append(("resetErrorCode", number(UInt64(code)))) }
            members.append(("responseEndEvent", .members(end)))
        case .unknown: break
        }
        return .members(members)
    }

    private static func text(_ text: String) -> Node { .value(.string(text)) }
    private static func number(_ value: UInt64) -> Node { .value(.int(Int64(clamping: value))) }

    private static func peer(_ peer: TapEntry.Peer) -> Node {
        .members([
            ("ip", text(peer.ip)), ("port", number(UInt64(peer.port))), ("metadata", labels(peer.labels)),
        ])
    }

    private static func labels(_ labels: [String: String]) -> Node {
        guard !labels.isEmpty else { return .value(.null) }
        return .members(labels.sorted { $0.key < $1.key }.map { ($0.key, text($0.value)) })
    }

    private static func id(_ id: TapEntry.ID) -> Node {
        .members([("base", number(UInt64(id.base))), ("stream", number(id.stream))])
    }

    private static func duration(_ duration: Duration?) -> Node {
        guard let duration else { return .value(.null) }
        let (seconds, attoseconds) = duration.components
        var members: [(String, Node)] = []
        if seconds != 0 { members.append(("seconds", .value(.int(seconds)))) }
        if attoseconds != 0 { members.append(("nanos", .value(.int(attoseconds / 1_000_000_000)))) }
        return .members(members)
    }

    private static func fields(_ fields: [TapEntry.Field]) -> Node {
        guard !fields.isEmpty else { return .value(.null) }
        return .list(
            fields.map { field in
                switch field.value {
                case .text(let value): .members([("name", text(field.name)), ("valueStr", text(value))])
                case .bytes(let bytes):
                    .members([("name", text(field.name)), ("valueBin", text(Data(bytes).base64EncodedString()))])
                }
            })
    }

    // MARK: Writing

    /// - Parameter depth: `nil` writes everything on one line.
    private static func write(_ node: Node, to text: inout String, depth: Int?) {
        func separate(_ level: Int?) { if let level { text += "\n" + String(repeating: "  ", count: level) } }
        let inner = depth.map { $0 + 1 }
        switch node {
        case .value(let value): text += String(decoding: value.serialized(), as: UTF8.self)
        case .list(let items):
            text += "["
            for (index, item) in items.enumerated() {
                if index > 0 { text += "," }
                separate(inner)
                write(item, to: &text, depth: inner)
            }
            separate(depth)
            text += "]"
        case .members(let members):
            guard !members.isEmpty else {
                text += "{}"
                return
            }
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                separate(inner)
                text += String(decoding: JSONValue.string(member.0).serialized(), as: UTF8.self)
                text += depth == nil ? ":" : ": "
                write(member.1, to: &text, depth: inner)
            }
            separate(depth)
            text += "}"
        }
    }
}

// MARK: - Reading

extension TapJSON {
    /// Reads an event that `compact` or `pretty` wrote.
    /// - Returns: `nil` when it is none.
    package static func entry(_ value: JSONValue) -> TapEntry? {
        guard let source = peer(value["source"]), let destination = peer(value["destination"]),
            let direction = value["proxyDirection"]?.stringValue.flatMap(TapEntry.Direction.init(rawValue:))
        else { return nil }
        return TapEntry(
            source: source, destination: destination, routeLabels: labels(value["routeMeta"]), direction: direction,
            part: part(value))
    }

    private static func part(_ value: JSONValue) -> TapEntry.Part {
        if let part = value["requestInitEvent"], let id = id(part["id"]) {
            func text(_ key: String) -> String { part[key]?.stringValue ?? "" }
            return .request(
                TapEntry.Request(
                    id: id, method: text("method"), scheme: text("scheme"), authority: text("authority"),
                    path: text("path"), headers: fields(part["headers"])))
        }
        if let part = value["responseInitEvent"], let id = id(part["id"]) {
            return .response(
                TapEntry.Response(
                    id: id, sinceRequest: duration(part["sinceRequestInit"]),
                    status: UInt32(clamping: part["httpStatus"]?.intValue ?? 0), headers: fields(part["headers"])))
        }
        if let part = value["responseEndEvent"], let id = id(part["id"]) {
            let reset = part["resetErrorCode"]?.intValue.map { UInt32(clamping: $0) }
            let grpc = part["grpcStatusCode"]?.intValue.map { UInt32(clamping: $0) }
            return .end(
                TapEntry.End(
                    id: id, sinceRequest: duration(part["sinceRequestInit"]),
                    sinceResponse: duration(part["sinceResponseInit"]),
                    bytes: UInt64(clamping: part["responseBytes"]?.intValue ?? 0),
                    grpcStatus: grpc, resetCode: reset, trailers: fields(part["trailers"])))
        }
        return .unknown
    }

    /// Reads a loss that `compact` or `pretty` wrote.
    /// - Returns: `nil` when it is none.
    package static func loss(_ value: JSONValue) -> TapLoss? {
        guard let value = value["loss"], value.objectValue != nil else { return nil }
        func number(_ value: JSONValue?) -> UInt64 { UInt64(clamping: value?.intValue ?? 0) }
        var loss = TapLoss()
        loss.limited = number(value["limited"])
        loss.droppedRequests = number(value["droppedRequests"])
        loss.droppedEvents = number(value["droppedEvents"])
        loss.cut = number(value["cut"])
        loss.gaps = number(value["gaps"])
        loss.unseenMilliseconds = number(value["unseenMilliseconds"])
        // A time that cannot be read is no interruption.
        if let away = value["interruption"], let text = away["began"]?.stringValue, let began = try? Date(text, strategy: .iso8601) {
            loss.interruption = TapInterruption(began: began, length: .milliseconds(Int64(number(away["milliseconds"]))))
        }
        return loss
    }

    private static func peer(_ value: JSONValue?) -> TapEntry.Peer? {
        guard let value, let ip = value["ip"]?.stringValue, let port = value["port"]?.intValue else { return nil }
        return TapEntry.Peer(ip: ip, port: UInt32(clamping: port), labels: labels(value["metadata"]))
    }

    private static func labels(_ value: JSONValue?) -> [String: String] {
        (value?.objectValue ?? [:]).compactMapValues(\.stringValue)
    }

    private static func id(_ value: JSONValue?) -> TapEntry.ID? {
        guard let value, value.objectValue != nil else { return nil }
        return TapEntry.ID(
            base: UInt32(clamping: value["base"]?.intValue ?? 0),
            stream: UInt64(clamping: value["stream"]?.intValue ?? 0))
    }

    private static func duration(_ value: JSONValue?) -> Duration? {
        guard let value, value.objectValue != nil else { return nil }
        return .seconds(Int64(value["seconds"]?.intValue ?? 0)) + .nanoseconds(Int64(value["nanos"]?.intValue ?? 0))
    }

    private static func fields(_ value: JSONValue?) -> [TapEntry.Field] {
        (value?.arrayValue ?? []).compactMap { item in
            guard let name = item["name"]?.stringValue else { return nil }
            if let text = item["valueStr"]?.stringValue { return TapEntry.Field(name: name, value: .text(text)) }
            let bytes = item["valueBin"]?.stringValue.flatMap { Data(base64Encoded: $0) }
            return TapEntry.Field(name: name, value: .bytes(Array(bytes ?? Data())))
        }
    }
}
