// What nghttp2 asks for memory with: the C library behind a free list, and one frame buffer for all server sessions.

import CNGHTTP2
import Glibc

/// The allocator of one event loop's sessions. Trivial on purpose: C reaches it by address.
///  A request costs nghttp2 a dozen small blocks, which streams of one read take and give back in bursts that are
/// longer than the C library's own lists of quick blocks; its slow way was 4 % of the time of a request. So freed
/// blocks wait here, by size, up to `pooledBytesMax`.
@unsafe struct SessionAllocator {
    /// Blocks of class `n` have at least `16 n + 8` bytes, which is how glibc's usable sizes lie.
    private static let classCount = 33
    /// Freed blocks that are kept, in bytes.
    private static let pooledBytesMax = 262_144
    /// Nothing else that a new session asks for is as large as its frame buffer.
    private static let frameBytesMin = 16_384

    private let heads: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// Tables of streams, which are a page each.
    let pages: UnsafeMutablePointer<ZeroedPages>
    private var pooledBytes = 0
    private var frame: UnsafeMutableRawPointer?
    private var frameByteCount = 0
    /// A session is being made, whose frame buffer is the shared one.
    var isLendingFrame = false

    init() {
        unsafe heads = .allocate(capacity: Self.classCount)
        unsafe heads.initialize(repeating: nil, count: Self.classCount)
        unsafe pages = .allocate(capacity: 1)
        unsafe pages.initialize(to: ZeroedPages())
    }

    /// Frees what waits here and the frame buffer, once no session is left.
    func deallocate() {
        for index in unsafe 0..<Self.classCount {
            var next = unsafe heads[index]
            while let block = unsafe next {
                unsafe next = block.load(as: UnsafeMutableRawPointer?.self)
                unsafe Glibc.free(block)
            }
        }
        unsafe heads.deallocate()
        unsafe pages.pointee.deallocate()
        unsafe pages.deinitialize(count: 1)
        unsafe pages.deallocate()
        unsafe Glibc.free(frame)
    }

    // MARK: C's four functions

    // SAFETY, for all four: `context` is the address that `HTTP2Memory` put beside them, on whose event loop the
    // session lives; pointers come from the same functions. A pooled block is free, so its first bytes may link it.

    static func allocate(_ size: Int, _ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let this = unsafe address(context), unsafe size <= blockBytes(classCount - 1) else {
            return unsafe Glibc.malloc(size)
        }
        let index = max(1, (size + 7) >> 4)
        guard let block = unsafe this.pointee.heads[index] else { return unsafe Glibc.malloc(blockBytes(index)) }
        unsafe this.pointee.heads[index] = unsafe block.load(as: UnsafeMutableRawPointer?.self)
        unsafe this.pointee.pooledBytes -= blockBytes(index)
        return unsafe block
    }

    static func allocateZeroed(
        _ count: Int, _ size: Int, _ context: UnsafeMutableRawPointer?
    ) -> UnsafeMutableRawPointer? {
        let (total, isOverflow) = count.multipliedReportingOverflow(by: size)
        if unsafe !isOverflow && total == ZeroedPages.pageBytes, let this = unsafe address(context),
            let page = unsafe this.pointee.pages.pointee.take()
        {
            return unsafe page
        }
        guard !isOverflow, unsafe total <= blockBytes(classCount - 1) else { return unsafe Glibc.calloc(count, size) }
        guard let block = unsafe allocate(total, context) else { return nil }
        unsafe memset(block, 0, total)
        return unsafe block
    }

    static func free(_ pointer: UnsafeMutableRawPointer?, _ context: UnsafeMutableRawPointer?) {
        guard let pointer = unsafe pointer, let this = unsafe address(context) else { return unsafe Glibc.free(pointer) }
        guard unsafe pointer != this.pointee.frame else { return }
        if unsafe this.pointee.pages.pointee.owns(pointer) { return unsafe this.pointee.pages.pointee.giveBack(pointer) }
        let index = unsafe (mesh_usable_size(pointer) - 8) >> 4
        guard index > 0, unsafe index < classCount, unsafe this.pointee.pooledBytes < pooledBytesMax else {
            return unsafe Glibc.free(pointer)
        }
        unsafe pointer.storeBytes(of: this.pointee.heads[index], as: UnsafeMutableRawPointer?.self)
        unsafe this.pointee.heads[index] = unsafe pointer
        unsafe this.pointee.pooledBytes += blockBytes(index)
    }

    static func reallocate(
        _ pointer: UnsafeMutableRawPointer?, _ size: Int, _ context: UnsafeMutableRawPointer?
    ) -> UnsafeMutableRawPointer? {
        guard let pointer = unsafe pointer else { return unsafe lendFrame(size, context) ?? allocate(size, context) }
        guard let this = unsafe address(context) else { return unsafe Glibc.realloc(pointer, size) }
        let isPage = unsafe this.pointee.pages.pointee.owns(pointer)
        guard unsafe isPage || pointer == this.pointee.frame else { return unsafe Glibc.realloc(pointer, size) }
        // Neither can grow where it is: the session gets a block of the C library's.
        guard let own = unsafe Glibc.malloc(size) else { return nil }
        unsafe own.copyMemory(from: pointer, byteCount: min(size, isPage ? ZeroedPages.pageBytes : this.pointee.frameByteCount))
        if isPage { unsafe this.pointee.pages.pointee.giveBack(pointer) }
        return unsafe own
    }

    /// The frame buffer, while a session is made that may share it.
    private static func lendFrame(_ size: Int, _ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let this = unsafe address(context), unsafe this.pointee.isLendingFrame, unsafe size >= frameBytesMin else {
            return nil
        }
        if unsafe this.pointee.frame == nil {
            unsafe this.pointee.frame = Glibc.malloc(size)
            unsafe this.pointee.frameByteCount = size
        }
        return unsafe this.pointee.frameByteCount == size ? this.pointee.frame : nil
    }

    private static func address(_ context: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<SessionAllocator>? {
        unsafe context?.assumingMemoryBound(to: SessionAllocator.self)
    }

    private static func blockBytes(_ index: Int) -> Int { index << 4 + 8 }
}
