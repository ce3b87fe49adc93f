// Reads objects in the protobuf form of Kubernetes, guided by the schema and the wire table: kubectl 1.31 and
// newer create built-in kinds in it. A field that is not in the table is an error, never silently lost.
// Source: the Kubernetes API concepts page, "Kubernetes Protobuf encoding"; the Protocol Buffers encoding page.

import Foundation
import MeshModel
import NIOCore

/// Turns protobuf into the tree that the same object in JSON would give.
struct ProtobufReader {
    /// Messages may nest this deep; deeper ones are refused.
    static let depthMax = 64

    private static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    let library: SchemaLibrary
    let table: WireTable

    /// Reads an enveloped object.
    ///
    /// - Throws: `StatusError` 400 when damaged, 415 when its kind is not known in this form.
    func document(_ body: ByteBuffer) throws(StatusError) -> JSONValue {
        var body = body
        guard body.readBytes(length: 4) == Self.magic else { throw Self.damaged }
        var (apiVersion, kind, raw) = ("", "", ByteBuffer())
        for field in try Self.fields(body) {
            switch field.number {
            case 1:
                for inner in try Self.fields(field.bytes) {
                    if inner.number == 1 { apiVersion = String(buffer: inner.bytes) }
                    if inner.number == 2 { kind = String(buffer: inner.bytes) }
                }
            case 2: raw = field.bytes
            default: continue
            }
        }
        guard table.contains(kind) else {
            throw .unsupportedMediaType("\(kind) is not read in protobuf; send application/json")
        }
        var object = try message(raw, type: kind, depth: 0)
        object["apiVersion"] = .string(apiVersion)
        object["kind"] = .string(kind)
        return object
    }

    private static let damaged = StatusError.badRequest(
        "the object provided is unrecognized: malformed protobuf")

    private struct Field {
        let number: Int
        /// Its value when it is a number, else zero.
        let number64: UInt64
        /// Its value when it is text, bytes or a message, else empty.
        let bytes: ByteBuffer
    }

    private func message(_ bytes: ByteBuffer, type: String, depth: Int) throws(StatusError) -> JSONValue {
        guard depth < Self.depthMax else { throw Self.damaged }
        var members: [String: JSONValue] = [:]
        try read(bytes, type: type, path: [], depth: depth, into: &members)
        return .object(members)
    }

    private func read(
        _ bytes: ByteBuffer, type: String, path: [Int], depth: Int, into members: inout [String: JSONValue]
    ) throws(StatusError) {
        for field in try Self.fields(bytes) {
            let place = path + [field.number]
            switch table.entry(type, place) {
            case .ignored: continue
            case .inlined: try read(field.bytes, type: type, path: place, depth: depth + 1, into: &members)
            case .field(let name, let keepsZero):
                guard let declared = library[type]?.fields[name]?.type else { throw Self.damaged }
                try add(field, name, declared, keepsZero: keepsZero, depth: depth, to: &members)
            case nil:
                let text = place.map(String.init).joined(separator: ".")
                throw .unsupportedMediaType(
                    "field \(text) of \(type) is not read in protobuf; send application/json")
            }
        }
    }

    private func add(
        _ field: Field, _ name: String, _ type: FieldType, keepsZero: Bool, depth: Int,
        to members: inout [String: JSONValue]
    ) throws(StatusError) {
        switch type {
        case .list(let element, _):
            var elements = members[name]?.arrayValue ?? []
            elements.append(try value(field, element, depth: depth))
            members[name] = .array(elements)
        case .map(let element):
            var entries = members[name]?.objectValue ?? [:]
            var key = ""
            var entry: JSONValue = element == .string ? "" : .null
            for part in try Self.fields(field.bytes) {
                if part.number == 1 { key = String(buffer: part.bytes) }
                if part.number == 2 { entry = try value(part, element, depth: depth + 1) }
            }
            entries[key] = entry
            members[name] = .object(entries)
        default:
            let value = try value(field, type, depth: depth)
            if keepsZero || !Self.isZero(value) { members[name] = value }
        }
    }

    private static func isZero(_ value: JSONValue) -> Bool {
        switch value {
        case .null, .bool(false), .int(0), .string(""): true
        default: false
        }
    }

    private func value(_ field: Field, _ type: FieldType, depth: Int) throws(StatusError) -> JSONValue {
        switch type {
        case .string: return .string(String(buffer: field.bytes))
        case .integer: return .int(Int64(bitPattern: field.number64))
        case .boolean: return .bool(field.number64 != 0)
        case .number: return .double(Double(bitPattern: field.number64))
        case .bytes: return .string(Base64.text(Array(field.bytes.readableBytesView)))
        case .object(let name, _): return try message(field.bytes, type: name, depth: depth + 1)
        case .quantity:
            return .string(try Self.fields(field.bytes).first.map { String(buffer: $0.bytes) } ?? "0")
        case .time:
            let seconds = try Self.fields(field.bytes).first { $0.number == 1 }?.number64 ?? 0
            if seconds == 0 { return .null }
            return .string(
                Timestamp.text(Date(timeIntervalSince1970: TimeInterval(Int64(bitPattern: seconds)))))
        case .intOrString:
            let parts = try Self.fields(field.bytes)
            if parts.first(where: { $0.number == 1 })?.number64 == 1 {
                return .string(parts.first { $0.number == 3 }.map { String(buffer: $0.bytes) } ?? "")
            }
            return .int(Int64(bitPattern: parts.first { $0.number == 2 }?.number64 ?? 0))
        case .any, .list, .map: throw Self.damaged
        }
    }

    /// The fields of one message, in order.
    private static func fields(_ bytes: ByteBuffer) throws(StatusError) -> [Field] {
        var bytes = bytes
        var fields: [Field] = []
        while bytes.readableBytes > 0 {
            guard let key = varint(&bytes) else { throw damaged }
            let number = Int(truncatingIfNeeded: key >> 3)
            switch key & 7 {
            case 0:
                guard let value = varint(&bytes) else { throw damaged }
                fields.append(Field(number: number, number64: value, bytes: ByteBuffer()))
            case 1:
                guard let value = bytes.readInteger(endianness: .little, as: UInt64.self) else {
                    throw damaged
                }
                fields.append(Field(number: number, number64: value, bytes: ByteBuffer()))
            case 2:
                guard let length = varint(&bytes), let count = Int(exactly: length),
                    let slice = bytes.readSlice(length: count)
                else { throw damaged }
                fields.append(Field(number: number, number64: 0, bytes: slice))
            case 5:
                guard let value = bytes.readInteger(endianness: .little, as: UInt32.self) else {
                    throw damaged
                }
                fields.append(Field(number: number, number64: UInt64(value), bytes: ByteBuffer()))
            default: throw damaged
            }
        }
        return fields
    }

    private static func varint(_ bytes: inout ByteBuffer) -> UInt64? {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = bytes.readInteger(as: UInt8.self) else { return nil }
            result |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return result }
        }
        return nil
    }
}
