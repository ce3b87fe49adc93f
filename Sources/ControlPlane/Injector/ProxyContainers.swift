// The two containers that injection adds, and the settings that shape them: the cluster's defaults, each
// overridden by the pod's `config.linkerd.io/` annotation of the matching name. An annotation that cannot be
// read is ignored, so that a typo never keeps a workload from starting.

import MeshModel

/// Settings of one injection: defaults and the pod's annotations.
struct ProxySettings {
    let values: InjectionValues
    private let annotations: [String: JSONValue]

    init(values: InjectionValues, annotations: [String: JSONValue]) {
        self.values = values
        self.annotations = annotations
    }

    func text(_ name: String) -> String? {
        annotations["config.linkerd.io/" + name]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    }

    func port(_ name: String, default fallback: Int) -> Int {
        text(name).flatMap { UInt16($0) }.flatMap { $0 > 0 ? Int($0) : nil } ?? fallback
    }

    func isTrue(_ name: String) -> Bool { text(name) == "true" || text(name) == "enabled" }

    /// A Go duration rewritten in whole milliseconds, the unit the proxy reads everywhere.
    func milliseconds(_ name: String) -> String? {
        text(name).flatMap(GoDuration.parse).map { "\($0.milliseconds)ms" }
    }

    var inboundPort: Int { port("inbound-port", default: values.inboundPort) }
    var outboundPort: Int { port("outbound-port", default: values.outboundPort) }
    var controlPort: Int { port("control-port", default: values.controlPort) }
    var adminPort: Int { port("admin-port", default: values.adminPort) }
    var proxyUID: Int { text("proxy-uid").flatMap { Int($0) } ?? values.proxyUID }
    var proxyVersion: String { text("proxy-version") ?? values.proxyVersion }
    var pullPolicy: String { text("image-pull-policy") ?? values.imagePullPolicy }
    var isIngress: Bool { annotations["linkerd.io/inject"]?.stringValue == "ingress" }
}

/// Builds `linkerd-init` and `linkerd-proxy`.
struct ProxyContainers {
    static let lockVolume = "linkerd-proxy-init-xtables-lock"
    static let tokenVolume = "linkerd-identity-token"
    /// Where the proxy finds the token that it shows the identity controller.
    private static let tokenDirectory = "/var/run/secrets/tokens"
    /// Who the token is for; no other service takes it.
    private static let tokenAudience = "identity.l5d.io"

    let settings: ProxySettings
    let template: JSONValue

    /// The init container that redirects the pod's traffic to the proxy.
    func initContainer() -> JSONValue {
        let own = ["\(settings.controlPort)", "\(settings.adminPort)"]
        let inbound =
            own + PortList.valid(settings.text("skip-inbound-ports") ?? settings.values.skipInboundPorts)
        let outbound = PortList.valid(
            settings.text("skip-outbound-ports") ?? settings.values.skipOutboundPorts)
        var args = [
            "--incoming-proxy-port", "\(settings.inboundPort)", "--outgoing-proxy-port",
            "\(settings.outboundPort)",
            "--proxy-uid", "\(settings.proxyUID)", "--inbound-ports-to-ignore",
            inbound.joined(separator: ","),
        ]
        if !outbound.isEmpty { args += ["--outbound-ports-to-ignore", outbound.joined(separator: ",")] }
        if let subnets = settings.text("skip-subnets") { args += ["--subnets-to-ignore", subnets] }
        let version = settings.text("init-image-version") ?? settings.values.initVersion
        return [
            "name": "linkerd-init",
            "image": .string("\(settings.text("init-image") ?? settings.values.initImage):\(version)"),
            "imagePullPolicy": .string(settings.pullPolicy),
            "args": .array(args.map(JSONValue.string)),
            "resources": [
                "limits": ["cpu": "100m", "memory": "50Mi"], "requests": ["cpu": "10m", "memory": "10Mi"],
            ],
            "securityContext": [
                "allowPrivilegeEscalation": false, "capabilities": ["add": ["NET_ADMIN", "NET_RAW"]],
                "privileged": false, "readOnlyRootFilesystem": true, "runAsNonRoot": false, "runAsUser": 0,
            ],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [["mountPath": "/run", "name": .string(Self.lockVolume)]],
        ]
    }

