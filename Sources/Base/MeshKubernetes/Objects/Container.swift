// One container of a pod: its command, environment, ports, probes and limits.

public import MeshModel

/// A process with an image, mounts and an environment.
public struct Container: KubernetesValue {
    public var name: String = "", image: String?, command: [String]?, args: [String]?, workingDir: String?
    public var ports: [ContainerPort]?, env: [EnvVar]?, envFrom: [EnvFromSource]?,
        resources: ResourceRequirements?
    public var volumeMounts: [VolumeMount]?, livenessProbe: Probe?, readinessProbe: Probe?,
        startupProbe: Probe?
    public var lifecycle: Lifecycle?, terminationMessagePath: String?, terminationMessagePolicy: String?
    public var imagePullPolicy: String?, securityContext: SecurityContext?, restartPolicy: String?,
        stdin: Bool?
    public var stdinOnce: Bool?, tty: Bool?

    public init() {}
}

/// A port a container listens on.
public struct ContainerPort: KubernetesValue {
    public var name: String?, containerPort: Int = 0, `protocol`: String?, hostPort: Int?, hostIP: String?

    public init() {}

    public init(
        name: String? = nil, containerPort: Int, protocol: String? = nil, hostPort: Int? = nil,
        hostIP: String? = nil
    ) {
        self.name = name
        self.containerPort = containerPort
        self.protocol = `protocol`
        self.hostPort = hostPort
        self.hostIP = hostIP
    }
}

/// One environment variable, literal or looked up.
public struct EnvVar: KubernetesValue {
    public var name: String = "", value: String?, valueFrom: EnvVarSource?

    public init() {}

    public init(name: String, value: String? = nil, valueFrom: EnvVarSource? = nil) {
        self.name = name
        self.value = value
        self.valueFrom = valueFrom
    }
}

/// Where the value of a variable comes from; exactly one is set.
public struct EnvVarSource: KubernetesValue {
    public var fieldRef: ObjectFieldSelector?, resourceFieldRef: ResourceFieldSelector?
    public var configMapKeyRef: KeySelector?, secretKeyRef: KeySelector?

    public init() {}

    public init(
        fieldRef: ObjectFieldSelector? = nil, resourceFieldRef: ResourceFieldSelector? = nil,
        configMapKeyRef: KeySelector? = nil, secretKeyRef: KeySelector? = nil
    ) {
        self.fieldRef = fieldRef
        self.resourceFieldRef = resourceFieldRef
        self.configMapKeyRef = configMapKeyRef
        self.secretKeyRef = secretKeyRef
    }
}

/// A field of the pod itself, such as `metadata.name`.
public struct ObjectFieldSelector: KubernetesValue {
    public var apiVersion: String?, fieldPath: String = ""

    public init() {}

    public init(apiVersion: String? = nil, fieldPath: String) {
        self.apiVersion = apiVersion
        self.fieldPath = fieldPath
    }
}

/// A limit or request of a container.
public struct ResourceFieldSelector: KubernetesValue {
    public var containerName: String?, resource: String = "", divisor: IntOrString?

    public init() {}

    public init(containerName: String? = nil, resource: String, divisor: IntOrString? = nil) {
        self.containerName = containerName
        self.resource = resource
        self.divisor = divisor
    }
}

/// A key of a ConfigMap or Secret in the same namespace.
public struct KeySelector: KubernetesValue {
    public var name: String?, key: String = "", optional: Bool?

    public init() {}

    public init(name: String? = nil, key: String, optional: Bool? = nil) {
        self.name = name
        self.key = key
        self.optional = optional
    }
}

/// Every key of a ConfigMap or Secret as a variable.
public struct EnvFromSource: KubernetesValue {
    public var prefix: String?, configMapRef: EnvSourceReference?, secretRef: EnvSourceReference?

    public init() {}

    public init(
        prefix: String? = nil, configMapRef: EnvSourceReference? = nil,
        secretRef:
            EnvSourceReference? = nil
    ) {
        self.prefix = prefix
        self.configMapRef = configMapRef
        self.secretRef = secretRef
    }
}

/// The ConfigMap or Secret of an `EnvFromSource`.
public struct EnvSourceReference: KubernetesValue {
    public var name: String?, optional: Bool?

    public init() {}

    public init(name: String? = nil, optional: Bool? = nil) {
        self.name = name
        self.optional = optional
    }
}

/// What a container needs at least, and may use at most.
public struct ResourceRequirements: KubernetesValue {
    public var limits: [String: IntOrString]?, requests: [String: IntOrString]?

