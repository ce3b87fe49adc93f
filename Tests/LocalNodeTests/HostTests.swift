import Foundation
import LocalNode
import Testing

@Suite("Host layout", .timeLimit(.minutes(1))) struct HostLayoutTests {
    @Test("Disks are shown to containers, kernel and memory file systems are not")
    func mounts() {
        let text = """
            22 27 0:21 / /proc rw,relatime - proc proc rw
            27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
            28 27 254:1 / /home rw,relatime shared:3 - xfs /dev/vdb rw
            29 27 0:25 / /dev/shm rw - tmpfs tmpfs rw
            30 27 254:2 / /mnt/with\\040space rw - ext4 /dev/vdc rw
            """
        #expect(HostLayout.diskMounts(mountInfo: text) == ["/home"])
    }

    @Test("The installation is the nearest directory with deploy beside it, else that of the programs")
    func installation() {
        #expect(
            HostLayout.installationRoot(of: "/home/me/mesh/.build/release") { $0 == "/home/me/mesh" }
                == "/home/me/mesh")
        #expect(HostLayout.installationRoot(of: "/opt/bin") { _ in false } == "/opt/bin")
    }

    @Test("A closed home is opened as far as the installation needs it")
    func openings() {
        let opened = HostLayout.openings(for: "/home/me/mesh") { $0 != "/home/me" }
        #expect(opened.map(\.closed) == ["/home/me"] && opened.map(\.visible) == ["/home/me/mesh"])
        #expect(HostLayout.openings(for: "/opt/mesh") { _ in true }.isEmpty)
    }
}

@Suite("Time stamps", .timeLimit(.minutes(1))) struct TimestampTests {
    @Test(
        "Known instants, both ways",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_545_869, "2026-11-24T18:44:29Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"), (-1, "1969-12-31T23:59:59Z"),
        ] as [(Int64, String)])
    func known(seconds: Int64, text: String) {
        #expect(Timestamp(seconds: seconds).text == text)
        #expect(Timestamp(text: text) == Timestamp(seconds: seconds))
    }

    @Test("Fractions carry")
    func adds() {
        let time = Timestamp(seconds: 10, nanoseconds: 900_000_000)
        #expect(time.adding(seconds: 0.2) == Timestamp(seconds: 11, nanoseconds: 100_000_000))
        #expect(time.adding(seconds: -1) == Timestamp(seconds: 9, nanoseconds: 900_000_000))
        #expect(time.nanosecondText == "1970-01-01T00:00:10.900000000Z")
    }
}

@Suite("Log lines", .timeLimit(.minutes(1))) struct LineStamperTests {
    @Test("A line carries the time of its first byte, and an unfinished one waits")
    func stamps() {
        var lines = LineStamper()
        let first = Timestamp(seconds: 1)
        #expect(lines.receive(Array("hel".utf8), at: first).isEmpty)
        let output = lines.receive(Array("lo\nx\n".utf8), at: Timestamp(seconds: 2))
        #expect(
            String(decoding: output, as: UTF8.self)
                == "1970-01-01T00:00:01.000000000Z hello\n1970-01-01T00:00:02.000000000Z x\n")
        _ = lines.receive(Array("tail".utf8), at: first)
        #expect(
            String(decoding: lines.finish(at: first), as: UTF8.self)
                == "1970-01-01T00:00:01.000000000Z tail\n")
    }

    @Test("A line without an end is cut")
    func cuts() {
        var lines = LineStamper()
        let output = lines.receive(
            [UInt8](repeating: 65, count: InitLimits.logLineBytesMax + 1), at: Timestamp(seconds: 1))
        #expect(output.filter { $0 == 10 }.count == 1)
    }
}

/// Real namespaces: these run as root, and in CI fail where that is missing.
@Suite(
    "Spawned processes", .timeLimit(.minutes(1)),
    .enabled(if: Processes.isRoot || ProcessInfo.processInfo.environment["CI"] == "true", "needs root"))
struct SpawnTests {
    private func run(_ script: String, _ prepare: (borrowing SpawnRequest) -> Void = { _ in }) throws -> (
        String, ProcessExit
    ) {
        let (process, output) = try start(script, prepare)
        var bytes: [UInt8] = []
        while true {
            _ = Sockets.poll([Sockets.Interest(output.number)], timeoutMilliseconds: 10_000)
            guard let piece = try output.read() else { continue }
            if piece.isEmpty { break }
            bytes += piece
        }
        return (String(decoding: bytes, as: UTF8.self), try Processes.wait(for: process))
    }

    private func start(_ script: String, _ prepare: (borrowing SpawnRequest) -> Void) throws -> (
        Int32, Descriptor
    ) {
        let output = try Descriptor.pipe()
        let request = SpawnRequest(
            executables: ["/nowhere/sh", "/bin/sh"], arguments: ["sh", "-c", script],
            environment: [Tool.searchPath])
        request.standard(input: try Descriptor.null(), output: output.writeEnd, error: output.writeEnd)
        prepare(request)
        return (try request.start(), output.readEnd)
    }

