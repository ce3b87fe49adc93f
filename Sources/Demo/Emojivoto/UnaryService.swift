// Unary gRPC methods registered and called by name. The demo has a hundred methods that differ in nothing
// but that, so one generic function on either side replaces a hundred generated stubs.

import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
package import SwiftProtobuf

extension RPCRouter {
    /// Registers `service/method`, counting each completed call in `metrics`.
    mutating func registerUnary<Request: Message, Response: Message>(
        _ service: String, _ method: String, metrics: DemoMetrics,
        handler: @escaping @Sendable (Request) async throws -> Response
    ) {
        registerHandler(
            forMethod: MethodDescriptor(fullyQualifiedService: service, method: method),
            deserializer: ProtobufDeserializer<Request>(), serializer: ProtobufSerializer<Response>()
        ) { stream, _ in
            do {
                let request = try await ServerRequest(stream: stream)
                let response = try await handler(request.message)
                metrics.handled(service: service, method: method, code: "OK")
                return StreamingServerResponse(single: ServerResponse(message: response))
            } catch let error as RPCError {
                metrics.handled(service: service, method: method, code: error.code.metricName)
                throw error
            }
        }
    }
}

extension RPCError.Code {
    /// The code as Prometheus labels of gRPC servers spell it: `NotFound`, `Unknown`.
    var metricName: String {
        let words = description.split(whereSeparator: { $0 == "_" || $0 == " " })
        return words.map { word in
            word.contains(where: \.isLowercase)
                ? word.prefix(1).uppercased() + word.dropFirst() : word.capitalizedWord
        }.joined()
    }
}

extension Substring {
    fileprivate var capitalizedWord: String { prefix(1).uppercased() + dropFirst().lowercased() }
}

/// A client of one demo service, which connects on the first call and reconnects for ever.
package struct BackendClient: Sendable {
    /// The transport of every demo client.
    typealias Transport = HTTP2ClientTransport.Posix

    /// A call fails after this long, so that a missing backend is an error page, not a hanging browser.
    static let callTimeout = Duration.seconds(10)

    let client: GRPCClient<Transport>
    private let service: String

    /// Prepares calls of `service` at `address`; nothing is resolved or connected yet.
    package init(service: String, at address: ServiceAddress) throws {
        let config = Transport.Config.defaults { config in
            // A backend that restarts is missed for seconds, not for the minutes of the default back-off.
            config.backoff.initial = .milliseconds(100)
            config.backoff.max = .seconds(2)
        }
        let transport = try Transport(
            target: .dns(host: address.host, port: address.port), transportSecurity: .plaintext,
            config: config)
        self.client = GRPCClient(transport: transport)
        self.service = service
    }

    /// Calls one unary method. Throws `RPCError`.
    package func call<Request: Message, Response: Message>(
        _ method: String, _ request: Request, returning: Response.Type
    ) async throws -> Response {
        var options = CallOptions.defaults
        options.timeout = Self.callTimeout
        options.waitForReady = false
        return try await client.unary(
            request: ClientRequest(message: request),
            descriptor: MethodDescriptor(fullyQualifiedService: service, method: method),
            serializer: ProtobufSerializer<Request>(), deserializer: ProtobufDeserializer<Response>(),
            options: options
        ) { try $0.message }
    }
}
