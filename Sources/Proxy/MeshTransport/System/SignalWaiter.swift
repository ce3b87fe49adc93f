// Termination signals, waited for on the main thread.

import CMeshLinux
import Glibc

/// Receives SIGTERM and SIGINT without a handler. Create it before any other thread, which then inherits the
/// blocked signals.
package struct SignalWaiter: ~Copyable {
    private let descriptor: CInt

    /// Blocks the signals for this thread and the ones it starts; `nil` when the system has no descriptor
    /// left.
    package init?() {
        let descriptor = mesh_signal_descriptor()
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Blocks the calling thread until the process is asked to end.
    package func waitForTermination() {
        while true {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // SAFETY: `poller` is one pollfd that outlives the call.
            _ = unsafe poll(&poller, 1, -1)
            while case let signal = mesh_read_signal(descriptor), signal > 0 {
                if signal == SIGTERM || signal == SIGINT { return }
            }
        }
    }

    /// Asks this process to end, as `kill -TERM` does; safe from any thread.
    package static func requestTermination() {
        kill(getpid(), SIGTERM)
    }
}
