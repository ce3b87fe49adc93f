// A request whose answer has no end: the caller's task reads the body as it comes, so a slow reader slows the
// server down, and cancelling that task closes the connection.

internal import AsyncHTTPClient
internal import NIOCore
internal import NIOFoundationCompat
internal import NIOHTTP1

/// The beginning of a streamed answer.
public struct StreamHead: Sendable {
    /// HTTP status.
    public let status: Int
    /// Field names as the server spelt them.
    public let headers: [(name: String, value: String)]

    /// The first value of a field, by name in any case of letters.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

extension KubernetesClient {
    /// Sends a request and hands the answer over piece by piece.
    ///
    /// - Parameters:
    ///   - path: path and query, already encoded.
    ///   - onHead: called once, whatever the status is.
    ///   - onBytes: called for each piece of the body; what it throws ends the request and is thrown on.
    /// - Throws: `KubernetesError` when there is no answer or it breaks off; what the closures throw.
    public func stream(
        _ method: String, path: String, body: [UInt8], contentType: String = "application/octet-stream",
        onHead: @Sendable (StreamHead) async throws -> Void, onBytes: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let request = makeRequest(method, path: path, body: body, contentType: contentType)
        let response: HTTPClientResponse
        do {
            response = try await http.execute(request, deadline: .distantFuture)
        } catch {
            throw Self.transportError(error)
        }
        try await onHead(
            StreamHead(
                status: Int(response.status.code), headers: response.headers.map { (name: $0.name, value: $0.value) }))
        var pieces = response.body.makeAsyncIterator()
        while true {
            let piece: ByteBuffer?
            do { piece = try await pieces.next() } catch { throw Self.transportError(error) }
            guard let piece else { break }
            try await onBytes(Array(piece.readableBytesView))
        }
        try Task.checkCancellation()  // A cancelled body just ends.
    }
}
