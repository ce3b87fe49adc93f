import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("E. The node and the API keep their word", .serialized) struct E_Node {
        let cluster = Cluster.shared

        private static func manifest(_ name: String) throws -> String {
            try String(
                contentsOf: Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/\(name)"), encoding: .utf8)
        }

        private func object(_ kind: String, _ name: String, _ namespace: String = "node") async throws -> JSONValue {
            try JSONValue(parsing: try await cluster.kubectl(["get", kind, name, "-n", namespace, "-o", "json"]))
        }

        private func isReady(_ pod: JSONValue) -> Bool {
            let conditions = pod.value(at: ["status", "conditions"])?.arrayValue ?? []
            return conditions.contains { $0["type"] == "Ready" && $0["status"] == "True" }
        }

        @Test("Logs of the run before, hooks, exec probes, and a pod that reaches itself through its Service")
        func node() async throws {
            try await cluster.kubectl(["apply", "-f", "-"], input: Self.manifest("node.yaml"))
            try await eventually(within: 60, "the second run") {
                let pod = try await object("pod", "restarts")
                return pod.value(at: ["status", "containerStatuses"])?[0]?["restartCount"]?.intValue == 1 && isReady(pod)
            }
            #expect(try await cluster.kubectl(["logs", "restarts", "-n", "node", "--previous"]) == "first-run\n")
            #expect(try await cluster.kubectl(["logs", "restarts", "-n", "node"]) == "second-run\n")
            try await eventually(within: 60, "ready by its exec probe, which needs the postStart hook") {
                isReady(try await object("pod", "hooks"))
            }
            #expect(!isReady(try await object("pod", "unhealthy")))
            try await eventually(within: 60, "the pod has reached itself") {
                try await cluster.kubectl(["logs", "hairpin", "-n", "node"]) == "hello-myself\n"
            }
            let events = try await cluster.kubectl(["get", "events", "-n", "node"])
            #expect(events.contains("Readiness probe failed"), "\(events)")
        }

        @Test("Endpoints written by hand are mirrored into slices and routed")
        func mirrors() async throws {
            let address = try await object("pod", "hairpin").value(at: ["status", "podIP"])?.stringValue ?? ""
            let endpoints = """
                apiVersion: v1
                kind: Endpoints
                metadata: {name: by-hand, namespace: node}
                subsets: [{addresses: [{ip: \(address)}], ports: [{port: 8000}]}]
                """
            try await cluster.kubectl(["apply", "-f", "-"], input: endpoints)
            try await eventually(within: 30, "a slice") {
                let slices = try await cluster.kubectl(["get", "endpointslices", "-n", "node", "-l", "kubernetes.io/service-name=by-hand", "-o", "json"])
                return slices.contains(address)
            }
            let client = """
                apiVersion: v1
                kind: Pod
                metadata: {name: visitor, namespace: node}
                spec:
                  restartPolicy: Never
                  containers:
                  - name: app
                    image: linkerd.io/local/host:latest
                    command: [/bin/bash, -c, "for i in $(seq 50); do curl -sf --max-time 2 http://by-hand.node/ && exit 0; sleep 0.3; done; exit 1"]
                """
            try await cluster.kubectl(["apply", "-f", "-"], input: client)
            try await eventually(within: 40, "the visitor came through") {
                try await cluster.kubectl(["logs", "visitor", "-n", "node"]) == "hello-myself\n"
            }
        }

        @Test("A CronJob makes its Job when the minute is full")
        func cron() async throws {
            try await eventually(within: 100, "a finished Job") {
                let list = try await cluster.kubectl(["get", "jobs", "-n", "node", "-o", "json"])
                let jobs = try JSONValue(parsing: list)["items"]?.arrayValue ?? []
                return jobs.contains { job in
                    job.value(at: ["metadata", "ownerReferences"])?[0]?["name"] == "minutely"
                        && job.value(at: ["status", "succeeded"])?.intValue == 1
                }
            }
            let table = try await cluster.kubectl(["get", "cronjob", "minutely", "-n", "node"])
            #expect(table.contains("* * * * *"))
            try await cluster.kubectl(["delete", "cronjob", "minutely", "-n", "node"])
        }

        @Test("A pod of an annotated namespace is meshed by the webhook, and its requests are counted")
        func webhook() async throws {
            try await eventually(within: 60, "the injector serves") {
                let endpoints = try await object("endpoints", "linkerd-proxy-injector", "linkerd")
                return endpoints["subsets"]?[0]?["addresses"]?[0] != nil
            }
            try await cluster.kubectl(["apply", "-f", "-"], input: Self.manifest("webhook.yaml"))
            try await eventually(within: 60, "the caller is meshed and ready") {
                let pods = try await cluster.kubectl(["get", "pods", "-n", "hooked"])
                return pods.contains(" 2/2 ") && pods.contains("Running")
            }
            let events = try await cluster.kubectl(["get", "events", "-n", "hooked"])
            #expect(events.contains("Linkerd sidecar proxy injected"), "\(events)")
            try await eventually(within: 60, "its requests are counted") {
                let rows = try await cluster.stat("deploy/caller", "-n", "hooked", "--to", "svc/web-svc", "--to-namespace", "emojivoto")
                return (rows["caller"]?["rps"]?.doubleValue ?? 0) > 0
            }
            try await cluster.kubectl(["delete", "namespace", "hooked"], seconds: 90)
        }

        @Test("Accounts may do what their roles say and nothing else")
        func access() async throws {
            let web = ["--as=system:serviceaccount:linkerd-viz:web"]
            let yes = try await cluster.kubectl(["auth", "can-i", "list", "namespaces"] + web)
            #expect(yes.hasPrefix("yes"))
            let result = try await Shell.run(
                ["kubectl", "get", "secrets", "-n", "linkerd"] + web, environment: ["KUBECONFIG": cluster.kubeconfig])
            #expect(result.status != 0)
            #expect(result.errors.contains("secrets is forbidden: User \"system:serviceaccount:linkerd-viz:web\" cannot list resource"))
            for (namespace, workload) in [("linkerd", "linkerd-destination"), ("linkerd-viz", "metrics-api")] {
                let logs = try await cluster.kubectl(["logs", "deploy/\(workload)", "-n", namespace, "--tail=-1", "--all-containers"])
                #expect(!logs.contains("is forbidden"), "\(logs)")
            }
        }

        @Test("What a claim holds is there again after down and up")
        func claimsSurvive() async throws {
            try await Shell.check([Cluster.program("linkerd"), "local", "down", "--state-dir", cluster.stateDirectory], seconds: 60)
            try await cluster.up()
            // Until the node has looked, the pod's status is that of before.
            try await eventually(within: 60, "the pod runs again") {
                let pod = try await object("pod", "hooks")
                let restarts = pod.value(at: ["status", "containerStatuses"])?[0]?["restartCount"]?.intValue ?? 0
                return restarts > 0 && isReady(pod)
            }
            try await cluster.kubectl(["delete", "pod", "hooks", "-n", "node"])
            let reader = """
                apiVersion: v1
                kind: Pod
                metadata: {name: reader, namespace: node}
                spec:
                  restartPolicy: Never
                  containers:
                  - name: app
                    image: linkerd.io/local/host:latest
                    command: [sort, -u, /data/traces]
                    volumeMounts: [{name: data, mountPath: /data}]
                  volumes: [{name: data, persistentVolumeClaim: {claimName: traces}}]
                """
            try await cluster.kubectl(["apply", "-f", "-"], input: reader)
            try await eventually(within: 60, "the reader is done") {
                try await object("pod", "reader").value(at: ["status", "phase"]) == "Succeeded"
            }
            #expect(try await cluster.kubectl(["logs", "reader", "-n", "node"]) == "post\npre\nprobe\n")
            try await cluster.kubectl(["delete", "namespace", "node"], seconds: 90)
        }
    }
}
