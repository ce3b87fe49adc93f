// What a connection needs only while it is being worked on, lent from one place for each event loop. With 1,000
// connections, what each one keeps is what the process weighs.

import CNGHTTP2
import NIOCore

/// Memory that the sessions of one event loop take turns with.
///  A session holds a header arena, an event queue and an output buffer while it reads or writes, and gives them
/// back when nothing is left in them. Nested work is fine: whoever finds the place empty makes its own, and the
/// surplus is freed. Everything here stays on one event loop, like the sessions.
@safe public final class HTTP2Memory {
    // SAFETY: allocated in init, freed in deinit. nghttp2 keeps the address inside sessions, and each session
    // keeps this object.
    private let allocator: UnsafeMutablePointer<SessionAllocator>
    private var arena = unsafe HeaderStorage(byteCapacity: 1_024, fieldCapacity: 32)
    private var events: ContiguousArray<HTTP2Event> = []
    private var output = ByteBuffer()
    private let advancedBytesMax: Int
    private var advancedBytes = 0

    /// What is larger than these is freed when it comes back, so that one burst does not stay for ever.
    private static let arenaBytesMax = 16_384
    private static let eventsMax = 1_024
    private static let outputBytesMax = 65_536

    /// Makes an empty place; sessions fill it.
    /// - Parameter advancedBytesMax: bytes that streams may hold beyond what the windows of their connections allow, so
    ///   that streams which nobody reads do not stop the others; past it they do. By default, five hundred windows of
    ///   64 KiB.
    public init(advancedBytesMax: Int = 33_554_432) {
        self.advancedBytesMax = advancedBytesMax
        unsafe allocator = .allocate(capacity: 1)
        unsafe allocator.initialize(to: SessionAllocator())
    }

    deinit {
        unsafe arena.deallocate()
        unsafe allocator.pointee.deallocate()
        unsafe allocator.deinitialize(count: 1)
        unsafe allocator.deallocate()
    }

    // MARK: Lending

    /// Fills `storage` if it owns nothing yet.
    func lendArena(to storage: UnsafeMutablePointer<HeaderStorage>) {
        if unsafe !storage.pointee.ownsMemory { unsafe swap(&storage.pointee, &arena) }
    }

    /// Takes an arena back whose lists nobody needs any more.
    func takeBackArena(of storage: UnsafeMutablePointer<HeaderStorage>) {
        guard unsafe storage.pointee.ownsMemory else { return }
        unsafe storage.pointee.removeAll()
        if unsafe !arena.ownsMemory, unsafe storage.pointee.byteCapacity <= Self.arenaBytesMax {
            unsafe swap(&storage.pointee, &arena)
        } else {
            unsafe storage.pointee.deallocate()
            unsafe storage.pointee = unsafe HeaderStorage(byteCapacity: 0, fieldCapacity: 0)
        }
    }

    /// Gives a queue without memory some.
    func lendEvents(to queue: inout EventQueue) {
        if !queue.ownsMemory { queue.exchangeMemory(&events) }
    }

    /// Takes the memory of an empty queue back.
    func takeBackEvents(of queue: inout EventQueue) {
        guard queue.isEmpty, queue.ownsMemory else { return }
        queue.exchangeMemory(&events)
        if events.capacity > Self.eventsMax { events = [] }
        // The queue got what lay here, if anything: two at once are one too many.
        if queue.ownsMemory {
            var surplus: ContiguousArray<HTTP2Event> = []
            queue.exchangeMemory(&surplus)
        }
    }

    /// An empty buffer to gather output in. One that a socket still holds is replaced, not changed.
    func takeOutput() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &output)
        taken.clear(minimumCapacity: 512)
        return taken
    }

    /// Keeps a buffer whose content was handed over.
    func giveBack(output buffer: ByteBuffer) {
        if buffer.storageCapacity <= Self.outputBytesMax { output = buffer }
    }

    // MARK: Credit ahead of streams

    /// Lets the streams of a connection hold up to `byteCount` bytes more.
    /// - Returns: how many more; less than asked for, or 0, when others hold so much already.
    func takeAdvance(_ byteCount: Int) -> Int {
        let taken = min(byteCount, advancedBytesMax - advancedBytes)
        advancedBytes += taken
        return taken
    }

    /// So many of them are held no longer.
    func giveBackAdvance(_ byteCount: Int) { advancedBytes -= byteCount }

    // MARK: nghttp2's own memory

    /// Pages that sessions hold, one for each.
    public var heldPageCount: Int { unsafe allocator.pointee.pages.pointee.heldCount }

    /// Gives the kernel those which are all zero, as they are while their sessions have no stream. Each call looks at some
    /// 2,000 of them, which takes a fraction of a millisecond, and the next one goes on from there.
    /// - Returns: how many it got, and whether the last page was looked at.
    @discardableResult
    public func trimPages() -> (pageCount: Int, isWhole: Bool) {
        unsafe allocator.pointee.pages.pointee.trim(slabsMax: Self.trimmedSlabsMax)
    }

    private static let trimmedSlabsMax = 32

    /// Runs `body` with the allocator for one new session.
    ///  A server session's frame buffer (16 KiB, of which a header takes a few bytes) is the same one for all:
    /// nghttp2 fills it and hands it out within one call of `mem_send`, and `produce` copies before the next, so
    /// no session finds another's bytes in it. A client session keeps its own, because the connection preface
    /// waits in it for the first write.
    func withAllocator<R>(lendsFrame: Bool, _ body: (UnsafeMutablePointer<nghttp2_mem>) -> R) -> R {
        // SAFETY: nghttp2 copies the table; the functions below keep to the C library's contracts.
        var table = unsafe nghttp2_mem(
            mem_user_data: allocator,
            malloc: { size, lender in unsafe SessionAllocator.allocate(size, lender) },
            free: { pointer, lender in unsafe SessionAllocator.free(pointer, lender) },
            calloc: { count, size, lender in unsafe SessionAllocator.allocateZeroed(count, size, lender) },
            realloc: { pointer, size, lender in unsafe SessionAllocator.reallocate(pointer, size, lender) })
        unsafe allocator.pointee.isLendingFrame = lendsFrame
        defer { unsafe allocator.pointee.isLendingFrame = false }
        return unsafe body(&table)
    }
}
