/// Whether a response counts as success or failure (`classification`).
///
/// Rule: HTTP 500 and above is a failure; otherwise a gRPC status decides when there is one, and these codes
/// fail: 2 Unknown, 4 DeadlineExceeded, 7 PermissionDenied, 13 Internal, 14 Unavailable, 15 DataLoss.
/// A 4xx is a success: the client's mistake says nothing about the server's health.
/// Source: Linkerd 2.11's proxy (`spec/proxy.md` 6.7), `spec/viz.md` 2.7.
package enum Classification: String, Sendable, CaseIterable {
    case success, failure

    /// Classifies a completed response.
    /// - Parameters:
    ///   - status: the HTTP status.
    ///   - grpcStatus: the `grpc-status` from headers or trailers; `nil` when neither had one.
    package static func of(status: Int, grpcStatus: Int?) -> Classification {
        if status >= 500 { return .failure }
        switch grpcStatus {
        case 2, 4, 7, 13, 14, 15: return .failure
        default: return .success
        }
    }
}
