/// Addresses of pods. An address stays with its pod for the pod's life, also across restarts of the agent:
/// each pod's directory holds it. Freed addresses come up last, so that a connection to a dead pod does not
/// reach a stranger.
actor AddressPool {
    /// Hosts 2 … 65533 of the /16.
    static let hostMin = 2
    static let hostMax = 65_533

    private let config: NodeAgentConfig
    private var taken: [String: String] = [:]
    private var cursor: Int

    private var cursorPath: String { config.stateDirectory + "/run/next-address" }

    init(config: NodeAgentConfig) {
        self.config = config
        let text = Files.readText(config.stateDirectory + "/run/next-address") ?? ""
        cursor = Int(text) ?? Self.hostMin
        for uid in Files.names(in: config.stateDirectory + "/pods") {
            if let address = Files.readText(config.podDirectory(uid) + "/address") { taken[uid] = address }
        }
    }

    /// The pod's address, a new one when it has none.
    func address(of uid: String) throws -> String {
        if let address = taken[uid] { return address }
        let inUse = Set(taken.values)
        for _ in Self.hostMin...Self.hostMax {
            let candidate = "\(config.podPrefix).\(cursor / 256).\(cursor % 256)"
            cursor = cursor >= Self.hostMax ? Self.hostMin : cursor + 1
            if inUse.contains(candidate) || cursor % 256 == 1 { continue }
            try Files.writeText(candidate, to: config.podDirectory(uid) + "/address")
            try Files.writeText("\(cursor)", to: cursorPath)
            taken[uid] = candidate
            return candidate
        }
        throw SystemError(operation: "no pod address left", code: 99)
    }

    func release(_ uid: String) { taken[uid] = nil }
}
