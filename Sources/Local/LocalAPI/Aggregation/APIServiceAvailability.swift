import Foundation
import Logging
import MeshModel

/// Keeps the `Available` condition of every APIService that a Service answers for.
struct APIServiceAvailability: Sendable {
    /// Between two looks when nothing has changed.
    static let interval = Duration.seconds(10)
    /// Looks that run at once.
    static let checksMax = 16

    let operations: ObjectOperations

    private var cluster: Cluster { operations.cluster }

    /// Looks whenever an APIService, a Service or its endpoints have changed, and from time to time.
    /// Until cancelled.
    func run() async {
        let (triggers, trigger) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            for resource in [Resource.apiServices, Resource.services, Resource.endpoints] {
                group.addTask { await follow(resource) { trigger.yield() } }
            }
            group.addTask {
                while !Task.isCancelled {
                    trigger.yield()
                    try? await Task.sleep(for: Self.interval)  // Cancelled: the loop ends by itself.
                }
                trigger.finish()
            }
            for await _ in triggers { await checkAll() }
            group.cancelAll()
        }
    }

    /// Subscribes again whenever a subscription was cut off for being slow.
    private func follow(_ resource: String, _ changed: @Sendable () -> Void) async {
        while !Task.isCancelled {
            let subscription = cluster.store.hub.subscribe(resource: resource, namespace: nil)
            for await _ in subscription.items { changed() }
            subscription.cancel()
            if cluster.store.hub.isClosed { return }
            changed()
        }
    }

    /// Looks at every API once and writes down what has changed.
    func checkAll() async {
        let proxy = AggregationProxy(cluster: cluster)
        // Watchers hear of a registration before the request that makes it has brought the table up to date.
        do { try await cluster.refresh(.apiServices) } catch {
            cluster.logger.warning("APIServices not read", metadata: ["cause": "\(error)"])
        }
        await withDiscardingTaskGroup { group in
            for api in cluster.apiServices.apis.prefix(Self.checksMax) {
                group.addTask {
                    let (isAvailable, reason, message) = await proxy.availability(of: api)
                    await record(api.name, isAvailable, reason, message)
                }
            }
        }
    }

    private func record(_ name: String, _ isAvailable: Bool, _ reason: String, _ message: String) async {
        guard let kind = cluster.kinds.kind(qualifiedName: Resource.apiServices) else { return }
        let now = Timestamp.text(cluster.now())
        do {
            _ = try await operations.change(kind, "", name, .status, WriteOptions(), warnings: []) { current in
                (Self.recorded(current, isAvailable, reason, message, now), [])
            }
        } catch let error as StatusError where error.code == 404 {
            return  // Deleted while it was being looked at.
        } catch {
            cluster.logger.warning(
                "Condition of an APIService not written", metadata: ["name": "\(name)", "cause": "\(error)"])
        }
    }

    /// The object with its condition; the time of transition moves only when the status does.
    private static func recorded(
        _ object: JSONValue, _ isAvailable: Bool, _ reason: String, _ message: String, _ now: String
    ) -> JSONValue {
        let conditions = object.value(at: ["status", "conditions"])?.arrayValue ?? []
        let old = conditions.first { $0["type"] == "Available" }
        let status: JSONValue = isAvailable ? "True" : "False"
        let since = old?["status"] == status ? old?["lastTransitionTime"] : nil
        let condition: JSONValue = [
            "type": "Available", "status": status, "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": since ?? .string(now),
        ]
        var object = object
        object.set(
            .array(conditions.filter { $0["type"] != "Available" } + [condition]), at: ["status", "conditions"])
        return object
    }
}
