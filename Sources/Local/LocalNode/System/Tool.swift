internal import CMeshLinux
internal import Glibc

/// Runs a system program (`ip`, `iptables-restore`) and waits for it.
package enum Tool {
    /// Where a minimal root's system programs are, whatever PATH we were given.
    package static let searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// - Parameter input: What the program reads on its standard input; any length.
    /// - Throws: When it cannot run or fails; the operation carries the head of what it wrote.
    /// - Returns: Its output, 64 KiB at most.
    @discardableResult
    package static func run(_ command: [String], input: String? = nil) throws(SystemError) -> String {
        guard let program = command.first else { return "" }
        let (process, output) = try start(program, command, input)
        let text = collect(from: output)
        let ended = try Processes.wait(for: process)
        guard ended.code == 0 else {
            let head = text.prefix(400)
            throw SystemError(operation: "\(command.prefix(6).joined(separator: " ")): \(head)", code: EINVAL)
        }
        return text
    }

    /// Our copy of the pipe's write end closes with this function, so the reader sees the end.
    private static func start(
        _ program: String, _ command: [String], _ input: String?
    ) throws(SystemError) -> (Int32, Descriptor) {
        let output = try Descriptor.pipe()
        let request = SpawnRequest(
            executables: ProgramSearch.candidates(program, environment: [searchPath]), arguments: command,
            environment: [searchPath, "LC_ALL=C"])
        request.standard(input: try inputDescriptor(input), output: output.writeEnd, error: output.writeEnd)
        do {
            return (try request.start(), output.readEnd)
        } catch {
            throw SystemError(operation: "run \(program)", code: error.code)
        }
    }

    /// The input as a file in memory: any length, and nobody to feed a pipe.
    private static func inputDescriptor(_ input: String?) throws(SystemError) -> Descriptor {
        guard let input else { return try Descriptor.null() }
        let file = Descriptor(owning: try checked(mesh_memory_file(), "memory file"))
        try file.writeAll(Array(input.utf8))
        lseek(file.number, 0, SEEK_SET)
        return file
    }

    private static func collect(from readEnd: Descriptor) -> String {
        var bytes: [UInt8] = []
        while true {
            _ = Sockets.poll([Sockets.Interest(readEnd.number)], timeoutMilliseconds: -1)
            guard let piece = try? readEnd.read() else { continue }  // An interrupted read is tried again.
            if piece.isEmpty { break }
            bytes += piece.prefix(max(0, 65_536 - bytes.count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Looking a program up the way a shell does.
package enum ProgramSearch {
    /// The paths to try for `program`: itself when it contains a slash, else one for each directory of PATH.
    package static func candidates(_ program: String, environment: [String]) -> [String] {
        if program.contains("/") { return [program] }
        let path = environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }
    }
}
