// What belongs to one event loop of the data plane, and how other threads reach it.

package import MeshBalance
package import NIOCore

/// One loop's counters, connections and randomness. Never leaves its loop.
package final class ProxyLoop {
    package let loop: any EventLoop
    /// This loop's share of every series.
    package let metrics: MetricsShard
    /// The connections accepted on this loop.
    package let drain: DrainState
    /// Where inbound requests are logged; `nil` when they are not.
    package var accessLog: AccessLog?
    /// Who taps the requests of this loop.
    package let taps = LoopTaps()
    /// Where the balancers' random choices come from.
    package var random: XorShift

    /// Who this proxy is; `nil` when identity is disabled.
    package let identity: ProxyIdentity?

    /// - Parameters:
    ///   - seriesMax: label sets per kind of series.
    ///   - replays: what requests may keep of themselves.
    package init(
        loop: any EventLoop, identity: ProxyIdentity? = nil, seriesMax: Int = MetricsShard.seriesMaxDefault,
        replays: ReplayBudget = ReplayBudget()
    ) {
        self.loop = loop
        self.identity = identity
        metrics = MetricsShard(seriesMax: seriesMax)
        drain = DrainState(loop: loop, replays: replays)
        random = XorShift(seed: .random(in: 1...UInt64.max))
    }
}

/// One value for each loop of a group, each made, used and kept on its loop.
package struct LoopLocal<Value>: Sendable {
    private let values: [NIOLoopBound<Value>]
    private let loops: [any EventLoop]

    /// Builds the values on their loops.
    package static func make(
        on group: any EventLoopGroup, _ build: @escaping @Sendable (any EventLoop) -> Value
    ) async throws -> LoopLocal {
        var values: [NIOLoopBound<Value>] = []
        var loops: [any EventLoop] = []
        for loop in group.makeIterator() {
            values.append(try await loop.submit { NIOLoopBound(build(loop), eventLoop: loop) }.get())
            loops.append(loop)
        }
        return LoopLocal(values: values, loops: loops)
    }

    /// The value of the loop that runs the caller; `nil` on a loop of another group.
    package func value(on loop: any EventLoop) -> Value? {
        for index in loops.indices where loops[index] === loop { return values[index].value }
        return nil
    }

    /// Runs `body` on every loop, soon; on each loop in the order of the calls.
    package func execute(_ body: @escaping @Sendable (Value) -> Void) {
        for index in loops.indices {
            let bound = values[index]
            loops[index].execute { body(bound.value) }
        }
    }

    /// Runs `body` on every loop, one after another, and collects what it returns.
    package func map<Result: Sendable>(_ body: @escaping @Sendable (Value) -> Result) async throws -> [Result]
    {
        var results: [Result] = []
        for index in loops.indices {
            let bound = values[index]
            results.append(try await loops[index].submit { body(bound.value) }.get())
        }
        return results
    }

    /// Runs `body` on every loop and waits for the future it returns.
    package func flatMap<Result: Sendable>(
        _ body: @escaping @Sendable (Value) -> EventLoopFuture<Result>
    ) async throws -> [Result] {
        var results: [EventLoopFuture<Result>] = []
        for index in loops.indices {
            let bound = values[index]
            results.append(loops[index].flatSubmit { body(bound.value) })
        }
        var values: [Result] = []
        for result in results { values.append(try await result.get()) }
        return values
    }
}
