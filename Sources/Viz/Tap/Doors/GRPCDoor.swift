// The plain door: `linkerd2.tap.Tap/TapByResource` over gRPC, for clusters where an aggregated API is unwanted.
// Inside the cluster the mesh encrypts it; from outside it is reached through a port-forward. Whoever asks shows
// a bearer token in `authorization`.

package import GRPCCore
package import MeshAPI
import MeshGRPC
import SwiftProtobuf

/// The gRPC service.
package struct GRPCDoor: Linkerd2_Tap_Tap.ServiceProtocol {
    private let engine: TapEngine
    private let authority: any TapAuthority

    package init(engine: TapEngine, authority: any TapAuthority) {
        self.engine = engine
        self.authority = authority
    }

    /// Dead in Linkerd too.
    package func tap(
        request: ServerRequest<Linkerd2_Tap_TapRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Linkerd2_Tap_TapEvent> {
        StreamingServerResponse(error: RPCError(code: .unimplemented, message: "Tap is deprecated; use TapByResource"))
    }

    package func tapByResource(
        request: ServerRequest<Linkerd2_Tap_TapByResourceRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Linkerd2_Tap_TapEvent> {
        let question: TapQuestion
        do throws(TapRefusal) {
            let user = try await authority.user(of: request.metadata)
            let bytes: [UInt8] = (try? request.message.serializedBytes()) ?? []  // It came from such bytes.
            question = try TapQuestion(bytes: bytes)
            try await authority.authorize(user, TapAccessRequest(question))
            try engine.check(question)
        } catch {
            engine.totals.refused(error.kind)
            return StreamingServerResponse(error: RPCError(code: Self.code(error.kind), message: error.message))
        }
        return StreamingServerResponse { [engine] writer in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await engine.run(question) { events in try await writer.write(contentsOf: events) }
                }
                // Where nothing happens nothing is written, and writing would never tell that the caller has left.
                group.addTask { try await context.cancellation.cancelled }
                defer { group.cancelAll() }
                try await group.next()
            }
            return [:]
        }
    }

    static func code(_ kind: TapRefusal.Kind) -> RPCError.Code {
        switch kind {
        case .invalidArgument: .invalidArgument
        case .unimplemented: .unimplemented
        case .notFound: .notFound
        case .unauthenticated: .unauthenticated
        case .forbidden: .permissionDenied
        case .unavailable: .unavailable
        }
    }
}
