import Logging
import MeshKubernetes
import MeshModel

/// Actions that ask the server for more than one object.
extension ActionPerformer {
    // MARK: Owners

    /// Whether none of `owners` exists any more.
    func areGone(_ owners: [JSONValue], namespace: String) async throws -> Bool {
        for owner in owners {
            let uid = owner["uid"]?.stringValue ?? ""
            if let seen = ownersSeen[uid], seen + Self.ownerMemory > .now { return false }
            guard let path = try await path(of: owner, namespace: namespace) else { continue }
            if try await find(path)?.uid == uid {
                if ownersSeen.count >= Self.memoryMax { ownersSeen = [:] }
                ownersSeen[uid] = .now
                return false
            }
        }
        return true
    }

    /// Where the owner would be; `nil` when its kind is not served any more.
    private func path(of owner: JSONValue, namespace: String) async throws -> String? {
        let apiVersion = owner["apiVersion"]?.stringValue ?? ""
        let kind = owner["kind"]?.stringValue ?? ""
        let name = owner["name"]?.stringValue ?? ""
        if let known = ControlledKind(apiVersion: apiVersion, kind: kind) {
            return known.resource.path(namespace: namespace, name: name)
        }
        let base = apiVersion.contains("/") ? "/apis/\(apiVersion)" : "/api/\(apiVersion)"
        let resources = try await find(base)?["resources"]?.arrayValue ?? []
        let match = resources.first {
            $0["kind"]?.stringValue == kind && $0["name"]?.stringValue?.contains("/") == false
        }
        guard let match, let plural = match["name"]?.stringValue else { return nil }
        let isNamespaced = match["namespaced"]?.boolValue == true && !namespace.isEmpty
        return base + (isNamespaced ? "/namespaces/\(namespace)" : "") + "/\(plural)/\(name)"
    }

    // MARK: Namespaces

    /// Deletes what else a namespace holds, of kinds that are not watched; once nothing is left, lets it go.
    func finalize(namespace: String) async throws {
        var isEmpty = true
        for collection in try await collections(in: namespace) {
            let items = try await find(collection)?["items"]?.arrayValue ?? []
            guard !items.isEmpty else { continue }
            isEmpty = false
            for item in items where item.value(at: ["metadata", "deletionTimestamp"]) == nil {
                do {
                    _ = try await client.raw(
                        "DELETE", path: "\(collection)/\(item.name)", body: nil,
                        contentType: "application/json")
                } catch let error as KubernetesError where error.isNotFound || error.isConflict {
                    continue
                }
            }
        }
        let path = ControlledKind.namespaces.resource.path(namespace: nil, name: namespace)
        guard isEmpty, var object = try await find(path) else { return }
        object.set([], at: ["spec", "finalizers"])
        _ = try await client.raw(
            "PUT", path: path + "/finalize", body: object, contentType: "application/json")
    }

    /// Paths of every namespaced collection that can be listed and deleted from, one version a group.
    private func collections(in namespace: String) async throws -> [String] {
        let groups = try await find("/apis")?["groups"]?.arrayValue ?? []
        let bases =
            ["/api/v1"]
            + groups.compactMap { group in
                group.value(at: ["preferredVersion", "groupVersion"])?.stringValue.map { "/apis/\($0)" }
            }
        var collections: [String] = []
        for base in bases {
            let served: JSONValue?
            do { served = try await find(base) } catch let error as KubernetesError where error.code == 503 {
                // An aggregated API that is down must not keep namespaces from going away: what it holds is its own.
                logger.debug("API not available", metadata: ["path": "\(base)", "error": "\(error)"])
                continue
            }
            for resource in served?["resources"]?.arrayValue ?? [] {
                let verbs = (resource["verbs"]?.arrayValue ?? []).compactMap(\.stringValue)
                guard resource["namespaced"]?.boolValue == true, verbs.contains("list"),
                    verbs.contains("delete"),
                    let plural = resource["name"]?.stringValue, !plural.contains("/")
                else { continue }
                collections.append("\(base)/namespaces/\(namespace)/\(plural)")
            }
        }
        return collections
    }

    // MARK: Events

    /// Writes an Event. Nobody depends on them: a failure is only logged.
    func report(
        on object: JSONValue, kind: ControlledKind, type: String, reason: String, message: String, now: Int
    ) async {
        let component = "\(kind.resource.kind.lowercased())-controller"
        let time = JSONValue.string(UTCTime.text(now))
        let suffix = String(UInt64.random(in: .min ... .max), radix: 16)
        let event: JSONValue = [
            "apiVersion": "v1", "kind": "Event",
            "metadata": [
                "name": .string("\(object.name).\(suffix)"), "namespace": .string(object.namespace),
            ],
            "involvedObject": [
                "apiVersion": .string(kind.resource.apiVersion), "kind": .string(kind.resource.kind),
                "name": .string(object.name), "namespace": .string(object.namespace),
                "uid": .string(object.uid),
            ],
            "type": .string(type), "reason": .string(reason), "message": .string(message), "count": 1,
            "firstTimestamp": time, "lastTimestamp": time, "source": ["component": .string(component)],
            "reportingComponent": .string(component), "reportingInstance": "",
        ]
        do {
            _ = try await client.raw(
                "POST", path: "/api/v1/namespaces/\(object.namespace)/events", body: event,
                contentType: "application/json")
        } catch {
            logger.debug("Event not written", metadata: ["reason": "\(reason)", "error": "\(error)"])
        }
    }
}
