// What owners of pods are told about injection. Best effort: events wait in a short queue, and when the API
// server is slow the oldest are dropped.

internal import Foundation
internal import Injector
internal import Logging
internal import MeshKubernetes

/// Something to tell an owner.
struct InjectorEvent: Sendable {
    let owner: PodOwner
    let namespace: String
    /// Empty when the proxy was added.
    let reasons: [SkipReason]

    var reason: String { reasons.isEmpty ? "Injected" : "InjectionSkipped" }

    var message: String {
        if reasons.isEmpty { return "Linkerd sidecar proxy injected" }
        return "Linkerd sidecar proxy injection skipped: " + reasons.map(\.text).joined(separator: ", ")
    }
}

/// Writes events to the API server.
final class InjectorEvents: Sendable {
    /// Events that wait at most; further ones push the oldest out.
    static let waitingMax = 256
    static let component = "linkerd-proxy-injector"

    private let client: KubernetesClient
    private let metrics: InjectorMetrics
    private let logger: Logger
    private let queue = AsyncStream.makeStream(
        of: InjectorEvent.self, bufferingPolicy: .bufferingNewest(waitingMax))

    init(client: KubernetesClient, metrics: InjectorMetrics, logger: Logger) {
        self.client = client
        self.metrics = metrics
        self.logger = logger
    }

    /// Queues an event; never waits.
    func record(_ event: InjectorEvent) {
        if case .dropped = queue.continuation.yield(event) { metrics.eventDropped() }
    }

    /// Writes events until cancelled.
    func run() async {
        for await event in queue.stream {
            do { _ = try await client.create(object(for: event, at: Date())) } catch {
                metrics.eventDropped()
                logger.debug("Event not written", metadata: ["error": "\(error)"])
            }
        }
    }

    private func object(for event: InjectorEvent, at date: Date) -> Event {
        let unique =
            String(UInt64(date.timeIntervalSince1970 * 1e6), radix: 16)
            + String(UInt16.random(in: .min ... .max), radix: 16)
        let time = date.formatted(.iso8601)
        return Event {
            $0.metadata.name = "\(event.owner.name).\(unique)"
            $0.metadata.namespace = event.namespace
            $0.involvedObject = ObjectReference {
                $0.apiVersion = event.owner.apiVersion
                $0.kind = event.owner.kind
                $0.namespace = event.namespace
                $0.name = event.owner.name
                $0.uid = event.owner.uid
            }
            $0.reason = event.reason
            $0.message = event.message
            $0.type = "Normal"
            $0.count = 1
            $0.firstTimestamp = time
            $0.lastTimestamp = time
            $0.source = EventSource(component: Self.component)
        }
    }
}