    public init() {}

    public init(limits: [String: IntOrString]? = nil, requests: [String: IntOrString]? = nil) {
        self.limits = limits
        self.requests = requests
    }
}

/// Where a volume appears inside a container.
public struct VolumeMount: KubernetesValue {
    public var name: String = "", mountPath: String = "", subPath: String?, subPathExpr: String?,
        readOnly: Bool?
    public var mountPropagation: String?

    public init() {}

    public init(
        name: String, mountPath: String, subPath: String? = nil, subPathExpr: String? = nil,
        readOnly: Bool? = nil, mountPropagation: String? = nil
    ) {
        self.name = name
        self.mountPath = mountPath
        self.subPath = subPath
        self.subPathExpr = subPathExpr
        self.readOnly = readOnly
        self.mountPropagation = mountPropagation
    }
}

/// A periodic health question; one of the four actions is set. Times in seconds.
public struct Probe: KubernetesValue {
    public var httpGet: HTTPGetAction?, tcpSocket: TCPSocketAction?, exec: ExecAction?, grpc: GRPCAction?
    public var initialDelaySeconds: Int?, timeoutSeconds: Int?, periodSeconds: Int?, successThreshold: Int?
    public var failureThreshold: Int?, terminationGracePeriodSeconds: Int?

    public init() {}
}

/// Healthy when a GET answers 200 to 399.
public struct HTTPGetAction: KubernetesValue {
    public var path: String?, port: IntOrString = .int(0), host: String?, scheme: String?
    public var httpHeaders: [HTTPHeader]?

    public init() {}

    public init(
        path: String? = nil, port: IntOrString, host: String? = nil, scheme: String? = nil,
        httpHeaders: [HTTPHeader]? = nil
    ) {
        self.path = path
        self.port = port
        self.host = host
        self.scheme = scheme
        self.httpHeaders = httpHeaders
    }
}

/// One header of a probe's request.
public struct HTTPHeader: KubernetesValue {
    public var name: String = "", value: String = ""

    public init() {}

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// Healthy when the port accepts a connection.
public struct TCPSocketAction: KubernetesValue {
    public var port: IntOrString = .int(0), host: String?

    public init() {}

    public init(port: IntOrString, host: String? = nil) {
        self.port = port
        self.host = host
    }
}

/// Healthy when the command exits with 0.
public struct ExecAction: KubernetesValue {
    public var command: [String]?

    public init() {}

    public init(command: [String]? = nil) {
        self.command = command
    }
}

/// Healthy when the gRPC health service says SERVING.
public struct GRPCAction: KubernetesValue {
    public var port: Int = 0, service: String?

    public init() {}

    public init(port: Int, service: String? = nil) {
        self.port = port
        self.service = service
    }
}

/// Actions after start and before stop.
public struct Lifecycle: KubernetesValue {
    public var postStart: LifecycleHandler?, preStop: LifecycleHandler?

    public init() {}

    public init(postStart: LifecycleHandler? = nil, preStop: LifecycleHandler? = nil) {
        self.postStart = postStart
        self.preStop = preStop
    }
}

/// One of the actions is set.
public struct LifecycleHandler: KubernetesValue {
    public var exec: ExecAction?, httpGet: HTTPGetAction?, tcpSocket: TCPSocketAction?, sleep: SleepAction?

    public init() {}

    public init(
        exec: ExecAction? = nil, httpGet: HTTPGetAction? = nil, tcpSocket: TCPSocketAction? = nil,
        sleep: SleepAction? = nil
    ) {
        self.exec = exec
        self.httpGet = httpGet
        self.tcpSocket = tcpSocket
        self.sleep = sleep
    }
}

/// Waits.
public struct SleepAction: KubernetesValue {
    public var seconds: Int = 0

    public init() {}

    public init(seconds: Int) {
        self.seconds = seconds
    }
}

/// Security settings of one container.
public struct SecurityContext: KubernetesValue {
    public var runAsUser: Int?, runAsGroup: Int?, runAsNonRoot: Bool?, privileged: Bool?
    public var readOnlyRootFilesystem: Bool?, allowPrivilegeEscalation: Bool?, capabilities: Capabilities?
    public var procMount: String?, seccompProfile: JSONValue?

    public init() {}
}

/// Linux capabilities to add to or drop from the default set.
public struct Capabilities: KubernetesValue {
    public var add: [String]?, drop: [String]?

    public init() {}

    public init(add: [String]? = nil, drop: [String]? = nil) {
        self.add = add
        self.drop = drop
    }
}
