package import MeshAPI
package import MeshModel
import SwiftProtobuf

/// Linkerd's dashboard JSON: the proto3 mapping with every unset scalar written out, 64-bit integers as
/// text, unset messages as `null`, and unset members of a `oneof` left out.
/// Source: proto3 JSON mapping, https://protobuf.dev/programming-guides/json/
package enum LinkerdJSON {
    /// `{"ok":{"statTables":[…]}}`, as `/api/tps-reports` answers.
    package static func statSummary(_ response: Linkerd2_Viz_StatSummaryResponse.Ok) -> JSONValue {
        ["ok": ["statTables": .array(response.statTables.map(table))]]
    }

    /// `{"pods":[…]}`, as `/api/pods` answers.
    package static func pods(_ response: Linkerd2_Viz_ListPodsResponse) -> JSONValue {
        ["pods": .array(response.pods.map(pod))]
    }

    /// `{"services":[…]}`, as `/api/services` answers.
    package static func services(_ response: Linkerd2_Viz_ListServicesResponse) -> JSONValue {
        let services = response.services.map { service -> JSONValue in
            ["name": .string(service.name), "namespace": .string(service.namespace)]
        }
        return ["services": .array(services)]
    }

    /// `{"ok":{"edges":[…]}}`, as `/api/edges` answers.
    package static func edges(_ response: Linkerd2_Viz_EdgesResponse.Ok) -> JSONValue {
        let edges = response.edges.map { edge -> JSONValue in
            [
                "src": edge.hasSrc ? resource(edge.src) : .null,
                "dst": edge.hasDst ? resource(edge.dst) : .null,
                "clientId": .string(edge.clientID), "serverId": .string(edge.serverID),
                "noIdentityMsg": .string(edge.noIdentityMsg),
            ]
        }
        return ["ok": ["edges": .array(edges)]]
    }

    /// `{"success":…,"results":{<subsystem>:[…]}}`, as `/api/check` answers.
    package static func check(_ response: Linkerd2_Viz_SelfCheckResponse) -> JSONValue {
        var categories: [String: [JSONValue]] = [:]
        for result in response.results {
            let failed = result.status != .ok
            categories[result.subsystemName, default: []].append([
                "Category": .string(result.subsystemName), "Description": .string(result.checkDescription),
                "Retry": false, "Warning": false, "Err": failed ? .object([:]) : .null,
                "ErrMsg": .string(result.friendlyMessageToUser), "HintURL": "",
            ])
        }
        let success = response.results.allSatisfy { $0.status == .ok }
        return ["success": .bool(success), "results": .object(categories.mapValues(JSONValue.array))]
    }

    /// A resource reference.
    package static func resource(_ resource: Linkerd2_Viz_Resource) -> JSONValue {
        [
            "namespace": .string(resource.namespace), "type": .string(resource.type),
            "name": .string(resource.name),
        ]
    }

    private static func table(_ table: Linkerd2_Viz_StatTable) -> JSONValue {
        guard case .podGroup(let group) = table.table else { return [:] }
        return ["podGroup": ["rows": .array(group.rows.map(row))]]
    }

    private static func row(_ row: Linkerd2_Viz_StatTable.PodGroup.Row) -> JSONValue {
        [
            "resource": row.hasResource ? resource(row.resource) : .null,
            "timeWindow": .string(row.timeWindow), "status": .string(row.status),
            "meshedPodCount": text(row.meshedPodCount), "runningPodCount": text(row.runningPodCount),
            "failedPodCount": text(row.failedPodCount),
            "stats": row.hasStats ? basicStats(row.stats) : .null,
            "tcpStats": row.hasTcpStats ? tcpStats(row.tcpStats) : .null,
            "tsStats": row.hasTsStats ? splitStats(row.tsStats) : .null,
            "srvStats": row.hasSrvStats ? serverStats(row.srvStats) : .null,
            "errorsByPod": .object(row.errorsByPod.mapValues(podErrors)),
        ]
    }

    private static func basicStats(_ stats: Linkerd2_Viz_BasicStats) -> JSONValue {
        [
            "successCount": text(stats.successCount), "failureCount": text(stats.failureCount),
            "latencyMsP50": text(stats.latencyMsP50), "latencyMsP95": text(stats.latencyMsP95),
            "latencyMsP99": text(stats.latencyMsP99),
            "actualSuccessCount": text(stats.actualSuccessCount),
            "actualFailureCount": text(stats.actualFailureCount),
        ]
    }

    private static func tcpStats(_ stats: Linkerd2_Viz_TcpStats) -> JSONValue {
        [
            "openConnections": text(stats.openConnections), "readBytesTotal": text(stats.readBytesTotal),
            "writeBytesTotal": text(stats.writeBytesTotal),
        ]
    }

    private static func splitStats(_ stats: Linkerd2_Viz_TrafficSplitStats) -> JSONValue {
        ["apex": .string(stats.apex), "leaf": .string(stats.leaf), "weight": .string(stats.weight)]
    }

    private static func serverStats(_ stats: Linkerd2_Viz_ServerStats) -> JSONValue {
        [
            "allowedCount": text(stats.allowedCount), "deniedCount": text(stats.deniedCount),
            "srv": stats.hasSrv ? resource(stats.srv) : .null,
            "route": stats.hasRoute ? resource(stats.route) : .null,
            "authz": stats.hasAuthz ? resource(stats.authz) : .null,
        ]
    }

    private static func podErrors(_ errors: Linkerd2_Viz_PodErrors) -> JSONValue {
        let list = errors.errors.map { error -> JSONValue in
            guard case .container(let container) = error.error else { return [:] }
            return [
                "container": [
                    "message": .string(container.message), "container": .string(container.container),
                    "image": .string(container.image), "reason": .string(container.reason),
                ]
            ]
        }
        return ["errors": .array(list)]
    }

    private static func pod(_ pod: Linkerd2_Viz_Pod) -> JSONValue {
        var json: JSONValue = [
            "name": .string(pod.name), "podIP": .string(pod.podIp), "status": .string(pod.status),
            "added": .bool(pod.added), "controllerNamespace": .string(pod.controllerNamespace),
            "controlPlane": .bool(pod.controlPlane), "proxyReady": .bool(pod.proxyReady),
            "proxyVersion": .string(pod.proxyVersion), "resourceVersion": .string(pod.resourceVersion),
            "sinceLastReport": pod.hasSinceLastReport ? duration(pod.sinceLastReport) : .null,
            "uptime": pod.hasUptime ? duration(pod.uptime) : .null,
        ]
        switch pod.owner {
        case .deployment(let name): json["deployment"] = .string(name)
        case .replicaSet(let name): json["replicaSet"] = .string(name)
        case .replicationController(let name): json["replicationController"] = .string(name)
        case .statefulSet(let name): json["statefulSet"] = .string(name)
        case .daemonSet(let name): json["daemonSet"] = .string(name)
        case .job(let name): json["job"] = .string(name)
        case nil: break
        }
        return json
    }

    /// Seconds with 0, 3, 6 or 9 decimals and an `s`, as the mapping has it.
    private static func duration(_ duration: Google_Protobuf_Duration) -> JSONValue {
        let negative = duration.seconds < 0 || duration.nanos < 0
        var digits = String(duration.nanos.magnitude)
        digits = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
        while digits.hasSuffix("000") { digits.removeLast(3) }
        let fraction = digits.isEmpty ? "" : "." + digits
        return .string("\(negative ? "-" : "")\(duration.seconds.magnitude)\(fraction)s")
    }

    private static func text(_ count: UInt64) -> JSONValue { .string(String(count)) }
}
