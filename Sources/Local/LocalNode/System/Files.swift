internal import Foundation

/// Small file operations of the node, each with the outcome that its caller can act on.
package enum Files {
    /// Creates a directory and its parents; an existing one is fine.
    package static func makeDirectory(_ path: String, mode: Int = 0o755) throws(SystemError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
        } catch {
            throw SystemError(operation: "create directory \(path)", code: EACCES)
        }
    }

    /// Removes a file or a tree; a missing one is fine.
    package static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)  // What is in use now is removed at the next clean-up.
    }

    /// Renames over an existing file.
    package static func rename(_ path: String, to other: String) {
        _ = unsafe renameFile(path, other)
    }

    package static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    package static func isDirectory(_ path: String) -> Bool {
        var isDirectory = ObjCBool(false)
        // SAFETY: the address lives for the call.
        return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
            && isDirectory.boolValue
    }

    /// Names in a directory, sorted; empty when it cannot be read.
    package static func names(in directory: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()  // Missing means empty.
    }

    /// The bytes of a file, `nil` when it cannot be read. Also reads `/proc`, whose files have no size.
    package static func read(_ path: String) -> [UInt8]? {
        guard let file = try? Descriptor.open(path: path, flags: O_RDONLY) else { return nil }  // Missing is an answer.
        var bytes: [UInt8] = []
        while let piece = try? file.read(), !piece.isEmpty { bytes += piece }  // A failing read ends the file.
        return bytes
    }

    /// The text of a file, `nil` when it cannot be read.
    package static func readText(_ path: String) -> String? {
        read(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes a file through a temporary neighbour, so that a reader sees the old content or the new, never
    /// half.
    package static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(SystemError) {
        let temporary = path + ".new"
        _ = unsafe unlink(temporary)
        let file = try Descriptor.open(path: temporary, flags: O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        try file.writeAll(bytes)
        _ = fchmod(file.number, mode)  // The umask must not take bits away.
        guard unsafe renameFile(temporary, path) == 0 else {
            throw SystemError(operation: "rename to \(path)", code: errno)
        }
    }

    package static func writeText(_ text: String, to path: String, mode: UInt32 = 0o644) throws(SystemError) {
        try write(Array(text.utf8), to: path, mode: mode)
    }

    /// Creates, or replaces atomically, a symbolic link.
    package static func link(_ path: String, to destination: String) throws(SystemError) {
        let temporary = path + ".link"
        _ = unsafe unlink(temporary)
        guard unsafe symlink(destination, temporary) == 0, unsafe renameFile(temporary, path) == 0 else {
            throw SystemError(operation: "link \(path)", code: errno)
        }
    }

    /// Changes permission bits.
    package static func setMode(_ path: String, _ mode: UInt32) { _ = unsafe chmod(path, mode) }

    /// Permission bits and kind of a file, following links; `nil` when it is missing.
    package static func mode(of path: String) -> UInt32? {
        var information = stat()
        // SAFETY: the address and the path's C string live for the call.
        return unsafe stat(path, &information) == 0 ? information.st_mode : nil
    }

    /// Size in bytes; `nil` when missing.
    package static func size(of path: String) -> Int? {
        var information = stat()
        // SAFETY: the address and the path's C string live for the call.
        return unsafe stat(path, &information) == 0 ? Int(information.st_size) : nil
    }

    private static func renameFile(_ from: UnsafePointer<CChar>, _ to: UnsafePointer<CChar>) -> Int32 {
        unsafe Foundation.rename(from, to)
    }
}
