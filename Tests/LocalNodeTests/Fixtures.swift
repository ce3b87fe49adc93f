import LocalNode
import MeshKubernetes

/// Objects in namespace `shop`.
enum Fixtures {
    static func service(_ name: String, address: String, ports: [ServicePort]) -> Service {
        Service {
            $0.metadata.name = name
            $0.metadata.namespace = "shop"
            $0.spec = ServiceSpec {
                $0.clusterIP = address
                $0.ports = ports
            }
        }
    }

    static func slice(
        _ service: String, port: (String, Int),
        endpoints: [(address: String, isReady: Bool, hostname: String?)]
    ) -> EndpointSlice {
        EndpointSlice {
            $0.metadata.name = service + "-1"
            $0.metadata.namespace = "shop"
            $0.metadata.labels = ["kubernetes.io/service-name": service]
            $0.ports = [
                EndpointPort {
                    $0.name = port.0; $0.port = port.1
                }
            ]
            $0.endpoints = endpoints.map { endpoint in
                SliceEndpoint {
                    $0.addresses = [endpoint.address]
                    $0.hostname = endpoint.hostname
                    $0.conditions = EndpointConditions(ready: endpoint.isReady)
                }
            }
        }
    }

    static func run(_ attempt: Int = 0, exit code: Int32? = nil, ranSeconds: Int64 = 1) -> ContainerRun {
        var run = ContainerRun(attempt: attempt, process: 7, startedAt: Timestamp(seconds: 1_000))
        guard let code else { return run }
        run.state = .exited
        run.exitCode = code
        run.finishedAt = Timestamp(seconds: 1_000 + ranSeconds)
        return run
    }
}