    /// The sidecar.
    func proxyContainer() -> JSONValue {
        let admin = JSONValue.int(Int64(settings.adminPort))
        var container: JSONValue = [
            "name": "linkerd-proxy",
            "image": .string(
                "\(settings.text("proxy-image") ?? settings.values.proxyImage):\(settings.proxyVersion)"),
            "imagePullPolicy": .string(settings.pullPolicy),
            "env": .array(environment()),
            "ports": [
                ["containerPort": .int(Int64(settings.inboundPort)), "name": "linkerd-proxy"],
                ["containerPort": admin, "name": "linkerd-admin"],
            ],
            "livenessProbe": ["httpGet": ["path": "/live", "port": admin], "initialDelaySeconds": 10],
            "readinessProbe": ["httpGet": ["path": "/ready", "port": admin], "initialDelaySeconds": 2],
            "securityContext": [
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
                "runAsUser": .int(Int64(settings.proxyUID)), "seccompProfile": ["type": "RuntimeDefault"],
            ],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        ]
        if let resources = resources() { container["resources"] = resources }
        if settings.values.trustAnchorsPEM != nil {
            container["volumeMounts"] = [
                ["mountPath": .string(Self.tokenDirectory), "name": .string(Self.tokenVolume)]
            ]
        }
        return container
    }

    /// Volumes of both containers.
    func volumes() -> [JSONValue] {
        let lock: JSONValue = ["emptyDir": [:], "name": .string(Self.lockVolume)]
        guard settings.values.trustAnchorsPEM != nil else { return [lock] }
        let token: JSONValue = [
            "audience": .string(Self.tokenAudience), "expirationSeconds": 86_400,
            "path": "linkerd-identity-token",
        ]
        return [
            lock,
            ["name": .string(Self.tokenVolume), "projected": ["sources": [["serviceAccountToken": token]]]],
        ]
    }

    private func resources() -> JSONValue? {
        var resources = JSONValue.object([:])
        for (bound, suffix) in [("requests", "request"), ("limits", "limit")] {
            for (resource, name) in [
                ("cpu", "proxy-cpu"), ("memory", "proxy-memory"),
                ("ephemeral-storage", "proxy-ephemeral-storage"),
            ] {
                guard let quantity = settings.text("\(name)-\(suffix)") else { continue }
                resources.set(.string(quantity), at: [bound, resource])
            }
        }
        guard resources != [:] else { return nil }
        return resources
    }

    // MARK: Environment

    private func environment() -> [JSONValue] {
        func field(_ name: String, _ path: String) -> JSONValue {
            ["name": .string(name), "valueFrom": ["fieldRef": ["fieldPath": .string(path)]]]
        }
        let downward = [
            field("_pod_name", "metadata.name"), field("_pod_ns", "metadata.namespace"),
            field("_pod_nodeName", "spec.nodeName"),
        ] + (settings.values.trustAnchorsPEM == nil ? [] : [field("_pod_sa", "spec.serviceAccountName")])
        let ips = field("LINKERD2_PROXY_INBOUND_IPS", "status.podIPs")
        let pairs =
            destinationEnvironment() + listenEnvironment() + identityEnvironment() + optionalEnvironment()
        return downward
            + pairs.map { ["name": .string("LINKERD2_PROXY_" + $0), "value": .string($1)] } + [ips]
    }

    private func destinationEnvironment() -> [(String, String)] {
        let values = settings.values
        let suffixes = settings.isTrue("enable-external-profiles") ? "." : "svc.\(values.clusterDomain)."
        return [
            ("LOG", settings.text("proxy-log-level") ?? values.logLevel),
            ("LOG_FORMAT", settings.text("proxy-log-format") ?? values.logFormat),
            ("DESTINATION_SVC_ADDR", controller("destination", service: "linkerd-dst-headless", port: 8_086)),
            ("DESTINATION_PROFILE_NETWORKS", values.clusterNetworks),
            ("DESTINATION_PROFILE_SUFFIXES", suffixes),
            (
                "DESTINATION_CONTEXT",
                #"{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}"#
            ),
        ]
    }

