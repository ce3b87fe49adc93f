// nghttp2's table of streams has 4 KiB, for each connection, and is all zeros while no stream is open: of 10,000 quiet
// connections these tables were a quarter of the process.

import Glibc

/// Zeroed blocks of one page, each in a page of its own.
///  A page whose bytes are all zero can go back to the kernel at any time, which makes a zeroed one when it is touched
/// again: its owner, whoever that is, cannot tell. So nothing here depends on what the blocks are used for.
@unsafe struct ZeroedPages {
    /// Where pages are larger, the kernel refuses what is asked here, and nothing is given back.
    static let pageBytes = 4_096
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

    /// Lets the kernel have every page that holds nothing but zeros.
    /// - Returns: how many were resident, and are not any more.
    func trim() -> Int {
        var count = 0
        for index in unsafe slabs.indices { unsafe count += trim(slabs[index]) }
        return count
    }

    private func trim(_ slab: UnsafeMutableRawPointer) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.slabPages) { residency in
            guard let first = residency.baseAddress, unsafe mincore(slab, Self.slabBytes, first) == 0 else { return 0 }
            var count = 0
            for index in unsafe 0..<Self.slabPages where unsafe residency[index] & 1 != 0 {
                let page = unsafe slab + index * Self.pageBytes
                guard unsafe Self.isZero(page), unsafe madvise(page, Self.pageBytes, MADV_DONTNEED) == 0 else { continue }
                count += 1
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
