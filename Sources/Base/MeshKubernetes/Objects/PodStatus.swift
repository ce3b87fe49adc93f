// What was last observed of a pod and its containers.

/// The observed state of a pod.
public struct PodStatus: KubernetesValue {
    public var phase: String?, conditions: [Condition]?, message: String?, reason: String?
    public var nominatedNodeName: String?, hostIP: String?, hostIPs: [PodIP]?, podIP: String?,
        podIPs: [PodIP]?
    public var startTime: String?, qosClass: String?, initContainerStatuses: [ContainerStatus]?
    public var containerStatuses: [ContainerStatus]?, ephemeralContainerStatuses: [ContainerStatus]?
    public var observedGeneration: Int?

    public init() {}
}

/// One of a pod's addresses.
public struct PodIP: KubernetesValue {
    public var ip: String?

    public init() {}

    public init(ip: String? = nil) {
        self.ip = ip
    }
}

/// The observed state of one container.
public struct ContainerStatus: KubernetesValue {
    public var name: String = "", state: ContainerState?, lastState: ContainerState?, ready: Bool?,
        started: Bool?
    public var restartCount: Int?, image: String?, imageID: String?, containerID: String?

    public init() {}
}

/// Exactly one of the three is set.
public struct ContainerState: KubernetesValue {
    public var waiting: ContainerStateWaiting?, running: ContainerStateRunning?
    public var terminated: ContainerStateTerminated?

    public init() {}

    public init(
        waiting: ContainerStateWaiting? = nil, running: ContainerStateRunning? = nil,
        terminated:
            ContainerStateTerminated? = nil
    ) {
        self.waiting = waiting
        self.running = running
        self.terminated = terminated
    }
}

/// Why a container does not run yet.
public struct ContainerStateWaiting: KubernetesValue {
    public var reason: String?, message: String?

    public init() {}

    public init(reason: String? = nil, message: String? = nil) {
        self.reason = reason
        self.message = message
    }
}

/// Since when a container runs.
public struct ContainerStateRunning: KubernetesValue {
    public var startedAt: String?

    public init() {}

    public init(startedAt: String? = nil) {
        self.startedAt = startedAt
    }
}

/// How a container ended.
public struct ContainerStateTerminated: KubernetesValue {
    public var exitCode: Int = 0, signal: Int?, reason: String?, message: String?, startedAt: String?
    public var finishedAt: String?, containerID: String?

    public init() {}
}
