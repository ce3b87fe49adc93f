// Code that ran once stays mapped for ever. Most of what a quiet proxy weighed was that.

import Glibc

/// The mapped code of this process and its libraries.
package enum StartupCode {
    /// A process has some hundred lines of 100 bytes there.
    private static let mapsBytesMax = 1_048_576

    /// Unmaps every page of code, so that only what is used from now on comes back, from the page cache, at a few
    /// microseconds for each 64 KiB. Of 16 MB of a quiet proxy, code that only its start needs was about half.
    /// - Returns: how many bytes of code are mapped, resident or not; 0 when the kernel does not tell.
    @discardableResult
    package static func giveBack() -> Int {
        guard let text = SmallFile.bytes("/proc/self/maps", max: mapsBytesMax) else { return 0 }
        var byteCount = 0
        for line in text.split(separator: UInt8(ascii: "\n")) {
            // start-end perms offset device inode path; an inode of 0 is the kernel's own page.
            let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: true)
            guard fields.count >= 6, fields[1].elementsEqual("r-xp".utf8), !fields[4].elementsEqual("0".utf8) else { continue }
            let bounds = fields[0].split(separator: UInt8(ascii: "-")).map { UInt(String(decoding: $0, as: UTF8.self), radix: 16) }
            guard bounds.count == 2, let start = bounds[0], let end = bounds[1], end > start else { continue }
            let count = Int(end - start)
            // SAFETY: the range is a mapping of a file that is never written, so its pages can be read again; running
            // code in it faults them in like at first.
            if unsafe madvise(UnsafeMutableRawPointer(bitPattern: start), count, MADV_DONTNEED) == 0 { byteCount += count }
        }
        return byteCount
    }
}
