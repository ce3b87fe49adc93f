// Recordings of taps: text, one JSON object a line, so that jq reads them as well.
//
//   {"format":"linkerd-tap","version":1,"startedAt":1760000000000,"resource":"ns/emojivoto","masked":["query"]}
//   {"at":1760000000123,"source":{…},"destination":{…},"routeMeta":…,"proxyDirection":…,"requestInitEvent":{…}}
//
// `at` is the time of arrival in milliseconds since 1970. The rest of a line has the keys of `tap -o json`, except
// that `grpcStatusCode` is null where there was no gRPC. What was not shown stands where it was said, as `"loss":{…}`.
// A rotated recording goes on in FILE.1, FILE.2 and so on, each with a first line of its own. A line that cannot be
// read is skipped and counted.

import Foundation
import MeshModel

/// Parts of events that a recording leaves out.
package enum TapMask: String, Sendable, CaseIterable {
    /// Header and trailer values, names stay.
    case headers
    /// Paths.
    case path
    /// Authorities.
    case authority
    /// Addresses of both ends.
    case addresses
    /// Labels of both ends and the route.
    case labels

    /// What stands in place of what was left out.
    package static let replacement = "[masked]"

    /// The entry without the parts.
    package static func apply(_ masks: Set<TapMask>, to entry: TapEntry) -> TapEntry {
        guard !masks.isEmpty else { return entry }
        var entry = entry
        func hidden(_ fields: [TapEntry.Field]) -> [TapEntry.Field] {
            masks.contains(.headers) ? fields.map { .init(name: $0.name, value: .text(replacement)) } : fields
        }
        if masks.contains(.addresses) {
            entry.source.ip = replacement
            entry.destination.ip = replacement
        }
        if masks.contains(.labels) {
            // Whether the mesh encrypted it says nothing about anybody.
            entry.source.labels = entry.source.labels.filter { $0.key == "tls" }
            entry.destination.labels = entry.destination.labels.filter { $0.key == "tls" }
            entry.routeLabels = [:]
        }
        switch entry.part {
        case .request(var part):
            if masks.contains(.path) { part.path = replacement }
            if masks.contains(.authority) { part.authority = replacement }
            part.headers = hidden(part.headers)
            entry.part = .request(part)
        case .response(var part):
            part.headers = hidden(part.headers)
            entry.part = .response(part)
        case .end(var part):
            part.trailers = hidden(part.trailers)
            entry.part = .end(part)
        case .unknown: break
        }
        return entry
    }
}

