import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("T. Live requests of the demo", .serialized) struct T_Tap {
        let cluster = Cluster.shared

        /// Waits until the pods of the demo can be tapped: the service has seen them, and their proxies answer.
        private func ready() async throws {
            try await eventually(within: 90, "the first tap") {
                let result = try await cluster.linkerd("viz", "tap", "deploy/web", "-n", "emojivoto", "--count", "1", "--until", "10s")
                return result.status == 0 && result.output.contains("req id=")
            }
        }

        @Test("The failing doughnut is found by a filter alone")
        func doughnut() async throws {
            try await ready()
            let result = try await cluster.linkerd(
                "viz", "tap", "deploy/voting", "-n", "emojivoto", "--grpc-status", "Unknown", "--count", "1", "--until", "60s")
            #expect(result.status == 0, "\(result)")
            let lines = result.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 3, "\(result)")
            #expect(lines[0].contains(":path=/emojivoto.v1.VotingService/VoteDoughnut"))
            #expect(lines[0].contains("proxy=in  src="))
            #expect(lines[0].contains(" tls=true "))
            #expect(lines[1].contains(":status=200"))
            #expect(lines[2].contains("grpc-status=Unknown"))
            // At its caller the same fault is a 5xx.
            let web = try await cluster.linkerd(
                "viz", "tap", "deploy/web", "-n", "emojivoto", "--status", "5xx", "--count", "1", "--until", "60s")
            #expect(web.output.contains(":path=/api/vote"), "\(web)")
        }

        @Test("Each kind of resource shows requests, and lines follow the grammar", arguments: ["deploy/web", "deploy", "ns/emojivoto", "po"])
        func kinds(resource: String) async throws {
            try await ready()
            let result = try await cluster.linkerd("viz", "tap", resource, "-n", "emojivoto", "--count", "3", "--until", "20s")
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(lines.count >= 9, "\(result)")
            let flow = "proxy=(in |out|\\?\\?\\?) src=\\S+:\\d+ dst=\\S+:\\d+ tls=\\S*"
            let grammar = try Regex(
                "(req id=\\d+:\\d+ \(flow) :method=\\S* :authority=\\S* :path=\\S*|rsp id=\\d+:\\d+ \(flow) :status=\\d+ latency=\\d+µs"
                    + "|end id=\\d+:\\d+ \(flow) ((grpc-status|reset-error)=\\S+ )?duration=\\d+µs response-length=\\d+B)")
            for line in lines { #expect(line.wholeMatch(of: grammar) != nil, "\(line)") }
        }

        @Test("JSON is one object an event for jq, with headers, and without credentials")
        func json() async throws {
            try await ready()
            let result = try await cluster.linkerd(
                "viz", "tap", "deploy/web", "-n", "emojivoto", "-o", "json", "--count", "2", "--until", "20s")
            let lines = try await Shell.check(["jq", "-c", "."], input: result.output).split(separator: "\n")
            #expect(lines.count >= 6)
            for line in lines where !line.hasPrefix(#"{"loss""#) {
                #expect(try JSONValue(parsing: String(line))["source"]?["ip"]?.stringValue?.isEmpty == false)
            }
        }

        @Test("A recording is replayed as it was seen")
        func records() async throws {
            try await ready()
            let file = FileManager.default.temporaryDirectory.appending(path: "tap-\(UUID().uuidString)").path
            let recorded = try await cluster.linkerd("viz", "tap", "record", file, "ns/emojivoto", "--count", "5", "--until", "30s")
            #expect(recorded.status == 0, "\(recorded)")
            let replayed = try await cluster.linkerd("viz", "tap", "replay", file)
            #expect(replayed.output.split(separator: "\n").count >= 15, "\(replayed)")
            try FileManager.default.removeItem(atPath: file)
        }

        @Test("Whoever has no right sees nothing, and is told which one is missing")
        func forbidden() async throws {
            try await ready()
            try await cluster.kubectl(["create", "serviceaccount", "nobody", "-n", "emojivoto"])
            let token = try await cluster.kubectl(["create", "token", "nobody", "-n", "emojivoto"])
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let path = "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/deployments/web/tap"
            func ask(_ fields: [String]) async throws -> String {
                try await Shell.check(
                    ["curl", "-sS", "-k", "-m", "10", "-w", "%{http_code}", "-X", "POST", "https://127.0.0.1:\(cluster.apiPort)\(path)"]
                        + fields.flatMap { ["-H", $0] })
            }
            let refused = try await ask(["Authorization: Bearer \(token)"])
            #expect(refused.hasSuffix("403"), "\(refused)")
            let forged = try await ask(["Authorization: Bearer \(token)", "X-Remote-User: admin", "X-Remote-Group: system:masters"])
            #expect(forged.hasSuffix("403"), "\(forged)")
            try await cluster.kubectl(["delete", "serviceaccount", "nobody", "-n", "emojivoto"])
        }

        @Test("top draws itself in a real terminal, obeys its keys, and leaves the screen as it was", arguments: [(80, 24), (200, 50)])
        func top(width: Int, height: Int) async throws {
            try await ready()
            let name = "top-\(width)-\(getpid())"
            // The server lives on, and a program counts as running for as long as anybody holds a descriptor that it was
            // given: so it is given none.
            let bare = #"for fd in $(ls /proc/$$/fd); do [ "$fd" -gt 2 ] && eval "exec $fd>&-"; done; exec "$@""#
            func tmux(_ arguments: String...) async throws -> String {
                try await Shell.check(["bash", "-c", bare, "bash", "tmux", "-L", name] + arguments)
            }
            _ = try await tmux("-f", "/dev/null", "new-session", "-d", "-x", "\(width)", "-y", "\(height)", "-s", name, "/bin/sh")
            // Signals that tests block stay blocked in what they start, so that only this one ends it.
            let server = try await tmux("display-message", "-p", "#{pid}").trimmingCharacters(in: .whitespacesAndNewlines)
            func end() async { if let pid = Int32(server) { kill(pid, SIGKILL) } }
            do {
                let command = "KUBECONFIG=\(cluster.kubeconfig) \(Cluster.program("linkerd")) viz top ns/emojivoto; echo back"
                _ = try await tmux("send-keys", "-t", name, command, "Enter")
                func screen() async throws -> String { try await tmux("capture-pane", "-p", "-t", name) }
                try await eventually(within: 40, "rows") { try await screen().contains("web-") }
                #expect(try await screen().contains("(press q to quit"))
                #expect(try await screen().split(separator: "\n").allSatisfy { $0.count <= width })
                _ = try await tmux("send-keys", "-t", name, "/", "doughnut", "Enter")
                try await eventually(within: 40, "the filter") { try await screen().contains("filter: doughnut") }
                _ = try await tmux("send-keys", "-t", name, "Space")
                try await eventually(within: 10, "the pause") { try await screen().contains("PAUSED") }
                _ = try await tmux("send-keys", "-t", name, "h")
                try await eventually(within: 10, "the keys") { try await screen().contains("sort by the next column") }
                _ = try await tmux("send-keys", "-t", name, "h", "q")
                try await eventually(within: 10, "the shell again") {
                    let text = try await screen()
                    return text.contains("back") && !text.contains("press q")
                }
            } catch {
                await end()
                throw error
            }
            await end()
        }

        @Test("top adds up a recording as it adds up what happens")
        func replayedTop() async throws {
            try await ready()
            let file = FileManager.default.temporaryDirectory.appending(path: "tap-\(UUID().uuidString)").path
            let recorded = try await cluster.linkerd("viz", "tap", "record", file, "deploy/web", "-n", "emojivoto", "--count", "5", "--until", "30s")
            #expect(recorded.status == 0, "\(recorded)")
            let result = try await cluster.linkerd("viz", "top", "--replay", file)
            #expect(result.status == 0 && result.output.contains("Success Rate") && result.output.contains("web-"), "\(result)")
            let wrong = try await cluster.linkerd("viz", "top", "--replay", file, "deploy/web")
            #expect(wrong.status == 1 && wrong.errors.contains("takes no resource"), "\(wrong)")
            try FileManager.default.removeItem(atPath: file)
        }

        @Test("The dashboard shows requests as they happen, on a desk and on a phone", arguments: ["1280", "375"])
        func dashboard(width: String) async throws {
            try await ready()
            let browse = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/browse.py").path
            let url = "http://127.0.0.1:\(cluster.dashboardPort)/namespaces/emojivoto/deployments/web/tap?autostart=true"
            let page = try await Shell.check(["python3", browse, url, "40", width, "-", "/api/", "mTLS", "Stop"], seconds: 90)
            #expect(page.contains("linkerd viz tap deploy/web -n emojivoto"))
        }

        @Test("Without a terminal top prints its table")
        func plainTop() async throws {
            try await ready()
            let result = try await cluster.linkerd("viz", "top", "ns/emojivoto", "--interval", "2s", "--until", "7s")
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("Source") && result.output.contains("Success Rate"))
            #expect(!result.output.contains("\u{1B}"))
        }

        @Test("A tap goes on when the pods it watches are replaced")
        func follows() async throws {
            try await ready()
            async let tapped = cluster.linkerd("viz", "tap", "deploy/web", "-n", "emojivoto", "--until", "45s", "--max-rps", "20")
            try await cluster.kubectl(["rollout", "restart", "deploy/web", "-n", "emojivoto"])
            try await cluster.kubectl(["rollout", "status", "deploy/web", "-n", "emojivoto", "--timeout", "60s"], seconds: 70)
            let pods = try await cluster.kubectl(["get", "pods", "-n", "emojivoto", "-l", "app=web-svc", "-o", "jsonpath={.items[*].status.podIP}"])
            let result = try await tapped
            let address = try #require(pods.split(separator: " ").last)
            #expect(result.output.contains("dst=\(address):"), "no request of the new pod")
        }
    }
}