    @Test("Exit codes and signals are told apart")
    func exits() throws {
        #expect(try run("exit 3").1.code == 3)
        let killed = try run("kill -9 $$").1
        #expect(killed.signal == 9 && killed.code == 137)
    }

    @Test("A missing program is an error of the caller, not an exit code")
    func missing() throws {
        let error = #expect(throws: SystemError.self) {
            _ = try SpawnRequest(executables: ["/nowhere/x"], arguments: ["x"], environment: []).start()
        }
        #expect(error?.isNotFound == true && error?.operation == "execute")
    }

    @Test("User, group and groups are exactly those asked for")
    func identity() throws {
        let (text, _) = try run("id -u; id -g; id -G") { $0.run(asUser: 2102, group: 2102, groups: [3000]) }
        #expect(text.split(separator: "\n") == ["2102", "2102", "2102 3000"])
    }

    @Test("Only the descriptors that were passed are open")
    func descriptors() throws {
        let extra = try Descriptor.null()
        // Somebody else's, open for whatever is executed: below and above the one that is passed.
        let foreign = [20, 60].map { fcntl(0, F_DUPFD, $0) }
        defer { for descriptor in foreign { close(descriptor) } }
        let (text, _) = try run("ls /proc/self/fd | tr '\\n' ' '") { $0.pass(extra, as: 50) }
        #expect(text.hasPrefix("0 1 2 "))
        let numbers = text.split(separator: " ").compactMap { Int32($0) }
        #expect(Set(numbers).isSubset(of: [0, 1, 2, 3, 50]), "ls itself holds one more: \(text)")
        #expect(numbers.contains(50))
    }

    @Test("A new network namespace has nothing but a loopback that is down")
    func network() throws {
        let (text, _) = try run("ls /sys/class/net; cat /proc/net/dev | wc -l") {
            $0.create(namespaces: [.network, .mount])
        }
        #expect(text.contains("3"), "two lines of heading and one of lo: \(text)")
    }

    @Test("A container's root shows the host, takes writes without keeping them, and has its own /tmp")
    func containerRoot() throws {
        let scratch = "/tmp/mesh-root-\(Processes.current)"
        try Files.makeDirectory(scratch)
        try Mounts.mount("tmpfs", at: scratch, type: "tmpfs")
        defer {
            try? Mounts.unmount(scratch)
            Files.remove(scratch)
        }
        try Files.makeDirectory(scratch + "/volume")
        try Files.writeText("from the host\n", to: scratch + "/volume/file")
        let root = ContainerRoot(
            scratch: scratch + "/c", hostMounts: [], hidden: ["/var/lib"], opened: [],
            binds: [
                BindMount(
                    source: scratch + "/volume", target: "/var/run/x", isDirectory: true, isReadOnly: true)
            ],
            isReadOnly: false)
        let script = """
            cat /var/run/x/file; touch /var/run/x/new 2>/dev/null || echo read-only
            touch /etc/mesh-root-test && echo written; ls /tmp | wc -l; ls /var/lib | wc -l
            echo through > /dev/null && test -c /dev/urandom && test ! -e /.old/etc && echo devices
            """
        let (text, ended) = try run(script) { request in
            request.create(namespaces: [.mount, .process])
            for step in root.steps { request.add(step) }
        }
        #expect(ended.code == 0)
        #expect(
            text.split(separator: "\n") == ["from the host", "read-only", "written", "0", "0", "devices"])
        #expect(!Files.exists("/etc/mesh-root-test"))
    }

    @Test("A descriptor travels over a unix socket")
    func passesDescriptors() throws {
        let path = "/tmp/mesh-pass-\(Processes.current).sock"
        defer { Files.remove(path) }
        let listener = try Sockets.listen(unixPath: path)
        let client = try Sockets.connect(unixPath: path)
        let server = try #require(Sockets.accept(listener))
        let pipe = try Descriptor.pipe()
        try Sockets.send(pipe.writeEnd, over: server)
        let received = try Sockets.receive(over: client)
        try received.writeAll([42])
        _ = Sockets.poll([Sockets.Interest(pipe.readEnd.number)], timeoutMilliseconds: 5_000)
        #expect(try pipe.readEnd.read() == [42])
        #expect(try Sockets.peerProcess(of: client) == Processes.current)
    }

    @Test("A file lock has one holder")
    func locks() throws {
        let path = "/tmp/mesh-lock-\(Processes.current)"
        defer { Files.remove(path) }
        let first = try Descriptor.locking(path: path)
        #expect(first != nil)
        #expect(try Descriptor.locking(path: path) == nil)
        withExtendedLifetime(first) {}
    }

    @Test("A tool reads its input and reports what went wrong")
    func tools() throws {
        let large = String(repeating: "line\n", count: 40_000)
        #expect(try Tool.run(["wc", "-l"], input: large).contains("40000"))
        let error = #expect(throws: SystemError.self) { try Tool.run(["ls", "/nowhere"]) }
        #expect(error?.operation.contains("/nowhere") == true)
    }
}
