internal import CMeshLinux
internal import Glibc

/// An open file descriptor, closed when its last holder goes.
package final class Descriptor: Sendable {
    /// The number, valid as long as this object lives.
    package let number: Int32

    /// Takes ownership of an open descriptor.
    package init(owning number: Int32) { self.number = number }

    deinit { close(number) }

    /// A second descriptor of the same open file that nobody closes for the caller.
    package func duplicate() throws(SystemError) -> Int32 {
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw SystemError(operation: "duplicate descriptor", code: errno) }
        return copy
    }

    /// Up to `countMax` bytes; empty at the end of the stream, `nil` when a non-blocking read would wait.
    package func read(countMax: Int = 65_536) throws(SystemError) -> [UInt8]? {
        var failure: Int32 = 0
        // SAFETY: the closure's buffer is private to it, and `read` writes at most its capacity.
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: countMax) { buffer, count in
            let result = unsafe Glibc.read(number, buffer.baseAddress, buffer.count)
            if result < 0 { failure = errno }
            count = max(0, result)
        }
        if failure == EAGAIN || failure == EINTR { return nil }
        guard failure == 0 else { throw SystemError(operation: "read", code: failure) }
        return bytes
    }

    /// Writes what the descriptor takes now; returns how many bytes that was.
    package func writeSome(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
        // SAFETY: the pointer lives for the call only, and the length is the slice's own.
        let result = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(number, $0.baseAddress, $0.count) }
        if result >= 0 { return result }
        if errno == EAGAIN || errno == EINTR { return 0 }
        throw SystemError(operation: "write", code: errno)
    }

    /// Writes all of `bytes` to a blocking descriptor.
    package func writeAll(_ bytes: [UInt8]) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty { rest = rest.dropFirst(try writeSome(rest)) }
    }

    /// Makes reads and writes answer at once.
    package func makeNonBlocking() throws(SystemError) {
        try checked(mesh_set_nonblocking(number), "set non-blocking")
    }

    /// Opens a file; `mode` applies when it is created.
    package static func open(path: String, flags: Int32, mode: UInt32 = 0o644) throws(SystemError)
        -> Descriptor
    {
        // SAFETY: the path's C string lives for the call.
        let fd = unsafe Glibc.open(path, flags | O_CLOEXEC, mode)
        guard fd >= 0 else { throw SystemError(operation: "open \(path)", code: errno) }
        return Descriptor(owning: fd)
    }

    /// Opens a file for appending, creating it.
    package static func appending(path: String, mode: UInt32 = 0o644) throws(SystemError) -> Descriptor {
        try open(path: path, flags: O_WRONLY | O_CREAT | O_APPEND, mode: mode)
    }

    /// The null device, open for reading and writing.
    package static func null() throws(SystemError) -> Descriptor {
        try open(path: "/dev/null", flags: O_RDWR)
    }

    /// A file opened and locked for this process alone; `nil` when another process holds the lock.
    package static func locking(path: String) throws(SystemError) -> Descriptor? {
        let file = try open(path: path, flags: O_RDWR | O_CREAT, mode: 0o600)
        return mesh_lock_file(file.number) >= 0 ? file : nil
    }

    /// A pipe. The read end is non-blocking, both close on exec.
    package static func pipe() throws(SystemError) -> (readEnd: Descriptor, writeEnd: Descriptor) {
        var readEnd: Int32 = -1
        var writeEnd: Int32 = -1
        // SAFETY: the two addresses live for the call.
        try checked(unsafe mesh_pipe(&readEnd, &writeEnd), "pipe")
        return (Descriptor(owning: readEnd), Descriptor(owning: writeEnd))
    }
}

/// Wall-clock time from the operating system.
package enum SystemClock {
    /// Now, as seconds and nanoseconds since 1970.
    package static func now() -> Timestamp {
        var seconds: Int64 = 0
        var nanoseconds: Int32 = 0
        // SAFETY: the two addresses live for the call.
        unsafe mesh_now(&seconds, &nanoseconds)
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }
}
