import Logging
import MeshKubernetes
import MeshModel

/// Performs actions, one after the other. Lives in one task; remembers only what the watches still owe it,
/// and which actions fail.
final class ActionPerformer {
    /// A watch that has not shown a write after this long is not waited for.
    static let catchUpMax = Duration.seconds(5)
    /// An action that keeps failing is tried again after 1, 2, 4 … seconds, at most this many.
    static let retrySecondsMax = 30
    /// An owner that was seen alive is not asked for again so soon.
    static let ownerMemory = Duration.seconds(30)
    static let memoryMax = 1_000

    private struct Write {
        let kind: ControlledKind
        let key: ObjectKey
        /// `nil` for a deletion.
        let version: Int?
        let uid: String
        /// The watch had shown the object before: when it is missing now, it was deleted since.
        let wasKnown: Bool
        let at: ContinuousClock.Instant
    }

    private struct Failure {
        var count = 0
        var retryAt = 0
    }

    let client: KubernetesClient
    let logger: Logger
    private let caches: KindCaches
    private var writes: [Write] = []
    private var failures: [String: Failure] = [:]
    var ownersSeen: [String: ContinuousClock.Instant] = [:]

    init(client: KubernetesClient, caches: KindCaches, logger: Logger) {
        self.client = client
        self.caches = caches
        self.logger = logger
    }

    /// Whether the watches show everything that was written.
    var isCaughtUp: Bool {
        let now = ContinuousClock.now
        writes.removeAll { $0.at + Self.catchUpMax < now || isVisible($0) }
        return writes.isEmpty
    }

    private func isVisible(_ write: Write) -> Bool {
        let current = caches.object(write.kind, write.key)
        guard let version = write.version else {
            return current.map { $0.uid != write.uid || $0.isTerminating } ?? true
        }
        guard let current else { return write.wasKnown }
        return Self.version(current).map { $0 >= version } ?? true
    }

    private static func version(_ object: JSONValue) -> Int? {
        object.value(at: ["metadata", "resourceVersion"])?.stringValue.flatMap { Int($0) }
    }

    // MARK: Actions

    func perform(_ action: Action, now: Int) async {
        let label = Self.label(action)
        if let failure = failures[label], failure.retryAt > now { return }
        do {
            try await perform(action, at: now)
            failures[label] = nil
        } catch {
            await failed(action, label: label, error: error, now: now)
        }
    }

    private func perform(_ action: Action, at now: Int) async throws {
        switch action {
        case .create(let kind, let object): try await create(kind, object, now: now)
        case .patch(let kind, let key, let subresource, let body):
            let path = kind.resource.path(namespace: key.namespace, name: key.name, subresource: subresource)
            let object = try await client.raw(
                "PATCH", path: path, body: body, contentType: "application/merge-patch+json")
            expect(kind, object)
        case .delete(let kind, let key, let uid, let grace):
            try await delete(kind, key, uid: uid, graceSeconds: grace)
        case .collect(let kind, let key, let uid, let owners):
            if try await areGone(owners, namespace: key.namespace) { try await delete(kind, key, uid: uid) }
        case .collectStranded(let key, let uid, let node):
            let path = ControlledKind.nodes.resource.path(namespace: nil, name: node)
            if try await find(path) == nil { try await delete(.pods, key, uid: uid, graceSeconds: 0) }
        case .finalizeNamespace(let name): try await finalize(namespace: name)
        case .event(let object, let kind, let reason, let message):
            await report(on: object, kind: kind, type: "Normal", reason: reason, message: message, now: now)
        }
    }

    private func create(_ kind: ControlledKind, _ object: JSONValue, now: Int) async throws {
        let path = kind.resource.path(namespace: object.namespace)
        let created = try await client.raw("POST", path: path, body: object, contentType: "application/json")
        expect(kind, created)
        guard let owner = owner(of: object) else { return }
        let word = kind == .pods ? "pod" : kind.resource.kind
        await report(
            on: owner.object, kind: owner.kind, type: "Normal", reason: "SuccessfulCreate",
            message: "Created \(word): \(created.name)", now: now)
    }