    private func listenEnvironment() -> [(String, String)] {
        let opaque = settings.text("opaque-ports") ?? settings.values.opaquePorts
        return [
            ("CONTROL_LISTEN_ADDR", "0.0.0.0:\(settings.controlPort)"),
            ("ADMIN_LISTEN_ADDR", "0.0.0.0:\(settings.adminPort)"),
            ("OUTBOUND_LISTEN_ADDR", "127.0.0.1:\(settings.outboundPort)"),
            ("INBOUND_LISTEN_ADDR", "0.0.0.0:\(settings.inboundPort)"),
            ("INBOUND_CONNECT_TIMEOUT", settings.milliseconds("proxy-inbound-connect-timeout") ?? "100ms"),
            ("OUTBOUND_CONNECT_TIMEOUT", settings.milliseconds("proxy-outbound-connect-timeout") ?? "1000ms"),
            ("INBOUND_ACCEPT_KEEPALIVE", "10000ms"),
            ("OUTBOUND_CONNECT_KEEPALIVE", "10000ms"),
            ("INBOUND_PORTS", PodTemplate.inboundPorts(of: template)),
            (
                "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION",
                PodTemplate.resolvingNames(in: opaque, of: template)
            ),
        ].filter { !$0.1.isEmpty }
    }

    /// Where a controller is: inside its own pod on loopback, since it serves its own proxy too.
    private func controller(_ component: String, service: String, port: Int) -> String {
        let values = settings.values
        let own = template.value(at: ["metadata", "labels", "linkerd.io/control-plane-component"])
        if own?.stringValue == component { return "localhost.:\(port)" }
        return "\(service).\(values.controlPlaneNamespace).svc.\(values.clusterDomain).:\(port)"
    }

    private func identityEnvironment() -> [(String, String)] {
        guard let anchors = settings.values.trustAnchorsPEM else { return [("IDENTITY_DISABLED", "disabled")] }
        let values = settings.values
        func name(_ account: String, _ namespace: String) -> String {
            "\(account).\(namespace).serviceaccount.identity.\(values.controlPlaneNamespace).\(values.trustDomain)"
        }
        return [
            ("IDENTITY_TRUST_ANCHORS", anchors),
            ("IDENTITY_TOKEN_FILE", Self.tokenDirectory + "/linkerd-identity-token"),
            ("IDENTITY_SVC_ADDR", controller("identity", service: "linkerd-identity-headless", port: 8_080)),
            ("IDENTITY_LOCAL_NAME", name("$(_pod_sa)", "$(_pod_ns)")),
            ("IDENTITY_SVC_NAME", name("linkerd-identity", values.controlPlaneNamespace)),
            ("DESTINATION_SVC_NAME", name("linkerd-destination", values.controlPlaneNamespace)),
        ]
    }

    private func optionalEnvironment() -> [(String, String)] {
        var pairs: [(String, String)] = []
        if let cores = settings.text("proxy-cpu-limit").flatMap(Self.wholeCores) {
            pairs.append(("CORES", "\(cores)"))
        }
        if settings.isIngress { pairs.append(("INGRESS_MODE", "true")) }
        for direction in ["inbound", "outbound"]
        where settings.isTrue("proxy-disable-\(direction)-protocol-detect-timeout") {
            pairs.append(("\(direction.uppercased())_DETECT_TIMEOUT", "365d"))
        }
        if let format = settings.text("access-log") { pairs.append(("ACCESS_LOG", format)) }
        if let grace = settings.milliseconds("shutdown-grace-period") {
            pairs.append(("SHUTDOWN_GRACE_PERIOD", grace))
        }
        return pairs
    }

    /// A CPU quantity (`250m`, `1.5`, `2`) rounded up to whole cores; `nil` when unreadable or not positive.
    static func wholeCores(_ quantity: String) -> Int? {
        let thousandths =
            quantity.hasSuffix("m") ? Double(quantity.dropLast()) : Double(quantity).map { $0 * 1_000 }
        guard let thousandths, thousandths > 0, thousandths < 1e9 else { return nil }
        return Int((thousandths / 1_000).rounded(.up))
    }
}
