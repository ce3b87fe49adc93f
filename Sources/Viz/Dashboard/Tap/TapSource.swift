import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
public import MeshAPI
import MeshGRPC
import SwiftProtobuf

/// Where live requests come from: the tap service in production.
public protocol TapSource: Sendable {
    /// Gives events to `sink` until it throws, the task is cancelled, or the source ends.
    ///
    /// - Throws: `DashboardError` when the tap is refused or breaks; what `sink` throws.
    func tap(
        _ request: Linkerd2_Tap_TapByResourceRequest, onOpen: @escaping @Sendable () async throws -> Void,
        sink: @escaping @Sendable (Linkerd2_Tap_TapEvent) async throws -> Void
    ) async throws
}

/// Asks the tap service's gRPC door as this program's own service account: whoever reaches the dashboard sees what that
/// account may tap. The mesh encrypts the way there.
public struct GRPCTapSource: TapSource {
    /// Where Kubernetes puts the account's token, and renews it.
    public static let tokenPathDefault = "/var/run/secrets/kubernetes.io/serviceaccount/token"

    private let host: String
    private let port: Int
    private let tokenPath: String

    /// - Parameter address: `host:port`.
    public init(address: String, tokenPath: String = tokenPathDefault) throws {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]) else {
            throw DashboardError(.badRequest, "the tap service's address must be host:port, not \"\(address)\"")
        }
        host = String(address[..<colon])
        self.port = port
        self.tokenPath = tokenPath
    }

    /// One connection for each tap: a page that is looked at is rare, and what it costs ends with it.
    public func tap(
        _ request: Linkerd2_Tap_TapByResourceRequest, onOpen: @escaping @Sendable () async throws -> Void,
        sink: @escaping @Sendable (Linkerd2_Tap_TapEvent) async throws -> Void
    ) async throws {
        let token: String
        do {
            token = try String(contentsOfFile: tokenPath, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw DashboardError(.forbidden, "the dashboard has no service account token to tap with")
        }
        do {
            let transport = try HTTP2ClientTransport.Posix(
                target: .dns(host: host, port: port), transportSecurity: .plaintext,
                config: .defaults { $0.http2.targetWindowSize = 65_535 })
            try await withGRPCClient(transport: transport) { client in
                var call = ClientRequest(message: request)
                call.metadata.addString("Bearer \(token)", forKey: "authorization")
                var options = CallOptions.defaults
                options.waitForReady = false
                try await Linkerd2_Tap_Tap.Client(wrapping: client).tapByResource(request: call, options: options) { response in
                    if case .failure(let error) = response.accepted { throw error }
                    try await onOpen()
                    for try await event in response.messages { try await sink(event) }
                }
            }
        } catch let error as RPCError {
            throw explain(error)
        } catch let error as RuntimeError {
            throw DashboardError(.upstreamUnavailable, "the tap service at \(host):\(port): \(error.message)")
        }
    }

    private func explain(_ error: RPCError) -> DashboardError {
        switch error.code {
        case .invalidArgument, .unimplemented, .failedPrecondition: DashboardError(.badRequest, error.message)
        case .notFound: DashboardError(.notFound, error.message)
        case .permissionDenied, .unauthenticated: DashboardError(.forbidden, error.message)
        case .unavailable, .cancelled:
            DashboardError(.upstreamUnavailable, "the tap service is not reachable at \(host):\(port)")
        default: DashboardError(.upstream, "the tap service: \(error.message)")
        }
    }
}
