import MeshTransport
import NIOPosix
import Synchronization

/// Writes lines on a thread of its own, so that whoever reads them slowly, or not at all, stops nobody: past a
/// bound they are dropped and counted.
package final class LineWriter: Sendable {
    /// Bytes that may wait to be written.
    package static let pendingBytesMax = 1_048_576

    private struct State {
        var pending: [UInt8] = []
        var isWriting = false
        var droppedCount: UInt64 = 0
    }

    private let state = Mutex(State())
    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let output: @Sendable ([UInt8]) -> Void

    /// - Parameter output: may block; standard error unless a test has its own.
    package init(output: @escaping @Sendable ([UInt8]) -> Void = { ProcessOutput.writeError($0) }) {
        self.output = output
        pool.start()
    }

    /// Lines that found no room.
    package var droppedCount: UInt64 { state.withLock { $0.droppedCount } }

    /// Takes one line without its end; never blocks.
    package func write(_ line: String) {
        let mustStart = state.withLock { state in
            guard state.pending.count + line.utf8.count < Self.pendingBytesMax else {
                state.droppedCount &+= 1
                return false
            }
            state.pending += line.utf8
            state.pending.append(0x0A)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        guard mustStart else { return }
        pool.submit { _ in self.flush() }
    }

    private func flush() {
        while true {
            let bytes = state.withLock { state -> [UInt8] in
                let bytes = state.pending
                state.pending = []
                if bytes.isEmpty { state.isWriting = false }
                return bytes
            }
            if bytes.isEmpty { return }
            output(bytes)
        }
    }

    /// Writes what waits, and ends the thread.
    package func close() async {
        // It fails only when it was closed before.
        try? await pool.shutdownGracefully()
    }
}
