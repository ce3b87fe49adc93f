internal import CMeshLinux
internal import Glibc

/// One file-system step that a child takes in its own mount namespace before it runs its program.
package enum FileStep: Sendable, Codable, Hashable {
    case mount(
        source: String, target: String, type: String?, flags: MountFlags, data: String?, optional: Bool)
    /// An existing directory is fine.
    case makeDirectory(String, mode: UInt32, optional: Bool)
    /// Creates an empty file; an existing one keeps its content.
    case touch(String)
    case symlink(to: String, at: String)
    case characterDevice(String, major: UInt32, minor: UInt32)
    /// Makes `root` the root, with the old root at `putOld`.
    case pivot(root: String, putOld: String)
    case unmount(String)
    /// A missing file is fine.
    case unlink(String)
}

/// A process to start: arguments, environment, namespaces, mounts, user. Allocated whole before the fork, so
/// a threaded process may run it.
@safe package struct SpawnRequest: ~Copyable {
    // SAFETY: owned by this value alone and freed once in deinit; C copies every string that it is given.
    private let handle: OpaquePointer

    /// - Parameter executables: Absolute paths, tried in order; `argv[0]` is `arguments[0]`.
    package init(executables: [String], arguments: [String], environment: [String]) {
        guard let created = unsafe mesh_spawn_create() else { preconditionFailure("out of memory") }
        unsafe handle = created
        for path in executables { _ = unsafe mesh_spawn_add_executable(handle, path) }
        for argument in arguments { _ = unsafe mesh_spawn_add_argument(handle, argument) }
        for assignment in environment { _ = unsafe mesh_spawn_add_environment(handle, assignment) }
    }

    deinit { unsafe mesh_spawn_destroy(handle) }

    /// `descriptor` of this process becomes `number` in the child; all others close.
    package func pass(_ descriptor: Descriptor, as number: Int32) {
        _ = unsafe mesh_spawn_add_descriptor(handle, descriptor.number, number)
    }

    /// Uses the three descriptors as standard input, output and error.
    package func standard(input: Descriptor, output: Descriptor, error: Descriptor) {
        pass(input, as: 0)
        pass(output, as: 1)
        pass(error, as: 2)
    }

    package func create(namespaces: Set<NamespaceKind>) {
        unsafe mesh_spawn_set_namespaces(handle, namespaces.reduce(0) { $0 | $1.bits })
    }

    /// Joins the namespace behind an open `/proc/<pid>/ns/…` file.
    package func join(_ namespace: Descriptor, kind: NamespaceKind) {
        _ = unsafe mesh_spawn_add_join(handle, namespace.number, kind.bits)
    }

    package func add(_ step: FileStep) {
        switch step {
        case .mount(let source, let target, let type, let flags, let data, let optional):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_MOUNT.rawValue), source, target, type, flags.rawValue, data, 0,
                optional ? 1 : 0)
        case .makeDirectory(let path, let mode, let optional):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_MKDIR.rawValue), nil, path, nil, 0, nil, mode, optional ? 1 : 0)
        case .touch(let path):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_TOUCH.rawValue), nil, path, nil, 0, nil, 0o644, 0)
        case .symlink(let destination, let path):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_SYMLINK.rawValue), destination, path, nil, 0, nil, 0, 0)
        case .characterDevice(let path, let major, let minor):
            let number = major << 8 | minor
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_DEVICE.rawValue), nil, path, nil, 0, nil, number, 0)
        case .pivot(let root, let putOld):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_PIVOT.rawValue), root, putOld, nil, 0, nil, 0, 0)
        case .unmount(let path):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_UNMOUNT.rawValue), nil, path, nil, 0, nil, 0, 0)
        case .unlink(let path):
            _ = unsafe mesh_spawn_add_step(
                handle, Int32(MESH_STEP_UNLINK.rawValue), nil, path, nil, 0, nil, 0, 0)
        }
    }

    /// Runs as this user; supplementary groups are exactly `groups`.
    package func run(asUser user: UInt32, group: UInt32, groups: [UInt32]) {
        unsafe mesh_spawn_set_user(handle, user, group)
        for group in groups { _ = unsafe mesh_spawn_add_group(handle, group) }
    }

    package func setCapabilities(add: UInt64, drop: UInt64) {
        unsafe mesh_spawn_set_capabilities(handle, add, drop)
    }
    package func setNoNewPrivileges() { unsafe mesh_spawn_set_no_new_privileges(handle) }
    package func setDirectory(_ path: String) { _ = unsafe mesh_spawn_set_directory(handle, path) }
    package func setHostname(_ name: String) { _ = unsafe mesh_spawn_set_hostname(handle, name) }
    /// A new session, so that the terminal's signals do not reach the child.
    package func setNewSession() { unsafe mesh_spawn_set_new_session(handle) }
    /// The child belongs to the PID namespace's init at once, and survives us.
    package func setDetached() { unsafe mesh_spawn_set_detached(handle) }
    /// The child is killed when the calling *thread* ends; call only from a thread that lives as long as the
    /// process.
    package func setDiesWithParent() { unsafe mesh_spawn_set_parent_death_signal(handle, SIGKILL) }

    /// Starts the process and returns its id once the program has been executed.
    package consuming func start() throws(SystemError) -> Int32 {
        var failure = mesh_spawn_failure()
        // SAFETY: the handle is ours until deinit, after the call.
        let result = unsafe mesh_spawn_run(handle, &failure)
        guard result >= 0 else {
            throw SystemError(operation: Self.name(stage: failure.stage, step: failure.step), code: -result)
        }
        return result
    }

    private static func name(stage: Int32, step: Int32) -> String {
        let names = [
            "fork", "join namespace", "place descriptors", "mount step \(step)", "change user",
            "change directory", "execute",
        ]
        return names.indices.contains(Int(stage)) ? names[Int(stage)] : "spawn"
    }
}