/// The first line of a recording.
package struct TapRecordingHeader: Sendable, Equatable {
    package static let format = "linkerd-tap"
    package static let version = 1

    package var startedAtMilliseconds: Int64
    package var resource: String
    package var masked: [String]

    package init(startedAtMilliseconds: Int64, resource: String, masked: [String]) {
        self.startedAtMilliseconds = startedAtMilliseconds
        self.resource = resource
        self.masked = masked
    }

    /// The line without its end.
    package var line: String {
        let value: JSONValue = [
            "format": .string(Self.format), "version": .int(Int64(Self.version)),
            "startedAt": .int(startedAtMilliseconds), "resource": .string(resource),
            "masked": .array(masked.map(JSONValue.string)),
        ]
        return String(decoding: value.serialized(), as: UTF8.self)
    }

    /// Reads a first line.
    /// - Throws: when it is not one, or of a later version than is known here.
    package init(line: String) throws(ArgumentMistake) {
        guard let value = try? JSONValue(parsing: line), value["format"]?.stringValue == Self.format else {
            throw ArgumentMistake("not a recording of linkerd viz tap record: the first line is missing")
        }
        guard let version = value["version"]?.intValue, version <= Self.version else {
            throw ArgumentMistake("the recording has version \(value["version"]?.intValue ?? 0); this program reads up to \(Self.version)")
        }
        startedAtMilliseconds = Int64(value["startedAt"]?.intValue ?? 0)
        resource = value["resource"]?.stringValue ?? ""
        masked = (value["masked"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
}

/// Writes a recording, one file after another when it is rotated.
package final class TapRecorder {
    private let path: String
    private let header: TapRecordingHeader
    private let masks: Set<TapMask>
    private let bytesMax: Int
    private let filesMax: Int
    private var file: FileHandle
    private var bytes = 0
    private var index = 0
    /// Events written.
    package private(set) var count = 0

    /// Creates the file; one that is there already is not touched.
    ///
    /// - Parameters:
    ///   - bytesMax: after which the next file is begun; 0 keeps one file.
    ///   - filesMax: rotated files that are kept; the oldest go. 0 keeps all.
    /// - Throws: when the file exists or cannot be made.
    package init(
        path: String, header: TapRecordingHeader, masks: Set<TapMask>, bytesMax: Int, filesMax: Int
    ) throws {
        self.path = path
        self.header = header
        self.masks = masks
        self.bytesMax = bytesMax
        self.filesMax = filesMax
        file = try Self.create(path)
        try write(header.line)
    }

    private static func create(_ path: String) throws -> FileHandle {
        let manager = FileManager.default
        guard !manager.fileExists(atPath: path) else {
            throw ArgumentMistake("\(path) exists; a recording does not overwrite")
        }
        // Whoever recorded may read it, nobody else: requests are other people's.
        guard manager.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw ArgumentMistake("\(path) cannot be written") }
        return handle
    }

    private func write(_ line: String) throws {
        let data = Data((line + "\n").utf8)
        try file.write(contentsOf: data)
        bytes += data.count
    }

    /// Adds an entry.
    /// - Throws: the system's error when the disk does not take it.
    package func add(_ entry: TapEntry, atMilliseconds now: Int64) throws {
        if bytesMax > 0, bytes >= bytesMax { try rotate() }
        try write(TapJSON.compact(TapMask.apply(masks, to: entry), extra: [("at", .int(now))]))
        count += 1
    }

    /// Adds what was not shown.
    package func add(_ loss: TapLoss, atMilliseconds now: Int64) throws {
        try write(TapJSON.compact(loss, extra: [("at", .int(now))]))
    }

    private func rotate() throws {
        try file.close()
        index += 1
        file = try Self.create("\(path).\(index)")
        bytes = 0
        try write(header.line)
        guard filesMax > 0, index >= filesMax else { return }
        let oldest = index - filesMax
        // What is not there any more needs no removing.
        try? FileManager.default.removeItem(atPath: oldest == 0 ? path : "\(path).\(oldest)")
    }

    /// Finishes the last line's way to the disk.
    package func close() throws {
        try file.synchronize()
        try file.close()
    }
}

/// What a line of a recording holds.
package enum TapRecorded: Sendable, Equatable {
    case entry(TapEntry)
    case loss(TapLoss)
}

/// Reads a recording from its file, a piece at a time: as much memory for a day as for a minute.
package final class TapReader {
    /// Bytes read at once, and of one line at most; a longer one cannot be read.
    static let pieceBytes = 262_144
    static let lineBytesMax = 16 << 20

    package let header: TapRecordingHeader
    /// Lines that could not be read so far.
    package private(set) var badLines = 0
    private let lines: Lines

    /// Opens the file and reads its first line.
    /// - Throws: when it cannot be read, or is no recording.
    package init(path: String) throws(ArgumentMistake) {
        guard let handle = FileHandle(forReadingAtPath: path) else { throw ArgumentMistake("\(path) cannot be read") }
        lines = Lines(handle)
        guard let first = try lines.next() else { throw ArgumentMistake("the recording is empty") }
        header = try TapRecordingHeader(line: String(decoding: first, as: UTF8.self))
    }

    /// The next line that can be read; `nil` at the end.
    /// - Throws: when the file cannot be read on.
    package func next() throws(ArgumentMistake) -> (atMilliseconds: Int64, recorded: TapRecorded)? {
        while let line = try lines.next() {
            // The last line of a recording that was cut off is no JSON.
            guard let value = try? JSONValue(parsing: Array(line)), let recorded = Self.recorded(value) else {
                badLines += 1
                continue
            }
            return (Int64(value["at"]?.intValue ?? 0), recorded)
        }
        return nil
    }

    private static func recorded(_ value: JSONValue) -> TapRecorded? {
        TapJSON.loss(value).map(TapRecorded.loss) ?? TapJSON.entry(value).map(TapRecorded.entry)
    }

    /// Lines of a file that are not empty.
    private final class Lines {
        private let handle: FileHandle
        private var buffer = Data()
        private var isAtEnd = false

        init(_ handle: FileHandle) { self.handle = handle }

        func next() throws(ArgumentMistake) -> Data? {
            while true {
                if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = buffer[buffer.startIndex..<end]
                    buffer = buffer[(end + 1)...]
                    if line.isEmpty { continue }
                    return line
                }
                guard !isAtEnd else {
                    defer { buffer = Data() }
                    return buffer.isEmpty ? nil : buffer
                }
                guard buffer.count <= TapReader.lineBytesMax else { throw ArgumentMistake("the recording has a line without an end") }
                do {
                    let more = try handle.read(upToCount: TapReader.pieceBytes) ?? Data()
                    isAtEnd = more.isEmpty
                    buffer = Data(buffer) + more  // A slice would keep all that was read before.
                } catch {
                    throw ArgumentMistake("the recording cannot be read on: \(error.localizedDescription)")
                }
            }
        }
    }
}
