import Foundation
import MeshModel

extension TableCells {
    static let cluster: [String: Computation] = [
        "nodeStatus": { cells in
            let ready = cells.list("status", "conditions").first { $0["type"] == "Ready" }?["status"]?
                .stringValue
            let word = ready == "True" ? "Ready" : ready == nil ? "Unknown" : "NotReady"
            let isCordoned = cells.object.value(at: ["spec", "unschedulable"]) == true
            return .string(isCordoned ? word + ",SchedulingDisabled" : word)
        },
        "nodeRoles": { cells in
            let prefix = "node-role.kubernetes.io/"
            let keys = cells.object.value(at: ["metadata", "labels"])?.objectValue?.keys.sorted() ?? []
            let roles = keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
            return orNone(roles.joined(separator: ","))
        },
        "nodeInternalIP": { orNone($0.nodeAddress("InternalIP")) },
        "nodeExternalIP": { orNone($0.nodeAddress("ExternalIP")) },
        "claimStatus": { cells in
            .string(cells.object.isTerminating ? "Terminating" : cells.text("status", "phase"))
        },
        "claimCapacity": { cells in
            .string(
                cells.text("spec", "volumeName").isEmpty ? "" : cells.text("status", "capacity", "storage"))
        },
        "claimModes": { cells in
            let isBound = !cells.text("spec", "volumeName").isEmpty
            return .string(isBound ? accessModes(cells.list("status", "accessModes")) : "")
        },
        "volumeModes": { .string(accessModes($0.list("spec", "accessModes"))) },
        "volumeClaim": { cells in
            let name = cells.text("spec", "claimRef", "name")
            return .string(name.isEmpty ? "" : "\(cells.text("spec", "claimRef", "namespace"))/\(name)")
        },
        "eventLastSeen": { .string($0.age(of: $0.eventTime)) },
        "eventFirstSeen": { cells in
            let first = cells.text("firstTimestamp")
            return .string(cells.age(of: first.isEmpty ? cells.eventTime : first))
        },
        "eventObject": { cells in
            let kind = cells.text("involvedObject", "kind").lowercased()
            return .string("\(kind)/\(cells.text("involvedObject", "name"))")
        },
        "eventSource": { cells in
            let component = cells.text("source", "component")
            let host = cells.text("source", "host")
            let source = component.isEmpty ? cells.text("reportingComponent") : component
            return .string(host.isEmpty ? source : "\(source), \(host)")
        },
        "eventCount": { .string(String(max(1, $0.number("count")))) },
        "minAvailable": { .string($0.intOrString("spec", "minAvailable")) },
        "maxUnavailable": { .string($0.intOrString("spec", "maxUnavailable")) },
        "allowedDisruptions": { .int(Int64($0.number("status", "disruptionsAllowed"))) },
        "bindingRole": { .string("\($0.text("roleRef", "kind"))/\($0.text("roleRef", "name"))") },
        "bindingUsers": { .string($0.subjects("User")) },
        "bindingGroups": { .string($0.subjects("Group")) },
        "bindingAccounts": { .string($0.subjects("ServiceAccount")) },
        "webhookCount": { .int(Int64($0.list("webhooks").count)) },
        "globalDefault": { .bool($0.object["globalDefault"]?.boolValue ?? false) },
        "allowExpansion": { .bool($0.object["allowVolumeExpansion"]?.boolValue ?? false) },
        "apiServiceTarget": { cells in
            let name = cells.text("spec", "service", "name")
            return .string(name.isEmpty ? "Local" : "\(cells.text("spec", "service", "namespace"))/\(name)")
        },
        "apiServiceAvailable": { cells in
            let available = cells.list("status", "conditions").first { $0["type"] == "Available" }
            let status = available?["status"]?.stringValue ?? "Unknown"
            let reason = available?["reason"]?.stringValue ?? ""
            return .string(status == "True" || reason.isEmpty ? status : "\(status) (\(reason))")
        },
    ]

    private var eventTime: String? {
        let times = [
            text("lastTimestamp"), text("series", "lastObservedTime"), text("eventTime"),
            text("firstTimestamp"),
        ]
        return times.first { !$0.isEmpty }
    }

    private func nodeAddress(_ type: String) -> String {
        list("status", "addresses").first { $0["type"] == .string(type) }?["address"]?.stringValue ?? ""
    }

    private func intOrString(_ path: String...) -> String {
        switch object.value(at: path) {
        case .int(let number): String(number)
        case .string(let text): text
        default: "N/A"
        }
    }

    private func subjects(_ kind: String) -> String {
        list("subjects").filter { $0["kind"] == .string(kind) }.map { subject in
            let name = subject["name"]?.stringValue ?? ""
            return kind == "ServiceAccount" ? "\(subject["namespace"]?.stringValue ?? "")/\(name)" : name
        }.joined(separator: ", ")
    }

    private static func accessModes(_ modes: [JSONValue]) -> String {
        let short = [
            "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP",
        ]
        return modes.compactMap { $0.stringValue.flatMap { short[$0] } }.joined(separator: ",")
    }
}
