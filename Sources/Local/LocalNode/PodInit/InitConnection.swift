internal import Foundation

/// One agent's connection to a pod's init: lines in, lines out, never blocking.
final class InitConnection {
    let socket: Descriptor
    private var input: [UInt8] = []
    private var output: [UInt8] = []
    private(set) var isClosed = false

    init(socket: Descriptor) { self.socket = socket }

    var hasOutput: Bool { !output.isEmpty }

    /// The complete requests that have arrived. A line that is no request, or too long, closes the
    /// connection.
    func receive() -> [InitRequest] {
        do {
            while let bytes = try socket.read() {
                if bytes.isEmpty {
                    isClosed = true
                    break
                }
                input += bytes
                guard input.count <= InitLimits.requestBytesMax else {
                    throw SystemError(operation: "request", code: 7)
                }
            }
            return try requests()
        } catch {
            isClosed = true
            return []
        }
    }

    private func requests() throws -> [InitRequest] {
        var requests: [InitRequest] = []
        while let end = input.firstIndex(of: UInt8(ascii: "\n")) {
            requests.append(try JSONDecoder().decode(InitRequest.self, from: Data(input[..<end])))
            input.removeSubrange(...end)
        }
        return requests
    }

    /// Queues a line, and writes what the socket takes.
    func send(_ reply: InitReply) {
        guard let line = try? JSONEncoder().encode(reply) else {  // Our own plain values always encode.
            isClosed = true
            return
        }
        output += line
        output.append(UInt8(ascii: "\n"))
        flush()
    }

    func flush() {
        do {
            while !output.isEmpty {
                let count = try socket.writeSome(output[...])
                if count == 0 { return }
                output.removeFirst(count)
            }
        } catch {
            isClosed = true
        }
    }

    func close() { isClosed = true }
}
