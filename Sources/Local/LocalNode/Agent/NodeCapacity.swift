/// What this machine has, read from `/proc`.
package enum NodeCapacity {
    /// Number of processors.
    package static var processors: Int {
        let lines = (Files.readText("/proc/cpuinfo") ?? "").split(separator: "\n")
        return max(1, lines.count { $0.hasPrefix("processor") })
    }

    /// Memory in KiB.
    package static var memoryKibibytes: Int {
        let line = (Files.readText("/proc/meminfo") ?? "").split(separator: "\n").first {
            $0.hasPrefix("MemTotal:")
        }
        let number = line?.split(whereSeparator: { !$0.isNumber }).first
        return number.flatMap { Int($0) } ?? 1_048_576
    }

    /// Capacity as the resource field selector counts it: processors, or bytes.
    static func value(of resource: String) -> Double {
        switch resource {
        case "cpu": Double(processors)
        case "memory": Double(memoryKibibytes) * 1024
        default: 0
        }
    }
}
