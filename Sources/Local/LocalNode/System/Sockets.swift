internal import CMeshLinux
internal import Glibc

/// Sockets that NIO does not make for us: inherited listeners, descriptor passing, one poll loop.
package enum Sockets {
    /// A listening unix socket, non-blocking; a stale file at `path` is replaced.
    package static func listen(unixPath path: String, mode: Int32 = 0o600) throws(SystemError) -> Descriptor {
        // SAFETY: the path's C string lives for the call. The same holds for each call below.
        Descriptor(owning: try checked(unsafe mesh_unix_listen(path, mode), "listen on \(path)"))
    }

    /// A connected unix socket.
    package static func connect(unixPath path: String) throws(SystemError) -> Descriptor {
        Descriptor(owning: try checked(unsafe mesh_unix_connect(path), "connect to \(path)"))
    }

    /// A listening TCP socket.
    package static func listen(host: String, port: UInt16) throws(SystemError) -> Descriptor {
        Descriptor(owning: try checked(unsafe mesh_tcp_listen(host, port), "listen on \(host):\(port)"))
    }

    /// A connection to the loopback of the network namespace that this process lives in.
    package static func connectLoopback(port: UInt16) throws(SystemError) -> Descriptor {
        Descriptor(owning: try checked(mesh_loopback_connect(port), "connect to 127.0.0.1:\(port)"))
    }

    /// The next waiting connection of a non-blocking listener, or `nil`.
    package static func accept(_ listener: Descriptor) -> Descriptor? {
        let fd = mesh_accept(listener.number)
        return fd >= 0 ? Descriptor(owning: fd) : nil
    }

    /// Hands `descriptor` to the process at the other end.
    package static func send(_ descriptor: Descriptor, over socket: Descriptor) throws(SystemError) {
        try checked(mesh_send_descriptor(socket.number, descriptor.number), "pass descriptor")
    }

    /// Waits for a descriptor from the other end; an answer without one is ECONNREFUSED.
    package static func receive(over socket: Descriptor) throws(SystemError) -> Descriptor {
        Descriptor(owning: try checked(mesh_receive_descriptor(socket.number), "receive descriptor"))
    }

    /// Id of the process at the other end of a unix socket, in our PID namespace.
    package static func peerProcess(of socket: Descriptor) throws(SystemError) -> Int32 {
        try checked(mesh_peer_process(socket.number), "peer credentials")
    }

    /// What a poll loop wants to hear about one descriptor.
    package struct Interest: Sendable {
        package let descriptor: Int32
        package let wantsWrite: Bool
        package init(_ descriptor: Int32, wantsWrite: Bool = false) {
            self.descriptor = descriptor
            self.wantsWrite = wantsWrite
        }
    }

    /// Waits until a descriptor is readable (or writable, or hung up), or `timeoutMilliseconds` passed (-1:
    /// for ever).
    /// - Returns: The descriptors that have something to say.
    package static func poll(_ interests: [Interest], timeoutMilliseconds: Int32) -> Set<Int32> {
        var entries = interests.map {
            pollfd(fd: $0.descriptor, events: Int16(POLLIN | ($0.wantsWrite ? POLLOUT : 0)), revents: 0)
        }
        // SAFETY: the array's storage lives for the call, and its count is what we pass.
        let count = unsafe Glibc.poll(&entries, nfds_t(entries.count), timeoutMilliseconds)
        guard count > 0 else { return [] }
        return Set(entries.lazy.filter { $0.revents != 0 }.map(\.fd))
    }
}

/// The signals of a single-threaded process, as a descriptor for its poll loop.
package struct SignalDescriptor: Sendable {
    package let descriptor: Descriptor

    /// Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP in this thread; SIGPIPE is ignored.
    package init() throws(SystemError) {
        descriptor = Descriptor(owning: try checked(mesh_signal_descriptor(), "signalfd"))
    }

    /// The next pending signal, or `nil`.
    package func next() -> Int32? {
        let signal = mesh_read_signal(descriptor.number)
        return signal > 0 ? signal : nil
    }
}

