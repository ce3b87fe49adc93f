// The process itself: its environment, its output, its end.

import CMeshLinux
import Glibc

/// The environment.
package enum ProcessEnvironment {
    /// A copy of all variables. Read once, at start, before any other thread.
    package static func current() -> [String: String] {
        var variables: [String: String] = [:]
        // The kernel's copy of what the process was started with, without touching C's mutable table.
        guard let text = SmallFile.bytes("/proc/self/environ", max: Int.max) else { return variables }
        for entry in text.split(separator: 0) {
            let line = String(decoding: entry, as: UTF8.self)
            guard let equals = line.firstIndex(of: "=") else { continue }
            variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        return variables
    }
}

/// Files of a few kilobytes, such as tokens.
package enum SmallFile {
    /// The file's bytes, up to `max`; `nil` when it cannot be opened or is longer. Blocks, as briefly as memory
    /// files do.
    package static func bytes(_ path: String, max: Int) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            // SAFETY: the array's storage is valid for its count during the call.
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            guard count >= 0 else { return nil }
            guard count > 0 else { return all }
            all += chunk[..<count]
            guard all.count <= max else { return nil }
        }
    }
}

/// Standard output and standard error.
package enum ProcessOutput {
    /// Writes one line to standard output in one piece.
    package static func writeLine(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

    static func write(_ text: String, to descriptor: CInt) { write(Array(text.utf8), to: descriptor) }

    static func write(_ whole: [UInt8], to descriptor: CInt) {
        var bytes = whole[...]
        while !bytes.isEmpty {
            // SAFETY: the slice's storage is valid during the call.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return }  // Nobody reads any more; a log line is not worth dying for.
            bytes = bytes.dropFirst(count)
        }
    }
}

/// Ends the process.
package enum ProcessEnd {
    /// Says why on standard error, and exits.
    package static func exit(_ code: CInt, _ message: String) -> Never {
        ProcessOutput.write(message + "\n", to: STDERR_FILENO)
        Glibc.exit(code)
    }
}

/// The calling thread.
package enum ProcessThread {
    /// Counts from 1, the main thread: Linux gives a process's threads consecutive numbers while nothing else
    /// starts, so the distance is small, stable and unique. For log lines only.
    package static var number: Int { max(1, Int(mesh_thread_id()) - Int(getpid()) + 1) }
}

extension ProcessOutput {
    /// Writes bytes to standard error. Blocks while nobody reads them.
    package static func writeError(_ bytes: [UInt8]) { write(bytes, to: STDERR_FILENO) }
}
