// Watches: one JSON object a line over a streaming body. The caller's task reads the body itself, so a
// slow reader slows the server down, and cancelling that task closes the connection.

internal import AsyncHTTPClient
internal import Logging
package import NIOCore
internal import NIOHTTP1

extension KubernetesClient {
    /// The server ends a watch after about this long; a random share is taken off so that many watches
    /// started together do not all come back at once.
    static let watchSeconds = 300
    /// How much later than agreed a watch is given up as hung.
    static let watchGrace: Duration = .seconds(30)
    /// A longer line fails the watch: no stored object comes near.
    static let watchLineBytesMax = 16 << 20
    /// Events that the stream of `watch` holds for a slow reader before it fails.
    public static let watchBufferEventsMax = 4_096

    /// Follows changes after a version as a stream.
    ///
    /// The stream ends when the server ends the watch, and throws `KubernetesError` when it fails: `isGone`
    /// means that the version is too old, or that the reader fell more than `watchBufferEventsMax` events
    /// behind; list again. Dropping the stream closes the connection.
    public func watch<T: KubernetesObject>(
        _ type: T.Type, namespace: String? = nil, resourceVersion: String, labelSelector: String? = nil,
        fieldSelector: String? = nil
    ) -> AsyncThrowingStream<WatchEvent<T>, any Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingOldest(Self.watchBufferEventsMax)) { continuation in
            let task = Task {
                do {
                    try await follow(
                        type, namespace: namespace, resourceVersion: resourceVersion,
                        labelSelector: labelSelector,
                        fieldSelector: fieldSelector
                    ) { event in
                        if case .dropped = continuation.yield(event) {
                            throw KubernetesError(
                                code: 410, reason: "Expired", message: "the reader fell behind")
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// Follows changes after a version in the caller's task, until the server ends the watch.
    ///
    /// - Throws: `KubernetesError`; `isGone` when the version is too old.
    func follow<T: KubernetesObject>(
        _ type: T.Type, namespace: String?, resourceVersion: String, labelSelector: String?,
        fieldSelector: String?,
        onEvent: @escaping @Sendable (WatchEvent<T>) throws -> Void
    ) async throws {
        let seconds = Self.watchSeconds - Int.random(in: 0...60)
        var query = [("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", String(seconds))]
        if !resourceVersion.isEmpty { query.append(("resourceVersion", resourceVersion)) }
        if let labelSelector { query.append(("labelSelector", labelSelector)) }
        if let fieldSelector { query.append(("fieldSelector", fieldSelector)) }
        let path = T.resource.path(namespace: namespace) + URLText.query(query)
        let request = makeRequest("GET", path: path, body: nil, contentType: nil)
        do {
            try await Deadline.run(within: .seconds(seconds) + Self.watchGrace) {
                try await self.read(request, of: type, onEvent: onEvent)
            }
        } catch {
            throw Self.transportError(error)
        }
    }

    private func read<T: KubernetesObject>(
        _ request: HTTPClientRequest, of type: T.Type, onEvent: @Sendable (WatchEvent<T>) throws -> Void
    ) async throws {
        let response = try await http.execute(request, deadline: .distantFuture)
        guard response.status.code == 200 else {
            let body = try await response.body.collect(upTo: Self.responseBytesMax)
            throw Self.failure(status: Int(response.status.code), body: body)
        }
        var lines = LineSplitter(lineBytesMax: Self.watchLineBytesMax)
        for try await chunk in response.body {
            lines.append(chunk)
            while let line = try lines.next() { try deliver(line, of: type, onEvent) }
        }
        try Task.checkCancellation()  // A cancelled body just ends.
    }

    private func deliver<T: KubernetesObject>(
        _ line: ByteBuffer, of type: T.Type, _ onEvent: (WatchEvent<T>) throws -> Void
    ) throws {
        guard line.readableBytes > 1 else { return }
        switch try ObjectCoding.decode(WatchLine<T>.self, from: line.readableBytesView).content {
        case .event(let event): try onEvent(event)
        case .failure(let error): throw error
        case .skipped(let version):
            logger.warning(
                "Watched object of unexpected shape left out", metadata: ["kind": "\(T.resource.kind)"])
            if let version { try onEvent(.bookmark(resourceVersion: version)) }
        }
    }
}

/// Cuts a stream of chunks into lines without rescanning what was already searched.
package struct LineSplitter {
    private var buffer = ByteBuffer()
    private var searchedBytes = 0
    private let lineBytesMax: Int

    package init(lineBytesMax: Int) { self.lineBytesMax = lineBytesMax }

    /// Adds received bytes.
    package mutating func append(_ chunk: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = chunk
            searchedBytes = 0
        } else {
            buffer.discardReadBytes()
            buffer.writeImmutableBuffer(chunk)
        }
    }

    /// The next whole line without its end, or `nil` until more arrives.
    ///
    /// - Throws: `TooLarge` when an unfinished line exceeds the limit.
    package mutating func next() throws(KubernetesError) -> ByteBuffer? {
        let unsearched = buffer.readableBytesView.dropFirst(searchedBytes)
        guard let end = unsearched.firstIndex(of: UInt8(ascii: "\n")) else {
            searchedBytes = buffer.readableBytes
            guard searchedBytes <= lineBytesMax else {
                throw KubernetesError(
                    code: 0, reason: "TooLarge", message: "a watch line exceeds \(lineBytesMax) bytes")
            }
            return nil
        }
        let line = buffer.readSlice(length: end - buffer.readerIndex)
        buffer.moveReaderIndex(forwardBy: 1)
        searchedBytes = 0
        return line
    }
}
