internal import LocalNode

// The node's own corner of the kernel, made once by its PID 1. Tried as root on kernel 6.18: all of it works
// inside unnamed namespaces, and none of it shows on the host.

enum NodeNetwork {
    /// Kernel settings of the node's network namespace.
    private static let settings = [
        ("net/ipv4/ip_forward", "1"),
        // Packets of pods come in on one link and would be answered on another after DNAT: loose is right,
        // strict drops.
        ("net/ipv4/conf/all/rp_filter", "2"), ("net/ipv4/conf/default/rp_filter", "2"),
        // A pod that talks to itself through a ClusterIP is routed back where it came from; that is no
        // mistake of its.
        ("net/ipv4/conf/all/send_redirects", "0"), ("net/ipv4/conf/default/send_redirects", "0"),
        ("net/ipv4/conf/all/accept_local", "1"), ("net/ipv4/conf/default/accept_local", "1"),
    ]

    /// Mounts and addresses of the node.
    static func setUp(stateDirectory: String) throws {
        try Mounts.mount("proc", at: "/proc", type: "proc", flags: [.noSetuid, .noDevices, .noExecute])
        try Tool.run(["ip", "link", "set", "lo", "up"])
        try Tool.run(["ip", "address", "replace", "\(ClusterNetwork.nodeAddress)/32", "dev", "lo"])
        // The whole service range is local: DNS binds to its address, and a service without endpoints is
        // refused at once.
        try Tool.run([
            "ip", "route", "replace", "local", ClusterNetwork.serviceRange, "dev", "lo", "src",
            ClusterNetwork.nodeAddress,
        ])
        for (name, value) in settings {
            try Descriptor.open(path: "/proc/sys/" + name, flags: 1).writeAll(Array(value.utf8))
        }
        try useClusterNames(stateDirectory: stateDirectory)
    }

    /// The node's components resolve cluster names as pods do.
    private static func useClusterNames(stateDirectory: String) throws {
        let path = stateDirectory + "/run/resolv.conf"
        try Files.writeText(
            "nameserver \(ClusterNetwork.dnsAddress)\nsearch svc.\(ClusterNetwork.domain)\noptions ndots:5\n",
            to: path)
        guard let target = Processes.resolvedPath("/etc/resolv.conf") else { return }
        try Mounts.mount(path, at: target, flags: [.bind])
    }
}
