internal import Foundation

/// Blocking calls to a pod's init, for callers that need one thing from it.
enum InitDoor {
    /// A connection to `port` of the pod's loopback, made in the pod's network namespace; the caller owns
    /// the descriptor.
    static func connect(socketPath: String, port: UInt16) throws -> Int32 {
        let socket = try Sockets.connect(unixPath: socketPath)
        var line = [UInt8](try JSONEncoder().encode(InitRequest(id: 1, command: .connect(port: port))))
        line.append(UInt8(ascii: "\n"))
        try socket.writeAll(line)
        let connection: Descriptor
        do {
            connection = try Sockets.receive(over: socket)
        } catch {
            throw SystemError(operation: "connect to port \(port) in the pod", code: error.code)
        }
        return try connection.duplicate()
    }
}
