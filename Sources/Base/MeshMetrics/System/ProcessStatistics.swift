// What the kernel knows about this process, for `process_*` metrics. Cold path: a few small files per scrape.

import Glibc

/// Resource use of this process at one moment.
package struct ProcessStatistics: Sendable {
    package var cpuSeconds: Double = 0
    package var virtualBytes: UInt64 = 0
    package var residentBytes: UInt64 = 0
    package var openDescriptors: UInt64 = 0
    package var descriptorsMax: UInt64 = 0
    package var threadCount: UInt64 = 0
    /// Bytes of all interfaces of the network namespace but loopback, since they came up.
    package var networkReceivedBytes: UInt64 = 0
    package var networkSentBytes: UInt64 = 0
    /// Seconds since the epoch.
    package var startTimeSeconds: Double = 0

    /// Reads `/proc/self`; what cannot be read stays zero.
    package static func current() -> ProcessStatistics {
        var statistics = ProcessStatistics()
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        let pageBytes = UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        // Fields after the command's closing parenthesis, the first of which is field 3 of proc(5).
        let stat = ProcFile.text("/proc/self/stat")
        let fields = stat.map {
            $0[($0.lastIndex(of: ")") ?? $0.startIndex)...].split(separator: " ").dropFirst()
        }
        if let fields = fields.map(Array.init), fields.count > 21 {
            statistics.cpuSeconds = ((Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)) / ticks
            statistics.threadCount = UInt64(fields[17]) ?? 0
            statistics.startTimeSeconds =
                (ProcFile.bootTimeSeconds() ?? 0) + (Double(fields[19]) ?? 0) / ticks
            statistics.virtualBytes = UInt64(fields[20]) ?? 0
            statistics.residentBytes = (UInt64(fields[21]) ?? 0) * pageBytes
        }
        statistics.openDescriptors = ProcFile.openDescriptors()
        (statistics.networkReceivedBytes, statistics.networkSentBytes) = ProcFile.networkBytes()
        var limit = rlimit()
        // SAFETY: `limit` outlives the call and is the structure it fills.
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            statistics.descriptorsMax = UInt64(limit.rlim_cur)
        }
        return statistics
    }
}

private enum ProcFile {
    static let bytesMax = 16_384

    static func text(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        // SAFETY: the array's storage holds `bytesMax` bytes for the duration of the call.
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    static func bootTimeSeconds() -> Double? {
        guard let line = text("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })
        else {
            return nil
        }
        return Double(line.dropFirst(6))
    }

    /// Two lines of heading, then one for each interface: its name, a colon, sixteen counters; the first is bytes
    /// received and the ninth bytes sent.
    static func networkBytes() -> (received: UInt64, sent: UInt64) {
        var sum = (received: UInt64(0), sent: UInt64(0))
        for line in (text("/proc/self/net/dev") ?? "").split(separator: "\n").dropFirst(2) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let numbers = line[line.index(after: colon)...].split(separator: " ").map { UInt64($0) ?? 0 }
            guard line[..<colon].drop(while: { $0 == " " }) != "lo", numbers.count > 8 else { continue }
            sum.received &+= numbers[0]
            sum.sent &+= numbers[8]
        }
        return sum
    }

    static func openDescriptors() -> UInt64 {
        guard let directory = unsafe opendir("/proc/self/fd") else { return 0 }
        // SAFETY: the stream is used on this thread only, and closed here.
        defer { unsafe closedir(directory) }
        var count: UInt64 = 0
        while unsafe readdir(directory) != nil { count += 1 }
        return count >= 3 ? count - 3 : 0  // Not ".", "..", and the stream itself.
    }
}

extension ProcessStatistics {
    /// Appends the `process_*` families that every process of the mesh has.
    package func write(into writer: inout ExpositionWriter) {
        func sample(_ name: String, _ value: Double) {
            guard let family = MetricCatalogue.family(name) else { return }
            writer.family(family)
            writer.sample(name, labelText: "", value: value)
        }
        sample("process_start_time_seconds", startTimeSeconds)
        sample("process_cpu_seconds_total", cpuSeconds)
        sample("process_open_fds", Double(openDescriptors))
        sample("process_max_fds", Double(descriptorsMax))
        sample("process_virtual_memory_bytes", Double(virtualBytes))
        sample("process_resident_memory_bytes", Double(residentBytes))
        sample("process_threads", Double(threadCount))
        sample("process_network_receive_bytes_total", Double(networkReceivedBytes))
        sample("process_network_transmit_bytes_total", Double(networkSentBytes))
    }

    /// The families alone, as a controller's `/metrics` ends with them.
    package static func exposition() -> [UInt8] {
        var writer = ExpositionWriter(reservingBytes: 2_048)
        current().write(into: &writer)
        return writer.bytes
    }
}