/// How a process ended.
package struct ProcessExit: Sendable, Equatable {
    package let process: Int32
    /// Exit code; 128 + signal when a signal ended it, as shells say.
    package let code: Int32
    /// 0 after a normal exit.
    package let signal: Int32
}

/// Calls about processes.
package enum Processes {
    /// The next ended child, or `nil` when none waits to be reaped.
    package static func reap() -> ProcessExit? {
        var ended = mesh_exit()
        // SAFETY: the address lives for the call.
        guard unsafe mesh_reap(&ended) == 1 else { return nil }
        return ProcessExit(process: ended.pid, code: ended.code, signal: ended.signal)
    }

    /// Waits for one child.
    package static func wait(for process: Int32) throws(SystemError) -> ProcessExit {
        var ended = mesh_exit()
        try checked(unsafe mesh_wait(process, &ended), "wait")
        return ProcessExit(process: ended.pid, code: ended.code, signal: ended.signal)
    }

    /// Sends a signal; `process` -1 means every process of this PID namespace but the caller. Answers
    /// whether it was sent.
    @discardableResult
    package static func signal(_ process: Int32, _ signal: Int32) -> Bool { kill(process, signal) == 0 }

    /// Whether a process of that id exists.
    package static func exists(_ process: Int32) -> Bool { kill(process, 0) == 0 || errno == EPERM }

    package static var current: Int32 { getpid() }
    package static var isRoot: Bool { geteuid() == 0 }

    /// Path of the running program, links resolved.
    package static var executablePath: String? { resolvedPath("/proc/self/exe") }

    /// The absolute path without links; `nil` when it does not exist.
    package static func resolvedPath(_ path: String) -> String? {
        // SAFETY: realpath allocates the answer; it is copied, then freed here.
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// Changes owner and group of a file without following a link.
    package static func changeOwner(of path: String, user: UInt32, group: UInt32) {
        _ = unsafe lchown(path, user, group)
    }

    /// Joins a namespace for the calling thread.
    package static func join(namespace fd: Descriptor, kind: NamespaceKind) throws(SystemError) {
        try checked(mesh_join_namespace(fd.number, kind.bits), "setns")
    }

    /// What this process creates from now on is its owner's alone.
    package static func keepFilesPrivate() { umask(0o077) }

    package static let terminate = SIGTERM
    package static let kill9 = SIGKILL
    package static let childEnded = SIGCHLD
}

/// Mounts made by the calling process in its own mount namespace.
package enum Mounts {
    /// Mounts `source` at `target`; see mount(2).
    package static func mount(
        _ source: String, at target: String, type: String? = nil, flags: MountFlags = [], data: String? = nil
    ) throws(SystemError) {
        try checked(unsafe mesh_mount(source, target, type, flags.rawValue, data), "mount \(target)")
    }

    /// Detaches a mount at once; open files keep working.
    package static func unmount(_ target: String) throws(SystemError) {
        try checked(unsafe mesh_unmount(target), "unmount \(target)")
    }
}

/// Flags of mount(2).
package struct MountFlags: OptionSet, Sendable, Codable, Hashable {
    package let rawValue: UInt
    package init(rawValue: UInt) { self.rawValue = rawValue }
    package static let readOnly = Self(rawValue: 1)
    package static let noSetuid = Self(rawValue: 2)
    package static let noDevices = Self(rawValue: 4)
    package static let noExecute = Self(rawValue: 8)
    package static let remount = Self(rawValue: 32)
    package static let bind = Self(rawValue: 4096)
    package static let recursive = Self(rawValue: 16384)
    package static let isPrivate = Self(rawValue: 1 << 18)
}

/// A kind of Linux namespace.
package enum NamespaceKind: Sendable, Hashable {
    case mount, hostname, process, network

    var bits: Int32 {
        switch self {
        case .mount: Int32(MESH_NS_MOUNT)
        case .hostname: Int32(MESH_NS_UTS)
        case .process: Int32(MESH_NS_PID)
        case .network: Int32(MESH_NS_NETWORK)
        }
    }
}
