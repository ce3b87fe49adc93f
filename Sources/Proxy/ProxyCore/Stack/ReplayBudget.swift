/// Bounds the request bytes that one event loop keeps in case requests are sent again
/// (`LINKERD2_PROXY_REPLAY_BYTES_MAX`). Each request may keep only so much, but there may be many: those that find no
/// room are sent once, and nothing else happens to them. Bound to its loop.
package final class ReplayBudget {
    /// Bytes kept now.
    package private(set) var byteCount = 0
    private let bytesMax: Int

    package init(bytesMax: Int = 16_777_216) {
        self.bytesMax = bytesMax
    }

    /// Reserves room.
    /// - Returns: `false`, and reserves nothing, when there is not enough.
    func take(_ count: Int) -> Bool {
        guard byteCount + count <= bytesMax else { return false }
        byteCount += count
        return true
    }

    /// Bytes that were reserved are not kept any longer.
    func giveBack(_ count: Int) { byteCount -= count }
}
