internal import Foundation

// Process 1 of a pod: a small, single-threaded runtime in one poll loop. It keeps the pod's network
// namespace alive across container restarts (proxy-init's rules live there), starts containers, stamps their
// output into log files, reaps every orphan, and remembers exit codes until an agent asks. It decides
// nothing: restarts, probes and grace periods are the agent's. When it ends, the kernel kills whatever is
// left in the PID namespace.

/// The pod's init. `run` returns when told to shut down.
package final class PodInit {
    private let listener: Descriptor
    private let signals: SignalDescriptor
    private let null: Descriptor
    private var clients: [Int32: InitConnection] = [:]
    private var pumps: [Int32: LogPump] = [:]
    private var containers: [String: ContainerRecord] = [:]
    private var launches: [String: ContainerLaunch] = [:]
    private var executions: [Int32: Execution] = [:]
    private var isEnding = false

    /// A command run inside a container on behalf of the agent.
    private struct Execution {
        let client: Int32
        let request: Int
        let output: Descriptor
        let deadline: Timestamp
        var text: [UInt8] = []
        var hasTimedOut = false
    }

    /// Listens on `socketPath`; must be process 1 of fresh PID, mount and network namespaces.
    package init(socketPath: String) throws(SystemError) {
        signals = try SignalDescriptor()
        null = try Descriptor.null()
        try Mounts.mount("proc", at: "/proc", type: "proc", flags: [.noSetuid, .noDevices, .noExecute])
        try Tool.run(["ip", "link", "set", "lo", "up"])
        // Last: an agent that can connect finds everything in place.
        listener = try Sockets.listen(unixPath: socketPath)
    }

    /// Serves until `shutdown` or SIGTERM.
    package func run() {
        while !isEnding {
            var interests = [Sockets.Interest(listener.number), Sockets.Interest(signals.descriptor.number)]
            interests += clients.values.map { Sockets.Interest($0.socket.number, wantsWrite: $0.hasOutput) }
            interests += pumps.keys.map { Sockets.Interest($0) }
            interests += executions.values.map { Sockets.Interest($0.output.number) }
            let ready = Sockets.poll(interests, timeoutMilliseconds: executions.isEmpty ? -1 : 200)
            handle(ready)
        }
    }

    private func handle(_ ready: Set<Int32>) {
        let now = SystemClock.now()
        for fd in ready.intersection(pumps.keys) where pumps[fd]?.run(at: now) == false { pumps[fd] = nil }
        collectOutput(ready)
        if ready.contains(signals.descriptor.number) { handleSignals(at: now) }
        expireExecutions(at: now)
        if ready.contains(listener.number) {
            while let socket = Sockets.accept(listener) {
                if (try? socket.makeNonBlocking()) != nil {  // Else the socket closes again.
                    clients[socket.number] = InitConnection(socket: socket)
                }
            }
        }
        for fd in ready.intersection(clients.keys) {
            guard let client = clients[fd] else { continue }
            for request in client.receive() { answer(request, on: client) }
            client.flush()
            if client.isClosed { clients[fd] = nil }
        }
    }

    // MARK: children

    private func handleSignals(at now: Timestamp) {
        while let signal = signals.next() {
            if signal == Processes.terminate { endAll() }
        }
        var changed = false
        while let ended = Processes.reap() {
            if finishExecution(ended) { continue }
            guard let name = containers.first(where: { $0.value.current.process == ended.process })?.key
            else { continue }
            containers[name]?.current.state = .exited
            containers[name]?.current.exitCode = ended.code
            containers[name]?.current.signal = ended.signal
            containers[name]?.current.finishedAt = now
            endSession(of: ended.process)
            changed = true
        }
        if changed {
            for client in clients.values { client.send(InitReply(id: 0, containers: containers)) }
        }
    }

    /// Kills what a container's first process left behind. All containers share the PID namespace, but each
    /// started its own session (fields after the name in /proc/<pid>/stat: state, parent, group, session).
    private func endSession(of first: Int32) {
        for process in Files.names(in: "/proc").compactMap({ Int32($0) }) where process > 1 {
            guard let status = Files.readText("/proc/\(process)/stat"), let name = status.lastIndex(of: ")")
            else { continue }
            let fields = status[status.index(after: name)...].split(separator: " ")
            if fields.count > 3, fields[3] == "\(first)" { Processes.signal(process, Processes.kill9) }
        }
    }

    /// The whole node is going down: pass the word on, and leave two seconds for it.
    private func endAll() {
        Processes.signal(-1, Processes.terminate)
        let deadline = SystemClock.now().adding(seconds: 2)
        while containers.values.contains(where: { $0.current.state == .running }),
            SystemClock.now() < deadline
        {
            handle(
                Sockets.poll(
                    [Sockets.Interest(signals.descriptor.number)] + pumps.keys.map { Sockets.Interest($0) },
                    timeoutMilliseconds: 100))
        }
        isEnding = true
    }

    // MARK: requests

    private func answer(_ request: InitRequest, on client: InitConnection) {
        var reply = InitReply(id: request.id)
        do {
            switch request.command {
            case .network(let address, let gateway): try configureNetwork(address: address, gateway: gateway)
            case .memoryVolume(let path, let megabytes):
                try Mounts.mount("tmpfs", at: path, type: "tmpfs", data: "size=\(megabytes)m,mode=1777")
            case .start(let launch):
                try start(launch)
                reply.containers = containers
            case .signal(let name, let signal):
                if let run = containers[name]?.current, run.state == .running {
                    Processes.signal(run.process, signal)
                }
            case .execute(let name, let command, let timeoutSeconds):
                try execute(
                    command, in: name, timeoutSeconds: timeoutSeconds, client: client, request: request.id)
                return  // Answered when the command ends.
            case .list: reply.containers = containers
            case .connect(let port):
                try Sockets.send(try Sockets.connectLoopback(port: port), over: client.socket)
                client.close()
                return
            case .shutdown: isEnding = true
            }
        } catch {
            if case .connect = request.command {
                client.close()
                return
            }
            reply.error = "\(error)"
            reply.isProgramMissing = error.isNotFound && error.operation == "execute"
        }
        client.send(reply)
    }

    private func configureNetwork(address: String, gateway: String) throws(SystemError) {
        try Tool.run(["ip", "address", "replace", "\(address)/32", "dev", "eth0"])
        try Tool.run(["ip", "link", "set", "eth0", "up"])
        try Tool.run(["ip", "route", "replace", gateway, "dev", "eth0", "scope", "link", "src", address])
        try Tool.run(["ip", "route", "replace", "default", "via", gateway, "dev", "eth0", "src", address])
    }

    private func start(_ launch: ContainerLaunch) throws(SystemError) {
        if let run = containers[launch.name]?.current {
            if run.state == .running || run.attempt >= launch.attempt { return }  // Asked twice: already done.
        }
        let output = try Descriptor.pipe()
        let errors = try Descriptor.pipe()
        let log = try LogFile(path: launch.logPath)
        let request = SpawnRequest(
            executables: launch.executables, arguments: launch.arguments, environment: launch.environment)
        request.standard(input: null, output: output.writeEnd, error: errors.writeEnd)
        request.create(namespaces: [.mount])
        request.setNewSession()
        for step in launch.steps { request.add(step) }
        request.setDirectory(launch.directory)
        request.run(asUser: launch.user, group: launch.group, groups: launch.groups)
        request.setCapabilities(add: launch.capabilitiesAdd, drop: launch.capabilitiesDrop)
        if launch.noNewPrivileges { request.setNoNewPrivileges() }
        let process = try request.start()
        pumps[output.readEnd.number] = LogPump(source: output.readEnd, log: log)
        pumps[errors.readEnd.number] = LogPump(source: errors.readEnd, log: log)
        let run = ContainerRun(attempt: launch.attempt, process: process, startedAt: SystemClock.now())
        containers[launch.name] = ContainerRecord(current: run, previous: containers[launch.name]?.current)
        launches[launch.name] = launch
    }

    // MARK: commands inside a container

    private func execute(
        _ command: [String], in name: String, timeoutSeconds: Int, client: InitConnection, request id: Int
    ) throws(SystemError) {
        guard let run = containers[name]?.current, run.state == .running, let launch = launches[name],
            let program = command.first
        else { throw SystemError(operation: "container is not running", code: 3) }
        let output = try Descriptor.pipe()
        let request = SpawnRequest(
            executables: ProgramSearch.candidates(program, environment: launch.environment),
            arguments: command,
            environment: launch.environment)
        request.standard(input: null, output: output.writeEnd, error: output.writeEnd)
        request.join(try Descriptor.open(path: "/proc/\(run.process)/ns/mnt", flags: 0), kind: .mount)
        request.setNewSession()
        request.setDirectory(launch.directory)
        request.run(asUser: launch.user, group: launch.group, groups: launch.groups)
        let process = try request.start()
        executions[process] = Execution(
            client: client.socket.number, request: id, output: output.readEnd,
            deadline: SystemClock.now().adding(seconds: Double(max(1, timeoutSeconds))))
    }

    private func collectOutput(_ ready: Set<Int32>) {
        for (process, execution) in executions where ready.contains(execution.output.number) {
            drain(process)
        }
    }

    private func drain(_ process: Int32) {
        guard let execution = executions[process] else { return }
        let bytes = (try? execution.output.read()) ?? []  // A broken pipe has nothing to say.
        let room = max(0, InitLimits.outputBytesMax - execution.text.count)
        executions[process]?.text += bytes.prefix(room)
    }

    private func finishExecution(_ ended: ProcessExit) -> Bool {
        guard executions[ended.process] != nil else { return false }
        drain(ended.process)
        guard let execution = executions.removeValue(forKey: ended.process) else { return false }
        clients[execution.client]?.send(
            InitReply(
                id: execution.request, error: execution.hasTimedOut ? "timed out" : nil, exitCode: ended.code,
                output: String(decoding: execution.text, as: UTF8.self)))
        return true
    }

    private func expireExecutions(at now: Timestamp) {
        for (process, execution) in executions where execution.deadline < now && !execution.hasTimedOut {
            executions[process]?.hasTimedOut = true
            Processes.signal(-process, Processes.kill9)  // Its whole group.
        }
    }
}
