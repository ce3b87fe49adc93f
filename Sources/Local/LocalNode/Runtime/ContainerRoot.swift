// The root of a container, as a list of steps that its first process takes before it runs its program.
//
// There are no images: the root is the host's root under an overlay, so that host programs run unchanged and
// what a container writes goes to memory that dies with the pod. Tried on kernel 6.18 and Debian 12 before
// this was chosen: an overlay with lowerdir=/ and a tmpfs upper mounts inside a fresh mount namespace (an
// upper directory inside the lower file system works too, but would have to be cleaned up after a crash);
// `unshare -n -m -p`, routed veths, iptables-nft with statistic, owner and REDIRECT, ip_forward and
// rp_filter all work there as root.
//
// The order matters. The overlay is mounted in the old root; then the root is pivoted, and everything else
// is mounted from `/.old` inside the new root, so that absolute links such as /var/run → /run are followed
// in the container and not on the host.

/// A file or directory of the host shown inside a container.
package struct BindMount: Sendable, Hashable, Codable {
    /// Absolute, links resolved.
    package var source: String
    package var target: String
    package var isDirectory: Bool
    package var isReadOnly: Bool

    package init(source: String, target: String, isDirectory: Bool, isReadOnly: Bool) {
        self.source = source
        self.target = target
        self.isDirectory = isDirectory
        self.isReadOnly = isReadOnly
    }
}

/// What a container's root is made of.
package struct ContainerRoot: Sendable, Hashable {
    /// A directory of the pod's scratch memory for this run: gets `upper`, `work` and `root`.
    package var scratch: String
    /// Mounts of the host's disks other than its root, shown at the same place, read-only.
    package var hostMounts: [String]
    /// Host directories that containers must not see; replaced by empty ones.
    package var hidden: [String]
    /// Directories that other users cannot enter on the host, with the part that must stay visible.
    package var opened: [OpenedDirectory]
    package var binds: [BindMount]
    package var isReadOnly: Bool

    /// A closed directory (`/home/me`, 0750) that hides what containers run: replaced by an empty one that
    /// shows `visible`.
    package struct OpenedDirectory: Sendable, Hashable {
        package var closed: String
        package var visible: String
    }

    package init(
        scratch: String, hostMounts: [String], hidden: [String], opened: [OpenedDirectory],
        binds: [BindMount],
        isReadOnly: Bool
    ) {
        self.scratch = scratch
        self.hostMounts = hostMounts
        self.hidden = hidden
        self.opened = opened
        self.binds = binds
        self.isReadOnly = isReadOnly
    }

    private static let old = "/.old"

    /// The steps, in order.
    package var steps: [FileStep] {
        var steps: [FileStep] = []
        let root = scratch + "/root"
        for directory in [scratch, scratch + "/upper", scratch + "/work", root] {
            steps.append(.makeDirectory(directory, mode: 0o755, optional: false))
        }
        let layers = "lowerdir=/,upperdir=\(scratch)/upper,workdir=\(scratch)/work"
        steps.append(
            .mount(source: "overlay", target: root, type: "overlay", flags: [], data: layers, optional: false)
        )
        steps.append(.makeDirectory(root + Self.old, mode: 0o700, optional: false))
        steps.append(.pivot(root: root, putOld: root + Self.old))
        steps += kernelFileSystems
        for mount in hostMounts {
            steps += bind(mount, at: mount, isDirectory: true, isReadOnly: true, optional: true)
        }
        for opening in opened {
            steps.append(memory(at: opening.closed, mode: "0755"))
            steps += bind(
                opening.visible, at: opening.visible, isDirectory: true, isReadOnly: true, optional: false)
        }
        for path in hidden { steps.append(memory(at: path, mode: "0700", optional: true)) }
        // Parents before children, whatever order the pod names them in.
        for bind in binds.sorted(by: { $0.target.utf8.count < $1.target.utf8.count }) {
            steps += self.bind(
                bind.source, at: bind.target, isDirectory: bind.isDirectory, isReadOnly: bind.isReadOnly,
                optional: false)
        }
        if isReadOnly {
            steps.append(
                .mount(
                    source: "none", target: "/", type: nil, flags: [.remount, .readOnly], data: nil,
                    optional: true))
        }
        steps.append(.unmount(Self.old))
        return steps
    }

    private var kernelFileSystems: [FileStep] {
        let closed: MountFlags = [.noSetuid, .noDevices, .noExecute]
        var steps: [FileStep] = [
            .mount(source: "proc", target: "/proc", type: "proc", flags: closed, data: nil, optional: false),
            .mount(
                source: "sysfs", target: "/sys", type: "sysfs", flags: closed.union(.readOnly), data: nil,
                optional: true),
            memory(at: "/dev", mode: "0755"), memory(at: "/run", mode: "0755"),
            memory(at: "/tmp", mode: "1777"),
            .makeDirectory("/dev/shm", mode: 0o1777, optional: false), memory(at: "/dev/shm", mode: "1777"),
            .makeDirectory("/run/lock", mode: 0o1777, optional: false),
        ]
        for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)]
            as [(String, UInt32)]
        {
            steps.append(.characterDevice("/dev/\(name)", major: 1, minor: minor))
        }
        steps.append(.characterDevice("/dev/tty", major: 5, minor: 0))
        for (name, target) in [
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
        ] {
            steps.append(.symlink(to: target, at: "/dev/\(name)"))
        }
        return steps
    }

    private func memory(at path: String, mode: String, optional: Bool = false) -> FileStep {
        .mount(
            source: "tmpfs", target: path, type: "tmpfs", flags: [.noSetuid], data: "mode=\(mode),size=64m",
            optional: optional)
    }

    private func bind(
        _ source: String, at target: String, isDirectory: Bool, isReadOnly: Bool, optional: Bool
    ) -> [FileStep] {
        var steps: [FileStep] = []
        var prefix = ""
        let parts = target.split(separator: "/").map(String.init)
        for part in isDirectory ? parts[...] : parts.dropLast() {
            prefix += "/" + part
            // A missing parent shows at the mount; an existing one may be on a read-only disk.
            steps.append(.makeDirectory(prefix, mode: 0o755, optional: true))
        }
        // A link such as /etc/resolv.conf → /run/systemd/… would lead nowhere in here.
        if !isDirectory { steps += [.unlink(target), .touch(target)] }
        steps.append(
            .mount(
                source: Self.old + source, target: target, type: nil, flags: [.bind, .recursive], data: nil,
                optional: optional))
        if isReadOnly {
            steps.append(
                .mount(
                    source: "none", target: target, type: nil, flags: [.bind, .remount, .readOnly], data: nil,
                    optional: true))
        }
        return steps
    }
}
