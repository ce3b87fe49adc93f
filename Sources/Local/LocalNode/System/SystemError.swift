internal import Glibc

/// A system call that failed.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// What was attempted, without values: `mount`, `bind 127.0.0.1:6443`.
    package let operation: String
    /// The errno.
    package let code: Int32

    package init(operation: String, code: Int32) {
        self.operation = operation
        self.code = code
    }

    /// The operating system's words for the errno.
    package var reason: String {
        // SAFETY: strerror answers a C string that stays valid until this thread's next call; it is copied
        // at once.
        unsafe String(cString: strerror(code))
    }

    package var description: String { "\(operation): \(reason)" }

    /// Whether the address is taken by another socket.
    package var isAddressInUse: Bool { code == EADDRINUSE }
    /// Whether no file or program of that name exists.
    package var isNotFound: Bool { code == ENOENT }
    /// Whether the file exists but may not be executed or opened.
    package var isPermissionDenied: Bool { code == EACCES || code == EPERM }
}

/// Turns the negated errno of `mesh_linux.h` into an error.
@discardableResult
func checked(_ result: Int32, _ operation: @autoclosure () -> String) throws(SystemError) -> Int32 {
    guard result >= 0 else { throw SystemError(operation: operation(), code: -result) }
    return result
}
