// The log of one container run: raw lines, each opened by an RFC 3339 time and one space, as the node
// agent writes them.

import Foundation
import NIOCore

/// What a reader wants of a log.
struct LogSelection: Sendable, Equatable {
    var tailLines: Int?
    /// Lines older than this are left out, to the second.
    var since: Date?
    var limitBytes: Int?
    var showsTimestamps = false
}

/// Reads one log file piece by piece.
struct LogFile {
    /// Bytes read at a time.
    static let pieceBytes = 64 * 1_024

    private let handle: FileHandle

    /// Opens the file; `nil` when it is absent.
    init?(path: String) {
        guard let handle = FileHandle(forReadingAtPath: path) else { return nil }
        self.handle = handle
    }

    /// The next piece from an offset; empty at the end.
    func read(at offset: UInt64) throws -> [UInt8] {
        try handle.seek(toOffset: offset)
        return try handle.read(upToCount: Self.pieceBytes).map(Array.init) ?? []
    }

    /// Where the last `lines` lines begin.
    func offset(ofLast lines: Int) throws -> UInt64 {
        var end = try handle.seekToEnd()
        if lines <= 0 { return end }
        var wanted = lines
        var isLast = true
        while end > 0 {
            let start = end > UInt64(Self.pieceBytes) ? end - UInt64(Self.pieceBytes) : 0
            try handle.seek(toOffset: start)
            let piece = try handle.read(upToCount: Int(end - start)).map(Array.init) ?? []
            for index in piece.indices.reversed() where piece[index] == UInt8(ascii: "\n") {
                let isFinalNewline = isLast && index == piece.count - 1
                if isFinalNewline { continue }
                wanted -= 1
                if wanted == 0 { return start + UInt64(index) + 1 }
            }
            isLast = false
            end = start
        }
        return 0
    }

    func close() { try? handle.close() }  // Closing a file that was only read cannot lose anything.
}

/// Turns pieces of a log into what is sent: whole lines, chosen by time, with or without their times.
struct LogLines {
    /// A line longer than this is sent in parts.
    static let lineBytesMax = 256 * 1_024
    /// `2026-01-02T03:04:05`, enough to compare by.
    private static let secondsPrefix = 19

    private let showsTimestamps: Bool
    private let since: [UInt8]?
    private var remaining: Int
    private var partial: [UInt8] = []

    init(_ selection: LogSelection) {
        showsTimestamps = selection.showsTimestamps
        since = selection.since.map { Array(Timestamp.text($0).utf8.prefix(Self.secondsPrefix)) }
        remaining = selection.limitBytes ?? .max
    }

    /// Whether the byte limit is reached.
    var isFull: Bool { remaining <= 0 }

    /// The lines that a piece completes.
    mutating func feed(_ piece: [UInt8]) -> ByteBuffer {
        var output = ByteBuffer()
        var start = piece.startIndex
        while let newline = piece[start...].firstIndex(of: UInt8(ascii: "\n")) {
            emit(partial + piece[start...newline], to: &output)
            partial = []
            start = newline + 1
        }
        partial += piece[start...]
        if partial.count > Self.lineBytesMax {
            emit(partial[...], to: &output)
            partial = []
        }
        return output
    }

    /// What is left when no newline will come any more.
    mutating func finish() -> ByteBuffer {
        var output = ByteBuffer()
        if !partial.isEmpty { emit(partial[...], to: &output) }
        partial = []
        return output
    }

    private mutating func emit(_ line: some Collection<UInt8>, to output: inout ByteBuffer) {
        if let since, line.prefix(Self.secondsPrefix).lexicographicallyPrecedes(since) { return }
        guard remaining > 0 else { return }
        let space = line.firstIndex(of: UInt8(ascii: " "))
        let text = showsTimestamps ? line[...] : space.map { line[line.index(after: $0)...] } ?? line[...]
        let sent = text.prefix(remaining)
        output.writeBytes(sent)
        remaining -= sent.count
    }
}
