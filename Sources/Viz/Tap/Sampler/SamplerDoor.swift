// The gRPC door of the sampler, beside that of taps. What comes out is made of other people's requests: whoever asks shows
// a bearer token, and may watch `samples.tap.linkerd.io`.

package import GRPCCore
package import MeshAPI
import MeshGRPC

/// The gRPC service `linkerd2.tap.samples.Sampler`.
package struct SamplerDoor: Linkerd2_Tap_Samples_Sampler.ServiceProtocol {
    private let sampler: Sampler
    private let authority: any TapAuthority

    package init(sampler: Sampler, authority: any TapAuthority) {
        self.sampler = sampler
        self.authority = authority
    }

    package func sample(
        request: ServerRequest<Linkerd2_Tap_Samples_SampleRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Linkerd2_Tap_Samples_SampleBatch> {
        do throws(TapRefusal) {
            let user = try await authority.user(of: request.metadata)
            try await authority.authorize(user, TapAccessRequest(resource: "samples", namespace: "", name: ""))
            try sampler.check(request.message)
        } catch {
            sampler.totals.refused(error.kind)
            return StreamingServerResponse(error: RPCError(code: GRPCDoor.code(error.kind), message: error.message))
        }
        return StreamingServerResponse { [sampler, message = request.message] writer in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await sampler.run(message) { try await writer.write($0) } }
                // Between two batches nothing is written that would tell that the reader has left.
                group.addTask { try await context.cancellation.cancelled }
                defer { group.cancelAll() }
                try await group.next()
            }
            return [:]
        }
    }
}

extension TapAuthority {
    /// The user of the bearer token in a call's metadata.
    ///
    /// - Throws: `unauthenticated` without one, and as `user(bearerToken:)`.
    func user(of metadata: Metadata) async throws(TapRefusal) -> TapUser {
        let header = metadata[stringValues: "authorization"].first { _ in true } ?? ""
        let words = header.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else {
            throw TapRefusal(.unauthenticated, "no bearer token was shown")
        }
        return try await user(bearerToken: String(words[1]))
    }
}
