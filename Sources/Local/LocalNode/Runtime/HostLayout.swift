/// What containers need to know about the host they run on: read once, when the agent starts.
package struct HostLayout: Sendable, Hashable {
    /// The running program.
    package var executable: String
    /// Its directory, with the other programs beside it.
    package var programs: String
    /// Disk mounts other than the root.
    package var mounts: [String]
    /// See `ContainerRoot.opened`.
    package var opened: [ContainerRoot.OpenedDirectory]

    package init(
        executable: String, programs: String, mounts: [String] = [],
        opened: [ContainerRoot.OpenedDirectory] = []
    ) {
        self.executable = executable
        self.programs = programs
        self.mounts = mounts
        self.opened = opened
    }

    /// Looks at this process's mounts and executable.
    package static func current() -> HostLayout {
        let executable = Processes.executablePath ?? "/usr/bin/linkerd"
        let programs = String(executable.prefix(upTo: executable.lastIndex(of: "/") ?? executable.endIndex))
        let installation = installationRoot(of: programs) { Files.isDirectory($0 + "/deploy") }
        // Single files (a container host's /etc/hosts, our own /etc/resolv.conf) are for the pod to provide.
        let mounts = diskMounts(mountInfo: Files.readText("/proc/self/mountinfo") ?? "").filter {
            Files.isDirectory($0)
        }
        // Containers get their own /tmp and /run: what was installed there must be shown again.
        if installation.hasPrefix("/tmp/") || installation.hasPrefix("/run/") {
            return HostLayout(executable: executable, programs: programs, mounts: mounts + [installation])
        }
        return HostLayout(
            executable: executable, programs: programs, mounts: mounts,
            opened: openings(for: installation) { (Files.mode(of: $0) ?? 0o755) & 0o001 != 0 })
    }

    /// The nearest directory at or above `programs` that `isRoot` recognises, else `programs` itself.
    package static func installationRoot(of programs: String, isRoot: (String) -> Bool) -> String {
        var candidate = programs
        while !candidate.isEmpty {
            if isRoot(candidate) { return candidate }
            guard let slash = candidate.lastIndex(of: "/") else { break }
            candidate = String(candidate[..<slash])
        }
        return programs
    }

    /// Where a directory on the way to `path` is closed to others, what to open.
    package static func openings(
        for path: String, isOpen: (String) -> Bool
    ) -> [ContainerRoot.OpenedDirectory] {
        var prefix = ""
        for part in path.split(separator: "/") {
            prefix += "/" + part
            if !isOpen(prefix) {
                return prefix == path ? [] : [ContainerRoot.OpenedDirectory(closed: prefix, visible: path)]
            }
        }
        return []
    }

    private static let diskTypes: Set<String> = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "nfs", "nfs4", "virtiofs", "9p",
        "squashfs",
        "erofs", "fuseblk", "vfat",
    ]

    /// Mount points of disks in the text of /proc/self/mountinfo; see proc(5). Escapes (`\040`) are left
    /// out, with the mount.
    package static func diskMounts(mountInfo: String) -> [String] {
        var points: [String] = []
        for line in mountInfo.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 1, fields.count > 4 else {
                continue
            }
            let point = String(fields[4])
            if point != "/", !point.contains("\\"), diskTypes.contains(String(fields[dash + 1])) {
                points.append(point)
            }
        }
        return points
    }
}
