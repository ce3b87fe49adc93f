import LocalControllers
import MeshKubernetes
import MeshModel

/// An API server and a node, as far as controllers notice: actions change objects, and pods become ready.
final class FakeCluster {
    private(set) var objects: [JSONValue] = []
    private(set) var messages: [String] = []
    var now = 1_000_000
    private var nextUID = 1

    init(_ objects: [JSONValue]) { for object in objects { add(object) } }

    var state: ClusterState { ClusterState(now: now, caPEM: "CA", objects) }

    func all(_ kind: String) -> [JSONValue] { objects.filter { $0["kind"]?.stringValue == kind } }

    func add(_ object: JSONValue) {
        var object = object
        let uid = "uid-\(nextUID)"
        if object.name.isEmpty, let prefix = object.value(at: ["metadata", "generateName"])?.stringValue {
            object.set(.string(prefix + "x\(nextUID)"), at: ["metadata", "name"])
        }
        nextUID += 1
        if object.uid.isEmpty { object.set(.string(uid), at: ["metadata", "uid"]) }
        object.set(.string(UTCTime.text(now)), at: ["metadata", "creationTimestamp"])
        if object.value(at: ["metadata", "generation"]) == nil {
            object.set(1, at: ["metadata", "generation"])
        }
        // Names are unique; a second create of the same name is refused.
        if !objects.contains(where: { $0["kind"] == object["kind"] && $0.key == object.key }) {
            objects.append(object)
        }
    }

    /// Plans and performs once; gives the actions, without events.
    @discardableResult
    func step() -> [Action] {
        let actions = ControllerPlans.actions(for: state)
        for action in actions { perform(action) }
        return actions.filter { if case .event = $0 { false } else { true } }
    }

    /// Steps until nothing is left to do. A controller that never comes to rest is a bug.
    @discardableResult
    func settle(stepsMax: Int = 50, after each: (FakeCluster) -> Void = { _ in }) -> Bool {
        for _ in 0..<stepsMax {
            let isQuiet = step().isEmpty
            let before = objects
            each(self)
            if isQuiet, before == objects { return true }
        }
        return false
    }

    func perform(_ action: Action) {
        switch action {
        case .create(_, let object): add(object)
        case .patch(let kind, let key, let subresource, let body):
            patch(kind, key, isStatus: subresource == "status", body)
        case .delete(let kind, let key, let uid, _): remove(kind, key, uid)
        case .collect(let kind, let key, let uid, _): remove(kind, key, uid)
        case .collectStranded(let key, let uid, _): remove(.pods, key, uid)
        case .finalizeNamespace(let name):
            objects.removeAll { $0["kind"]?.stringValue == "Namespace" && $0.name == name }
        case .event(_, _, let reason, let message): messages.append("\(reason): \(message)")
        }
    }

    func edit(_ kind: String, _ name: String, _ change: (inout JSONValue) -> Void) {
        for index in objects.indices
        where objects[index]["kind"]?.stringValue == kind && objects[index].name == name {
            let spec = objects[index]["spec"]
            change(&objects[index])
            if objects[index]["spec"] != spec {
                let generation = objects[index].value(at: ["metadata", "generation"])?.intValue ?? 0
                objects[index].set(.int(Int64(generation + 1)), at: ["metadata", "generation"])
            }
        }
    }

    func delete(_ kind: String, _ name: String) {
        objects.removeAll { $0["kind"]?.stringValue == kind && $0.name == name }
    }

    private func patch(_ kind: ControlledKind, _ key: ObjectKey, isStatus: Bool, _ body: JSONValue) {
        edit(kind.resource.kind, key.name) { object in
            guard object.key == key else { return }
            object = Self.merged(object, body)
        }
    }

    private func remove(_ kind: ControlledKind, _ key: ObjectKey, _ uid: String) {
        objects.removeAll { $0["kind"]?.stringValue == kind.resource.kind && $0.key == key && $0.uid == uid }
    }

    /// RFC 7396.
    static func merged(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let members) = patch else { return patch }
        var result = target.objectValue == nil ? JSONValue.object([:]) : target
        for (key, value) in members {
            if value.isNull {
                result[key] = JSONValue?.none
            } else {
                result[key] = merged(result[key] ?? .null, value)
            }
        }
        return result
    }

    // MARK: The node

    /// Gives every active pod an address and makes it ready.
    func startPods() {
        for index in objects.indices where objects[index]["kind"]?.stringValue == "Pod" {
            guard objects[index]["status"] == nil else { continue }
            objects[index]["status"] = Self.running(address: "10.244.0.\(index + 2)", at: now)
        }
    }

    static func running(address: String, isReady: Bool = true, at now: Int = 0) -> JSONValue {
        [
            "phase": "Running", "podIP": .string(address),
            "conditions": [
                [
                    "type": "Ready", "status": isReady ? "True" : "False",
                    "lastTransitionTime": .string(UTCTime.text(now)),
                ]
            ],
        ]
    }
}

/// Objects to start from.
enum Sample {
    static func deployment(
        _ name: String = "web", replicas: Int = 3, image: String = "a",
        strategy: JSONValue = ["type": "RollingUpdate"]
    ) -> JSONValue {
        [
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": ["name": .string(name), "namespace": "shop"],
            "spec": [
                "replicas": .int(Int64(replicas)), "selector": ["matchLabels": ["app": .string(name)]],
                "strategy": strategy,
                "template": [
                    "metadata": ["labels": ["app": .string(name)]],
                    "spec": [
                        "containers": [
                            [
                                "name": "app", "image": .string(image), "unknownField": "kept",
                                "ports": [["name": "http", "containerPort": 8080]],
                            ]
                        ]
                    ],
                ],
            ],
        ]
    }

    static func workload(
        _ kind: String, _ name: String, _ extra: [String: JSONValue], group: String = "apps/v1"
    ) -> JSONValue {
        var spec: [String: JSONValue] = [
            "selector": ["matchLabels": ["app": .string(name)]],
            "template": [
                "metadata": ["labels": ["app": .string(name)]],
                "spec": ["containers": [["name": "app", "image": "a"]]],
            ],
        ]
        spec.merge(extra) { _, new in new }
        return [
            "apiVersion": .string(group), "kind": .string(kind),
            "metadata": ["name": .string(name), "namespace": "shop"], "spec": .object(spec),
        ]
    }

    static func service(_ name: String = "web", _ extra: [String: JSONValue] = [:]) -> JSONValue {
        var spec: [String: JSONValue] = [
            "selector": ["app": "web"],
            "ports": [["name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"]],
        ]
        spec.merge(extra) { _, new in new }
        return [
            "apiVersion": "v1", "kind": "Service",
            "metadata": ["name": .string(name), "namespace": "shop", "labels": ["team": "a"]],
            "spec": .object(spec),
        ]
    }

    static func pod(_ name: String, status: JSONValue, labels: JSONValue = ["app": "web"]) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(name), "namespace": "shop", "labels": labels],
            "spec": [
                "nodeName": "node",
                "containers": [
                    ["name": "app", "ports": [["name": "http", "containerPort": 8080, "protocol": "TCP"]]]
                ],
            ],
            "status": status,
        ]
    }

    static func node(_ name: String, labels: JSONValue = [:]) -> JSONValue {
        ["apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": labels]]
    }
}
