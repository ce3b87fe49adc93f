import Foundation
import Glibc

/// Why a store could not be had.
public struct StoreError: Error, CustomStringConvertible {
    /// The kinds of failure.
    public enum Kind: String, Sendable {
        /// Another process writes to the file.
        case inUse = "in_use"
        /// The lock file beside the store could not be made.
        case lockFailed = "lock_failed"
        /// A copy did not pass its check.
        case badCopy = "bad_copy"
        /// The file is not there.
        case missing
    }

    public let kind: Kind
    /// The file that it is about.
    public let path: String
    /// What to do.
    public let description: String

    init(_ kind: Kind, path: String, _ description: String) {
        self.kind = kind
        self.path = path
        self.description = description
    }
}

/// The right to write to a store: a lock on `<file>.lock`, which the kernel takes back when the process ends,
/// however it does.
final class StoreLock: Sendable {
    private let handle: FileHandle

    /// Takes the lock without waiting.
    ///
    /// Source: `lockf(3)`; its locks belong to the process, so one process may open a store twice (as tests do).
    init(path: String) throws(StoreError) {
        let file = path + ".lock"
        if !FileManager.default.fileExists(atPath: file) { _ = FileManager.default.createFile(atPath: file, contents: nil) }
        guard let handle = FileHandle(forUpdatingAtPath: file) else {
            throw StoreError(
                .lockFailed, path: path, "cannot make \(file): check that the folder exists and can be written")
        }
        guard lockf(handle.fileDescriptor, F_TLOCK, 0) == 0 else {
            throw StoreError(
                .inUse, path: path,
                "another process writes to \(path): stop it first, or give each its own --store")
        }
        self.handle = handle
    }
}
