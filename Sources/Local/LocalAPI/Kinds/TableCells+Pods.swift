import Foundation
import MeshModel

extension TableCells {
    static let pods: [String: Computation] = [
        "podReady": { cells in
            let total = cells.list("spec", "containers").count + cells.sidecars.count
            let ready = cells.list("status", "containerStatuses").count { $0["ready"] == true }
            let sidecars = cells.list("status", "initContainerStatuses").count {
                $0["ready"] == true && cells.sidecars.contains($0["name"]?.stringValue ?? "")
            }
            return .string("\(ready + sidecars)/\(total)")
        },
        "podStatus": { .string($0.podStatus) },
        "podRestarts": { .string($0.podRestarts) },
        "podIP": { orNone($0.text("status", "podIP")) },
        "podNode": { orNone($0.text("spec", "nodeName")) },
        "podNominated": { orNone($0.text("status", "nominatedNodeName")) },
        "podGates": { cells in
            let gates = cells.list("spec", "readinessGates").compactMap { $0["conditionType"]?.stringValue }
            if gates.isEmpty { return "<none>" }
            let met = cells.list("status", "conditions").count {
                $0["status"] == "True" && gates.contains($0["type"]?.stringValue ?? "")
            }
            return .string("\(met)/\(gates.count)")
        },
    ]

    /// Init containers that keep running beside the others.
    private var sidecars: Set<String> {
        Set(
            list("spec", "initContainers").filter { $0["restartPolicy"] == "Always" }
                .compactMap { $0["name"]?.stringValue })
    }

    /// The one word that sums up a pod: its phase unless a container, or its deletion, says more.
    private var podStatus: String {
        var reason = text("status", "reason")
        if reason.isEmpty { reason = text("status", "phase") }
        if let initial = initStatus {
            reason = initial
        } else {
            for status in list("status", "containerStatuses").reversed() {
                if let waiting = status.value(at: ["state", "waiting", "reason"])?.stringValue,
                    !waiting.isEmpty
                {
                    reason = waiting
                } else if let terminated = status.value(at: ["state", "terminated"]) {
                    reason = Self.terminationReason(terminated)
                }
            }
            let isRunning = list("status", "containerStatuses").contains {
                $0.value(at: ["state", "running"]) != nil && $0["ready"] == true
            }
            if reason == "Completed", isRunning { reason = isReady ? "Running" : "NotReady" }
        }
        if object.isTerminating { return text("status", "reason") == "NodeLost" ? "Unknown" : "Terminating" }
        return reason
    }

    private var isReady: Bool {
        list("status", "conditions").contains { $0["type"] == "Ready" && $0["status"] == "True" }
    }

    /// `Init:…` while init containers are not through.
    private var initStatus: String? {
        let statuses = list("status", "initContainerStatuses")
        let total = list("spec", "initContainers").count
        for (index, status) in statuses.enumerated() {
            if let terminated = status.value(at: ["state", "terminated"]) {
                if terminated["exitCode"]?.intValue == 0 { continue }
                return "Init:" + Self.terminationReason(terminated)
            }
            if sidecars.contains(status["name"]?.stringValue ?? ""), status["started"] == true { continue }
            let waiting = status.value(at: ["state", "waiting", "reason"])?.stringValue ?? ""
            if !waiting.isEmpty, waiting != "PodInitializing" { return "Init:" + waiting }
            return "Init:\(index)/\(total)"
        }
        return nil
    }

    private static func terminationReason(_ terminated: JSONValue) -> String {
        if let reason = terminated["reason"]?.stringValue, !reason.isEmpty { return reason }
        if let signal = terminated["signal"]?.intValue, signal != 0 { return "Signal:\(signal)" }
        return "ExitCode:\(terminated["exitCode"]?.intValue ?? 0)"
    }

    private var podRestarts: String {
        let statuses =
            list("status", "containerStatuses")
            + list("status", "initContainerStatuses").filter {
                sidecars.contains($0["name"]?.stringValue ?? "")
            }
        let count = statuses.reduce(0) { $0 + ($1["restartCount"]?.intValue ?? 0) }
        let last = statuses.compactMap {
            $0.value(at: ["lastState", "terminated", "finishedAt"])?.stringValue.flatMap(Timestamp.parse)
        }.max()
        guard count > 0, let last else { return String(count) }
        return "\(count) (\(AgeText.text(seconds: Int(now.timeIntervalSince(last)))) ago)"
    }
}