    func delete(_ kind: ControlledKind, _ key: ObjectKey, uid: String, graceSeconds: Int? = nil) async throws
    {
        var options: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": ["uid": .string(uid)],
            "propagationPolicy": "Background",
        ]
        if let graceSeconds { options["gracePeriodSeconds"] = JSONValue(graceSeconds) }
        let path = kind.resource.path(namespace: key.namespace, name: key.name)
        do {
            _ = try await client.raw("DELETE", path: path, body: options, contentType: "application/json")
        } catch let error as KubernetesError where error.isNotFound {
            // Somebody was faster; the watch will tell.
        }
        writes.append(Write(kind: kind, key: key, version: nil, uid: uid, wasKnown: true, at: .now))
    }

    private func expect(_ kind: ControlledKind, _ object: JSONValue) {
        guard let version = Self.version(object), !object.name.isEmpty else { return }
        let known = caches.object(kind, object.key)?.uid == object.uid
        writes.append(
            Write(kind: kind, key: object.key, version: version, uid: object.uid, wasKnown: known, at: .now))
    }

    /// The object at `path`, or `nil` when there is none.
    func find(_ path: String) async throws -> JSONValue? {
        do {
            return try await client.raw("GET", path: path, body: nil, contentType: "application/json")
        } catch let error as KubernetesError where error.isNotFound {
            return nil
        }
    }

    // MARK: Failures

    private func failed(_ action: Action, label: String, error: any Error, now: Int) async {
        let failure = error as? KubernetesError
        // A conflict or a vanished object is news of a change: the next plan will be better.
        if failure?.isConflict == true || failure?.isNotFound == true || Task.isCancelled { return }
        if failures.count >= Self.memoryMax { failures = [:] }
        var memory = failures[label] ?? Failure()
        memory.count += 1
        memory.retryAt = now + min(Self.retrySecondsMax, 1 << min(10, memory.count - 1))
        failures[label] = memory
        logger.warning("Action failed", metadata: ["action": "\(label)", "error": "\(error)"])
        guard case .create(.pods, let pod) = action, memory.count == 1, let owner = owner(of: pod) else {
            return
        }
        await report(
            on: owner.object, kind: owner.kind, type: "Warning", reason: "FailedCreate",
            message: "Error creating: \(failure?.message ?? "\(error)")", now: now)
    }

    private func owner(of object: JSONValue) -> (object: JSONValue, kind: ControlledKind)? {
        guard let reference = object.ownerReferences.first(where: { $0["controller"]?.boolValue == true }),
            let kind = ControlledKind(
                apiVersion: reference["apiVersion"]?.stringValue ?? "",
                kind: reference["kind"]?.stringValue ?? ""),
            kind != .services
        else { return nil }
        let metadata: JSONValue = [
            "name": reference["name"] ?? .null, "namespace": .string(object.namespace),
            "uid": reference["uid"] ?? .null,
        ]
        return (["metadata": metadata], kind)
    }

    /// Short and equal for the same action tried again.
    private static func label(_ action: Action) -> String {
        switch action {
        case .create(let kind, let object):
            let name =
                object.name.isEmpty
                ? object.value(at: ["metadata", "generateName"])?.stringValue ?? "" : object.name
            return "create \(kind.rawValue) \(object.namespace)/\(name)"
        case .patch(let kind, let key, let subresource, _):
            return "patch \(kind.rawValue) \(key) \(subresource ?? "")"
        case .delete(let kind, let key, _, _): return "delete \(kind.rawValue) \(key)"
        case .collect(let kind, let key, _, _): return "collect \(kind.rawValue) \(key)"
        case .collectStranded(let key, _, _): return "collect pod \(key)"
        case .finalizeNamespace(let name): return "finalize \(name)"
        case .event(let object, let kind, let reason, _):
            return "event \(kind.rawValue) \(object.key) \(reason)"
        }
    }
}
