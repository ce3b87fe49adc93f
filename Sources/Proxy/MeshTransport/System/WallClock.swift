import Glibc

/// The time of day, for what is compared with certificates and shown to people; never for measuring.
package enum WallClock {
    /// Whole seconds since 1970.
    package static func unixSeconds() -> Int64 {
        var now = timespec()
        // SAFETY: the kernel fills the struct during the call; the real-time clock always exists.
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec)
    }
}
