import CMeshLinux
import Foundation
import NIOCore
import NIOPosix
import Testing

/// A network of its own for a test, in which only loopback exists, so that it may have rules of iptables. Needs root.
enum NetworkNamespace {
    /// Runs `body` on one thread inside; the threads, sockets and programs that it makes are inside as well.
    static func run(_ body: @Sendable () async throws -> Void) async throws {
        // With the first program, Foundation connects a pair of sockets over loopback, which is down inside at first.
        try await command("true")
        let group = try await enter()
        try await withTaskExecutorPreference(LoopExecutor(loop: group.next())) {
            try await command("ip", "link", "set", "lo", "up")
            try await body()
        }
        try await group.shutdownGracefully()
    }

    /// Runs a program inside, from `body`; throws what it said when it fails.
    static func command(_ words: String...) async throws {
        try await PeerProgram.inFolder { folder in
            let output = try await PeerProgram.run(words, folder: folder)
            guard output.status == 0 else { throw DeadlineError(description: "\(words): \(output)") }
        }
    }

    /// A loop whose thread is in a new namespace. A new thread starts in that of the one which makes it.
    private static func enter() async throws -> MultiThreadedEventLoopGroup {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
                let result = mesh_unshare(CInt(MESH_NS_NETWORK))
                guard result == 0 else {
                    return continuation.resume(throwing: DeadlineError(description: "unshare: errno \(-result)"))
                }
                continuation.resume(returning: MultiThreadedEventLoopGroup(numberOfThreads: 1))
            }
            thread.start()
        }
    }

    /// Runs tasks on one event loop.
    private final class LoopExecutor: TaskExecutor {
        private let loop: any EventLoop

        init(loop: any EventLoop) { self.loop = loop }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            // SAFETY: a job that was enqueued is run once, here.
            loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }
}
