// A container's output on its way to the log: split into lines, each stamped when its first byte arrived.

/// Splits a byte stream into stamped lines.
package struct LineStamper {
    package init() {}

    private var pending: [UInt8] = []
    private var stampedAt: Timestamp?

    /// The stamped lines that `bytes` complete; an unfinished one waits.
    package mutating func receive(_ bytes: [UInt8], at now: Timestamp) -> [UInt8] {
        var output: [UInt8] = []
        for byte in bytes {
            if stampedAt == nil { stampedAt = now }
            if byte == UInt8(ascii: "\n") {
                flush(into: &output, at: now)
            } else {
                pending.append(byte)
                if pending.count >= InitLimits.logLineBytesMax { flush(into: &output, at: now) }
            }
        }
        return output
    }

    /// The unfinished line, at the end of the stream.
    package mutating func finish(at now: Timestamp) -> [UInt8] {
        var output: [UInt8] = []
        if !pending.isEmpty { flush(into: &output, at: now) }
        return output
    }

    private mutating func flush(into output: inout [UInt8], at now: Timestamp) {
        output.append(contentsOf: (stampedAt ?? now).nanosecondText.utf8)
        output.append(UInt8(ascii: " "))
        output.append(contentsOf: pending)
        output.append(UInt8(ascii: "\n"))
        pending.removeAll(keepingCapacity: true)
        stampedAt = nil
    }
}

/// The log file of one run of a container, bounded: beyond the limit the old part is set aside once.
final class LogFile {
    private let path: String
    private var file: Descriptor
    private var bytesWritten = 0

    init(path: String) throws(SystemError) {
        self.path = path
        file = try Descriptor.appending(path: path, mode: 0o640)
    }

    /// A full disk loses lines rather than stopping the container.
    func append(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        try? file.writeAll(bytes)  // See above.
        bytesWritten += bytes.count
        guard bytesWritten > InitLimits.logFileBytesMax else { return }
        Files.rename(path, to: path + ".old")
        if let fresh = try? Descriptor.appending(path: path, mode: 0o640) {  // Else the renamed file goes on.
            file = fresh
            bytesWritten = 0
        }
    }
}

/// One of a container's two output pipes.
struct LogPump {
    let source: Descriptor
    let log: LogFile
    var lines = LineStamper()

    /// Copies what is there. Returns false at the end of the stream.
    mutating func run(at now: Timestamp) -> Bool {
        do {
            guard let bytes = try source.read() else { return true }
            if bytes.isEmpty {
                log.append(lines.finish(at: now))
                return false
            }
            log.append(lines.receive(bytes, at: now))
            return true
        } catch {
            return false
        }
    }
}
