import Destination
import MeshAPI
import MeshKubernetes

let webKey = ObjectKey(namespace: "shop", name: "web")

/// A service with the ports given as `port` or `port:name`.
func service(
    _ name: String = "web", clusterIP: String = "10.96.0.7", ports: [(Int, String?)] = [(80, nil)],
    annotations: [String: String]? = nil, type: String? = nil, _ fill: (inout ServiceSpec) -> Void = { _ in }
) -> Service {
    Service {
        $0.metadata.name = name
        $0.metadata.namespace = "shop"
        $0.metadata.annotations = annotations
        $0.spec = ServiceSpec {
            $0.clusterIP = clusterIP
            $0.type = type
            $0.ports = ports.map { number, name in
                ServicePort {
                    $0.port = number
                    $0.name = name
                }
            }
            fill(&$0)
        }
    }
}

/// One endpoint of a slice.
func endpoint(
    _ ip: String, pod: String? = nil, ready: Bool? = true, hostname: String? = nil, node: String? = nil,
    zone: String? = nil, uid: String? = nil
) -> SliceEndpoint {
    SliceEndpoint {
        $0.addresses = [ip]
        $0.conditions = EndpointConditions(ready: ready)
        $0.hostname = hostname
        $0.nodeName = node
        $0.zone = zone
        $0.targetRef = pod.map { name in
            ObjectReference {
                $0.kind = "Pod"
                $0.name = name
                $0.namespace = "shop"
                $0.uid = uid
            }
        }
    }
}

/// A slice of the service `web`.
func slice(
    _ name: String = "web-1", ports: [(Int, String?)] = [(8_080, nil)], _ endpoints: SliceEndpoint...
) -> EndpointSlice {
    EndpointSlice {
        $0.metadata.name = name
        $0.metadata.namespace = "shop"
        $0.metadata.labels = ["kubernetes.io/service-name": "web"]
        $0.endpoints = endpoints
        $0.ports = ports.map { number, name in EndpointPort(name: name, port: number, protocol: "TCP") }
    }
}

/// A running pod of the replica set `web-abc`.
func pod(
    _ name: String, ip: String, isMeshed: Bool = false, annotations: [String: String]? = nil,
    owner: (kind: String, name: String)? = ("ReplicaSet", "web-abc"), uid: String? = nil,
    _ fill: (inout Pod) -> Void = { _ in }
) -> Pod {
    Pod {
        $0.metadata.name = name
        $0.metadata.namespace = "shop"
        $0.metadata.uid = uid
        $0.metadata.annotations = annotations
        $0.metadata.labels = ["pod-template-hash": "abc"]
        if isMeshed { $0.metadata.labels?["linkerd.io/control-plane-ns"] = "linkerd" }
        $0.metadata.ownerReferences = owner.map { kind, name in
            [
                OwnerReference {
                    $0.kind = kind
                    $0.name = name
                }
            ]
        }
        let app = Container {
            $0.name = "app"
            $0.ports = [
                ContainerPort {
                    $0.name = "db"
                    $0.containerPort = 9_000
                }
            ]
        }
        let proxy = Container {
            $0.name = "linkerd-proxy"
            $0.env = [
                EnvVar {
                    $0.name = "LINKERD2_PROXY_INBOUND_LISTEN_ADDR"
                    $0.value = "[::]:4143"
                },
                EnvVar {
                    $0.name = "LINKERD2_PROXY_ADMIN_LISTEN_ADDR"
                    $0.value = "[::]:4191"
                },
            ]
        }
        $0.spec = PodSpec {
            $0.serviceAccountName = "web-sa"
            $0.containers = isMeshed ? [app, proxy] : [app]
        }
        $0.status = PodStatus {
            $0.phase = "Running"
            $0.podIP = ip
            $0.hostIP = "192.168.0.1"
        }
        fill(&$0)
    }
}

extension ClusterState {
    /// Adds an object of any kind that discovery knows.
    @discardableResult
    mutating func add(_ object: any KubernetesObject) -> Set<Topic> {
        switch object {
        case let object as Service: setService(object.key, object)
        case let object as EndpointSlice: setSlice(object.key, object)
        case let object as Pod: setPod(object.key, object)
        default: []
        }
    }

    /// Says that the replica set `web-abc` belongs to the deployment `web`.
    @discardableResult
    mutating func addDeployment() -> Set<Topic> {
        setOwner(
            kind: "ReplicaSet", ObjectKey(namespace: "shop", name: "web-abc"),
            ObjectMeta {
                $0.ownerReferences = [
                    OwnerReference {
                        $0.kind = "Deployment"
                        $0.name = "web"
                    }
                ]
            })
    }
}

/// A state with the objects given and the deployment `web`.
func state(_ objects: any KubernetesObject...) -> ClusterState {
    var state = ClusterState()
    for object in objects { state.add(object) }
    state.addDeployment()
    return state
}

func socket(_ text: String, _ port: Int) -> SocketAddress {
    SocketAddress(ip: IPAddress(text) ?? .v4(0), port: port)
}
