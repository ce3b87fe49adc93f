internal import Logging
internal import MeshKubernetes
internal import MeshModel
internal import Synchronization

/// Writes Events about pods, as `kubectl describe` shows them. The same event again raises a count.
final class EventRecorder: Sendable {
    /// Events waiting to be written; beyond, the oldest go.
    static let pendingMax = 512
    /// Different events remembered for counting.
    static let knownMax = 2_048

    private struct Occurrence: Sendable, Hashable {
        let object: ObjectReference
        let type: String
        let reason: String
        let message: String
    }

    private let client: KubernetesClient
    private let nodeName: String
    private let logger: Logger
    private let pending: AsyncStream<Occurrence>
    private let feed: AsyncStream<Occurrence>.Continuation
    private let sequence = Mutex<UInt64>(0)

    init(client: KubernetesClient, nodeName: String, logger: Logger) {
        self.client = client
        self.nodeName = nodeName
        self.logger = logger
        (pending, feed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.pendingMax))
    }

    /// Notes that something happened to `pod`, or to one of its containers.
    func record(
        _ pod: Pod, container: String? = nil, isWarning: Bool = false, reason: String, message: String
    ) {
        var reference = ObjectReference()
        reference.apiVersion = "v1"
        reference.kind = "Pod"
        reference.namespace = pod.metadata.namespace
        reference.name = pod.metadata.name
        reference.uid = pod.metadata.uid
        if let container {
            let isInit = pod.spec?.initContainers?.contains { $0.name == container } ?? false
            reference.fieldPath = "spec.\(isInit ? "initContainers" : "containers"){\(container)}"
        }
        feed.yield(
            Occurrence(
                object: reference, type: isWarning ? "Warning" : "Normal", reason: reason, message: message))
    }

    /// Writes until cancelled.
    func run() async {
        var known: [Occurrence: (name: String, count: Int)] = [:]
        for await occurrence in pending {
            do {
                if let earlier = known[occurrence], try await repeated(occurrence, earlier) {
                    known[occurrence] = (earlier.name, earlier.count + 1)
                    continue
                }
                if known.count >= Self.knownMax { known.removeAll() }
                known[occurrence] = (try await create(occurrence), 1)
            } catch {
                logger.debug("Event lost", metadata: ["reason": "\(occurrence.reason)", "error": "\(error)"])
            }
        }
    }

    /// Returns false when the earlier event has gone.
    private func repeated(_ occurrence: Occurrence, _ earlier: (name: String, count: Int)) async throws
        -> Bool
    {
        let body: JSONValue = [
            "count": .int(Int64(earlier.count + 1)), "lastTimestamp": .string(SystemClock.now().text),
        ]
        do {
            _ = try await client.patch(
                Event.self, namespace: occurrence.object.namespace, name: earlier.name, body: body)
            return true
        } catch let error as KubernetesError where error.isNotFound {
            return false
        }
    }

    private func create(_ occurrence: Occurrence) async throws -> String {
        let now = SystemClock.now()
        let number = sequence.withLock { value in
            value += 1
            return value
        }
        let stamp = UInt64(bitPattern: now.seconds &* 1_000_000_000 &+ Int64(now.nanoseconds)) &+ number
        var event = Event()
        event.metadata.name = "\(occurrence.object.name ?? "pod").\(String(stamp, radix: 16))"
        event.metadata.namespace = occurrence.object.namespace
        event.involvedObject = occurrence.object
        event.type = occurrence.type
        event.reason = occurrence.reason
        event.message = occurrence.message
        event.count = 1
        event.firstTimestamp = now.text
        event.lastTimestamp = now.text
        event.source = EventSource(component: "kubelet", host: nodeName)
        event.reportingComponent = "kubelet"
        event.reportingInstance = nodeName
        return try await client.create(event).metadata.name ?? ""
    }
}
