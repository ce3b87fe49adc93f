// What the controller tells Kubernetes about: certificates issued, issuers replaced or refused. Events are
// best effort: they wait in a short queue, and when the API server is slow the oldest are dropped.

internal import Foundation
internal import Logging
internal import MeshKubernetes

/// Something worth a Kubernetes Event.
struct IdentityEvent: Sendable {
    /// Linkerd's reasons.
    enum Reason: String, Sendable {
        case issuedLeafCertificate = "IssuedLeafCertificate"
        case issuerUpdated = "IssuerUpdated"
        case issuerUpdateSkipped = "IssuerUpdateSkipped"
        case issuerValidationFailed = "IssuerValidationFailed"

        var type: String {
            switch self {
            case .issuedLeafCertificate, .issuerUpdated: "Normal"
            case .issuerUpdateSkipped, .issuerValidationFailed: "Warning"
            }
        }
    }

    let reason: Reason
    let message: String
    /// The account that got a certificate; `nil` for events about the controller itself.
    var account: ServiceAccountName?
    let date: Date
}

/// Writes events to the API server.
final class IdentityEvents: Sendable {
    /// Events that wait at most; further ones push the oldest out.
    static let waitingMax = 256
    /// The Deployment that events about the controller itself belong to.
    static let deploymentName = "linkerd-identity"

    private let client: KubernetesClient
    private let controllerNamespace: String
    private let metrics: IdentityMetrics
    private let logger: Logger
    private let queue = AsyncStream.makeStream(
        of: IdentityEvent.self, bufferingPolicy: .bufferingNewest(waitingMax))

    init(client: KubernetesClient, controllerNamespace: String, metrics: IdentityMetrics, logger: Logger) {
        self.client = client
        self.controllerNamespace = controllerNamespace
        self.metrics = metrics
        self.logger = logger
    }

    /// Queues an event; never waits.
    func record(_ event: IdentityEvent) {
        if case .dropped = queue.continuation.yield(event) { metrics.eventDropped() }
    }

    /// Writes events until cancelled.
    func run() async {
        for await event in queue.stream {
            do { _ = try await client.create(object(for: event)) } catch {
                metrics.eventDropped()
                logger.debug("Event not written", metadata: ["error": "\(error)"])
            }
        }
    }

    private func object(for event: IdentityEvent) -> Event {
        let namespace = event.account?.namespace ?? controllerNamespace
        let name = event.account?.name ?? Self.deploymentName
        let unique =
            String(UInt64(event.date.timeIntervalSince1970 * 1e6), radix: 16)
            + String(UInt16.random(in: .min ... .max), radix: 16)
        return Event {
            $0.metadata.name = "\(name).\(unique)"
            $0.metadata.namespace = namespace
            $0.involvedObject = ObjectReference {
                $0.apiVersion = event.account == nil ? "apps/v1" : "v1"
                $0.kind = event.account == nil ? "Deployment" : "ServiceAccount"
                $0.namespace = namespace
                $0.name = name
            }
            $0.reason = event.reason.rawValue
            $0.message = event.message
            $0.type = event.reason.type
            $0.count = 1
            $0.firstTimestamp = RFC3339.text(event.date)
            $0.lastTimestamp = RFC3339.text(event.date)
            $0.source = EventSource(component: Self.deploymentName)
        }
    }
}
