import MeshModel

/// A label selector: every pair and every expression must hold.
struct Selector {
    private let pairs: [String: String]
    private let expressions: [(key: String, operation: String, values: Set<String>)]

    /// Reads a `LabelSelector` with `matchLabels` and `matchExpressions`.
    init(_ selector: JSONValue?) {
        pairs = JSONValue.strings(selector?["matchLabels"])
        expressions = (selector?["matchExpressions"]?.arrayValue ?? []).map { expression in
            (
                key: expression["key"]?.stringValue ?? "",
                operation: expression["operator"]?.stringValue ?? "",
                values: Set((expression["values"]?.arrayValue ?? []).compactMap(\.stringValue))
            )
        }
    }

    /// The plain pairs of a Service.
    init(pairs: [String: String]) {
        self.pairs = pairs
        expressions = []
    }

    /// An empty selector picks nothing here: a controller without one owns nothing.
    var isEmpty: Bool { pairs.isEmpty && expressions.isEmpty }

    func matches(_ labels: [String: String]) -> Bool {
        guard !isEmpty, pairs.allSatisfy({ labels[$0.key] == $0.value }) else { return false }
        return expressions.allSatisfy { expression in
            let value = labels[expression.key]
            return switch expression.operation {
            case "In": value.map(expression.values.contains) ?? false
            case "NotIn": value.map { !expression.values.contains($0) } ?? true
            case "Exists": value != nil
            case "DoesNotExist": value == nil
            default: false
            }
        }
    }
}

/// A count given as a number or as a percentage of another.
enum Share {
    static func count(_ value: JSONValue?, of total: Int, roundingUp: Bool, default fallback: String) -> Int {
        if let number = value?.intValue { return max(0, number) }
        let text = value?.stringValue ?? fallback
        guard text.hasSuffix("%"), let percent = Int(text.dropLast()), percent >= 0 else {
            return max(0, Int(text) ?? 0)
        }
        return roundingUp ? (percent * total + 99) / 100 : percent * total / 100
    }
}

/// Conditions of a status, with the times of their last change.
enum Conditions {
    /// `status` with one condition set. Its transition time moves only with its status.
    static func setting(
        _ type: String, _ status: String, reason: String, message: String, at now: Int,
        in conditions: [JSONValue], hasUpdateTime: Bool = false, isProgress: Bool = false
    ) -> [JSONValue] {
        var conditions = conditions
        let index = conditions.firstIndex { $0["type"]?.stringValue == type }
        let old = index.map { conditions[$0] }
        let isSame = old?["status"]?.stringValue == status && old?["reason"]?.stringValue == reason
        if isSame, !isProgress, old?["message"]?.stringValue == message { return conditions }
        var new: JSONValue = [
            "type": .string(type), "status": .string(status), "reason": .string(reason),
            "message": .string(message),
        ]
        let keepsTransition = old?["status"]?.stringValue == status
        new["lastTransitionTime"] = keepsTransition ? old?["lastTransitionTime"] : .string(UTCTime.text(now))
        if hasUpdateTime { new["lastUpdateTime"] = .string(UTCTime.text(now)) }
        if let index { conditions[index] = new } else { conditions.append(new) }
        return conditions
    }
}

/// Writes of a status.
enum StatusPatch {
    /// The patch that brings `object`'s status to `wanted`; nothing when it is there.
    static func actions(_ kind: ControlledKind, _ object: JSONValue, _ wanted: [String: JSONValue])
        -> [Action]
    {
        let current = object["status"]?.objectValue ?? [:]
        let changed = wanted.filter { key, value in
            let old = current[key] ?? .null
            // Kubernetes omits zero counts; treating them as equal avoids writing for ever.
            return old != value && !(old.isNull && (value == 0 || value == []))
        }
        guard !changed.isEmpty else { return [] }
        return [.patch(kind, object.key, subresource: "status", ["status": .object(changed)])]
    }
}
