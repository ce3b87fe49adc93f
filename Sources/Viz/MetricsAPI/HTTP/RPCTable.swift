import GRPCCore
import MeshAPI
import SwiftProtobuf

/// The RPCs by the names they have in paths, for framings other than gRPC.
package struct RPCTable: Sendable {
    /// How a message is written.
    enum Encoding: Sendable { case protobuf, json }

    /// Decodes a request, answers it, encodes the answer.
    typealias Handler = @Sendable (_ body: [UInt8], _ encoding: Encoding) async throws -> [UInt8]

    private let handlers: [String: Handler]

    package init(_ sources: VizSources) {
        let answers = VizAnswers(sources)
        let metrics = sources.metrics
        var handlers: [String: Handler] = [:]
        func add<Request: Message, Response: Message>(
            _ name: String, _ answer: @escaping @Sendable (Request) async throws -> Response
        ) {
            handlers[name] = { body, encoding in
                let request: Request = try Self.decoded(body, encoding)
                let response = try await metrics.counting(name) { try await answer(request) }
                return try Self.encoded(response, encoding)
            }
        }
        add("StatSummary", answers.statSummary)
        add("Edges", answers.edges)
        add("Gateways", answers.gateways)
        add("TopRoutes", answers.topRoutes)
        add("ListPods", answers.listPods)
        add("ListServices", answers.listServices)
        add("SelfCheck", answers.selfCheck)
        add("Authz", answers.authz)
        add("Series", answers.series)
        add("Topology", answers.topology)
        add("Workloads", answers.workloads)
        add("PastEdges", answers.pastEdges)
        add("Compare", answers.compare)
        add("Top", answers.top)
        add("Exemplars", answers.exemplars)
        self.handlers = handlers
    }

    /// The handler of an RPC; `nil` for a name that is none.
    func handler(_ name: String) -> Handler? { handlers[name] }

    private static func decoded<Request: Message>(_ body: [UInt8], _ encoding: Encoding) throws -> Request {
        do {
            switch encoding {
            case .protobuf: return try Request(serializedBytes: body)
            // An empty body asks for the defaults, as an empty protobuf message does.
            case .json: return body.isEmpty ? Request() : try Request(jsonUTF8Bytes: body)
            }
        } catch {
            let what = encoding == .json ? "JSON" : "protobuf"
            throw RPCError(code: .invalidArgument, message: "the body is no \(Request.protoMessageName) in \(what): \(error)")
        }
    }

    private static func encoded(_ response: some Message, _ encoding: Encoding) throws -> [UInt8] {
        switch encoding {
        case .protobuf: return try response.serializedBytes()
        case .json: return try response.jsonUTF8Bytes() + Array("\n".utf8)
        }
    }
}
