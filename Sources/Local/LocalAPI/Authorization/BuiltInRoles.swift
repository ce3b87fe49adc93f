// The roles and bindings that every Kubernetes cluster has, as far as this one has what they speak of. Each rule
// is a line: verbs, resources, groups, optional names; `read` and `write` stand for their usual verbs, `core` for
// the empty group, and a resource that opens with `/` is a path.

import MeshModel

/// Roles that exist from the start.
enum BuiltInRoles {
    /// Annotation of objects whose rules are put right at each start.
    static let autoUpdate = "rbac.authorization.kubernetes.io/autoupdate"

    private static let read = ["get", "list", "watch"]
    private static let write = ["create", "delete", "deletecollection", "patch", "update"]
    private static let aggregation = "rbac.authorization.k8s.io/aggregate-to-"

    /// ClusterRoles; those that aggregate come without rules.
    static var clusterRoles: [JSONValue] {
        [
            role("cluster-admin", ["* * *", "* /*"]),
            aggregating("admin", into: []), aggregating("edit", into: ["admin"]), aggregating("view", into: ["edit"]),
            role("system:aggregate-to-admin", adminRules, into: ["admin"]),
            role("system:aggregate-to-edit", editRules, into: ["edit"]),
            role("system:aggregate-to-view", viewRules, into: ["view"]),
            role("system:discovery", ["get /api,/api/*,/apis,/apis/*,/openapi,/openapi/* \(paths)"]),
            role("system:public-info-viewer", ["get \(paths)"]),
            role(
                "system:basic-user",
                [
                    "create selfsubjectaccessreviews,selfsubjectrulesreviews authorization.k8s.io",
                    "create selfsubjectreviews authentication.k8s.io",
                ]),
            role(
                "system:auth-delegator",
                [
                    "create tokenreviews authentication.k8s.io", "create subjectaccessreviews authorization.k8s.io",
                ]),
        ]
    }

    /// The one namespaced role, in kube-system: lets an aggregated API read how its callers are named.
    static var authenticationReader: JSONValue {
        var object = role("extension-apiserver-authentication-reader", [])
        object["rules"] = [
            [
                "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["extension-apiserver-authentication"],
                "verbs": ["get", "list", "watch"],
            ]
        ]
        return object
    }

    /// ClusterRoleBindings.
    static var bindings: [JSONValue] {
        [
            binding("cluster-admin", groups: [AccessPolicy.masters]),
            binding("system:discovery", groups: ["system:authenticated"]),
            binding("system:basic-user", groups: ["system:authenticated"]),
            binding("system:public-info-viewer", groups: ["system:authenticated", "system:unauthenticated"]),
        ]
    }

    private static let paths = "/healthz,/livez,/readyz,/version,/version/"

    private static let adminRules = [
        "create localsubjectaccessreviews authorization.k8s.io",
        "read,write roles,rolebindings rbac.authorization.k8s.io",
    ]

    private static let editRules = [
        "get,list,watch secrets,pods/attach,pods/exec,pods/portforward,pods/proxy,services/proxy core",
        "impersonate serviceaccounts core",
        "write pods,pods/attach,pods/exec,pods/portforward,pods/proxy core",
        "create pods/eviction,serviceaccounts/token core",
        "write configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,"
            + "serviceaccounts,services,services/proxy,endpoints core",
        "write daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,"
            + "statefulsets,statefulsets/scale apps",
        "write horizontalpodautoscalers autoscaling",
        "write cronjobs,jobs batch",
        "write ingresses,networkpolicies networking.k8s.io",
        "write poddisruptionbudgets policy",
        "read,write leases coordination.k8s.io",
    ]

    private static let viewRules = [
        "read configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,"
            + "replicationcontrollers/scale,serviceaccounts,services,services/status core",
        "read bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,"
            + "resourcequotas,resourcequotas/status core",
        "read namespaces core",
        "read endpointslices discovery.k8s.io",
        "read controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,"
            + "replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status apps",
        "read horizontalpodautoscalers,horizontalpodautoscalers/status autoscaling",
        "read cronjobs,cronjobs/status,jobs,jobs/status batch",
        "read ingresses,ingresses/status,networkpolicies networking.k8s.io",
        "read poddisruptionbudgets,poddisruptionbudgets/status policy",
    ]

    private static func metadata(_ name: String, into: [String] = []) -> JSONValue {
        var labels: JSONValue = ["kubernetes.io/bootstrapping": "rbac-defaults"]
        for target in into { labels[aggregation + target] = "true" }
        return ["name": .string(name), "labels": labels, "annotations": [autoUpdate: "true"]]
    }

    private static func role(_ name: String, _ rules: [String], into: [String] = []) -> JSONValue {
        ["metadata": metadata(name, into: into), "rules": .array(rules.map(rule))]
    }

    private static func aggregating(_ name: String, into: [String]) -> JSONValue {
        [
            "metadata": metadata(name, into: into),
            "aggregationRule": ["clusterRoleSelectors": [["matchLabels": [aggregation + name: "true"]]]],
            "rules": [],
        ]
    }

    private static func rule(_ line: String) -> JSONValue {
        let words = line.split(separator: " ").map { $0.split(separator: ",").map(String.init) }
        let verbs = words[0].flatMap { $0 == "read" ? read : $0 == "write" ? write : [$0] }
        func list(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
        let isPath = words[1].first?.hasPrefix("/") ?? false
        if isPath { return ["verbs": list(verbs), "nonResourceURLs": list(words.dropFirst().flatMap { $0.map { $0 == "/*" ? "*" : $0 } })] }
        return [
            "verbs": list(verbs), "resources": list(words[1]),
            "apiGroups": list(words[2].map { $0 == "core" ? "" : $0 }),
        ]
    }

    private static func binding(_ name: String, groups: [String]) -> JSONValue {
        [
            "metadata": metadata(name),
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(name)],
            "subjects": .array(
                groups.map { ["kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": .string($0)] }),
        ]
    }
}
