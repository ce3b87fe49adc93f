// Between many proxies and one caller: a queue with an end. When it is full, those who read from proxies wait,
// so their streams fill up, and the proxies drop and count. Nothing is ever dropped here.

import Synchronization

/// A bounded queue, many writers and one reader.
final class EventQueue<Element: Sendable>: Sendable {
    /// Elements that may wait for the reader.
    static var elementsMax: Int { 512 }

    private struct State {
        var elements: [Element] = []
        var reader: CheckedContinuation<Void, Never>?
        var writers: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWriter: UInt64 = 0
        var isFinished = false
    }

    private enum Offer {
        case taken(CheckedContinuation<Void, Never>?)
        case full
        case finished
    }

    private let state = Mutex(State())

    /// Adds an element, waiting while the queue is full.
    /// - Throws: `CancellationError` when the task was cancelled or the reader has left.
    func send(_ element: Element) async throws {
        while true {
            try Task.checkCancellation()
            let offer = state.withLock { state -> Offer in
                if state.isFinished { return .finished }
                guard state.elements.count < Self.elementsMax else { return .full }
                state.elements.append(element)
                defer { state.reader = nil }
                return .taken(state.reader)
            }
            switch offer {
            case .taken(let reader):
                reader?.resume()
                return
            case .finished: throw CancellationError()
            case .full: await waitForRoom()
            }
        }
    }

    private func waitForRoom() async {
        let id = state.withLock { state in
            state.nextWriter += 1
            return state.nextWriter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state in
                    if state.elements.count < Self.elementsMax || state.isFinished || Task.isCancelled { return true }
                    state.writers[id] = continuation
                    return false
                }
                if isNow { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.writers.removeValue(forKey: id) }?.resume()
        }
    }

    /// Everything that waits, at least one element; `nil` when the queue is finished and empty, or the task
    /// cancelled.
    func next() async -> [Element]? {
        while true {
            if Task.isCancelled { return nil }
            let (elements, writers, isFinished) = state.withLock { state in
                let elements = state.elements
                state.elements.removeAll(keepingCapacity: true)
                let writers = Array(state.writers.values)
                if !elements.isEmpty { state.writers.removeAll() }
                return (elements, elements.isEmpty ? [] : writers, state.isFinished)
            }
            for writer in writers { writer.resume() }
            if !elements.isEmpty { return elements }
            if isFinished { return nil }
            await waitForElements()
        }
    }

    private func waitForElements() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isNow = state.withLock { state in
                    if !state.elements.isEmpty || state.isFinished || Task.isCancelled { return true }
                    state.reader = continuation
                    return false
                }
                if isNow { continuation.resume() }
            }
        } onCancel: {
            let reader = state.withLock { state in
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume()
        }
    }

    /// Ends the queue: waiting writers give up, the reader gets what is left.
    func finish() {
        let (reader, writers) = state.withLock { state in
            state.isFinished = true
            defer {
                state.reader = nil
                state.writers.removeAll()
            }
            return (state.reader, Array(state.writers.values))
        }
        reader?.resume()
        for writer in writers { writer.resume() }
    }
}
