import MeshModel
import NIOCore
import NIOHTTP1

/// A request for port-forwarding, as its head names it.
struct PortForwardTarget: Sendable, Equatable {
    let namespace: String
    let pod: String
    /// From the `ports` parameters; clients of `v4.channel.k8s.io` name them there.
    let ports: [Int]

    /// `nil` when the head asks for something else.
    init?(_ head: HTTPRequestHead) {
        let request = APIRequest(head: head, body: .init(), user: Authenticator.anonymous)
        let path = request.path
        guard path.count == 7, path[0] == "api", path[1] == "v1", path[2] == "namespaces", path[4] == "pods",
            path[6] == "portforward"
        else { return nil }
        namespace = path[3]
        pod = path[5]
        ports = request.query.filter { $0.name == "ports" }
            .flatMap { $0.value.split(separator: ",") }.compactMap { Int($0) }
    }
}

/// The sub-protocols that port-forwarding is spoken in.
enum PortForwardProtocol {
    /// SPDY over a raw connection, kubectl before 1.31.
    static let spdy = "portforward.k8s.io"
    /// SPDY inside WebSocket messages, kubectl since.
    static let tunnel = "SPDY/3.1+portforward.k8s.io"
    /// One channel a port inside WebSocket messages; our own CLI and other languages' clients.
    static let channels = "v4.channel.k8s.io"
}

/// Decides whether a port-forward may start, before the connection is upgraded.
struct PortForwardGate: Sendable {
    let router: Router

    /// - Throws: `StatusError` as a plain request for the same would get.
    func admit(_ target: PortForwardTarget, head: HTTPRequestHead, certificate: ClientCertificate?) async throws {
        _ = try await router.authorize(head, path: ["api"], certificate: certificate)
        _ = try await podUID(target)
    }

    /// The uid of the pod that is to be reached.
    ///
    /// - Throws: `StatusError` 404 when it is absent, 400 when it does not run.
    func podUID(_ target: PortForwardTarget) async throws -> String {
        guard let kind = router.cluster.kinds.kind(qualifiedName: Resource.pods) else {
            throw StatusError.unknownPath
        }
        let pod = try await router.operations.get(kind, target.namespace, target.pod).object()
        guard pod.value(at: ["status", "phase"])?.stringValue == "Running" else {
            let phase = pod.value(at: ["status", "phase"])?.stringValue ?? "Unknown"
            throw StatusError.badRequest(
                "unable to forward port because pod is not running. Current status=\(phase)")
        }
        return pod.uid
    }
}
