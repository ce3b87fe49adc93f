// nghttp2's table of streams has 4 KiB, for each connection, and is all zeros while no stream is open: of 10,000 quiet
// connections these tables were a quarter of the process.

import Glibc

/// Zeroed blocks of one page, each in a page of its own.
///  A page whose bytes are all zero can go back to the kernel at any time, which makes a zeroed one when it is touched
/// again: its owner, whoever that is, cannot tell. So nothing here depends on what the blocks are used for.
@unsafe struct ZeroedPages {
    static let pageBytes = 4_096
    /// Where the kernel's pages are larger, giving one back would empty its neighbours' too: there are none here then.
    private static let isKernelPage = sysconf(Int32(_SC_PAGESIZE)) == pageBytes
    private static let slabPages = 64
    private static let slabBytes = slabPages * pageBytes

    // SAFETY: slabs are mapped for the life of this, and blocks are whole pages inside them.
    private var slabs: ContiguousArray<UnsafeMutableRawPointer> = unsafe []
    /// Blocks that were given back, zeroed.
    private var waiting: ContiguousArray<UnsafeMutableRawPointer> = unsafe []
    /// Pages of the last slab that nobody had yet.
    private var unusedCount = 0
    /// Blocks that somebody has.
    private(set) var heldCount = 0
    /// Where `trim` goes on.
    private var nextSlab = 0

    /// A zeroed page; nil when the kernel gives none.
    mutating func take() -> UnsafeMutableRawPointer? {
        if let block = unsafe waiting.popLast() {
            unsafe heldCount += 1
            return unsafe block
        }
        guard unsafe unusedCount > 0 || map(), let slab = unsafe slabs.last else { return nil }
        let block = unsafe slab + (Self.slabPages - unusedCount) * Self.pageBytes
        unsafe unusedCount -= 1
        unsafe heldCount += 1
        return unsafe block
    }

    private mutating func map() -> Bool {
        guard unsafe Self.isKernelPage else { return false }
        let slab = unsafe mmap(nil, Self.slabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let slab = unsafe slab, unsafe slab != MAP_FAILED else { return false }
        // A huge page would hold what single pages give back.
        _ = unsafe madvise(slab, Self.slabBytes, MADV_NOHUGEPAGE)
        unsafe slabs.append(slab)
        unsafe unusedCount = Self.slabPages
        return true
    }

    /// Whether a block came from here.
    func owns(_ block: UnsafeMutableRawPointer) -> Bool {
        guard unsafe UInt(bitPattern: block) & UInt(Self.pageBytes - 1) == 0 else { return false }
        return unsafe slabs.contains { unsafe block >= $0 && block < $0 + Self.slabBytes }
    }

    /// Takes back a block of `take`.
    mutating func giveBack(_ block: UnsafeMutableRawPointer) {
        unsafe memset(block, 0, Self.pageBytes)
        unsafe waiting.append(block)
        unsafe heldCount -= 1
    }

    /// Lets the kernel have the pages that hold nothing but zeros, of the next few slabs.
    /// - Parameter slabsMax: bounds the work: each has 64 pages to look at, which takes some 5 µs.
    /// - Returns: how many pages were resident, and are not any more; whether the last slab was reached.
    mutating func trim(slabsMax: Int) -> (pageCount: Int, isWhole: Bool) {
        var count = 0
        let end = unsafe min(nextSlab + slabsMax, slabs.count)
        for index in unsafe nextSlab..<max(end, nextSlab) { unsafe count += trim(slabs[index]) }
        let isWhole = unsafe end >= slabs.count
        unsafe nextSlab = isWhole ? 0 : end
        return (count, isWhole)
    }

    private func trim(_ slab: UnsafeMutableRawPointer) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.slabPages) { residency in
            guard let first = residency.baseAddress, unsafe mincore(slab, Self.slabBytes, first) == 0 else { return 0 }
            var count = 0
            var run = 0..<0
            for index in unsafe 0...Self.slabPages {
                let isGiven = unsafe index < Self.slabPages && residency[index] & 1 != 0 && Self.isZero(slab + index * Self.pageBytes)
                if isGiven {
                    run = run.isEmpty ? index..<index + 1 : run.lowerBound..<index + 1
                } else if !run.isEmpty {
                    // Neighbours in one call: each makes every thread forget what it knows of the pages.
                    let start = unsafe slab + run.lowerBound * Self.pageBytes
                    if unsafe madvise(start, run.count * Self.pageBytes, MADV_DONTNEED) == 0 { count += run.count }
                    run = 0..<0
                }
            }
            return count
        }
    }

    private static func isZero(_ page: UnsafeMutableRawPointer) -> Bool {
        for offset in unsafe stride(from: 0, to: pageBytes, by: 64) {
            if unsafe page.load(fromByteOffset: offset, as: SIMD8<UInt64>.self) != .zero { return false }
        }
        return true
    }

    /// Unmaps everything, once nobody has a block.
    mutating func deallocate() {
        for index in unsafe slabs.indices { _ = unsafe munmap(slabs[index], Self.slabBytes) }
        unsafe slabs = []
        unsafe waiting = []
    }
}
