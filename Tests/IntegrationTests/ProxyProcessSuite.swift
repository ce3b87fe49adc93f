import Foundation
import Testing

/// The proxy as a process of its own: what it says, and how it ends.
@Suite("The proxy's process", .serialized, .timeLimit(.minutes(5))) struct ProxyProcessSuite {
    private let environment = [
        "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "127.0.0.1:0", "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR": "127.0.0.1:0",
        "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "127.0.0.1:0", "LINKERD2_PROXY_IDENTITY_DISABLED": "1",
        "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED": "true", "LINKERD2_PROXY_SHUTDOWN_ACCEPT_GRACE": "0s",
    ]

    @Test("A configuration with mistakes ends it with 64, and every mistake is named")
    func mistakes() async throws {
        let bad = [
            "LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT": "1.5s", "LINKERD2_PROXY_INGRESS_MODE": "yes",
            "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "",
        ]
        let result = try await Shell.run([Cluster.program("linkerd-proxy")], environment: environment.merging(bad) { $1 })
        #expect(result.status == 64)
        for key in bad.keys {
            #expect(result.errors.contains("Invalid configuration: ") && result.errors.contains(key), "\(result)")
            #expect(result.output.contains("ERROR ThreadId(01) linkerd2_proxy: Invalid configuration: \(key)="), "\(result)")
        }
    }

    @Test("It says where it listens, answers by both versions of HTTP, and ends with 0 when told to", arguments: ["plain", "json"])
    func lives(format: String) async throws {
        let extra = ["LINKERD2_PROXY_LOG_FORMAT": format, "LINKERD2_PROXY_NO_SUCH_KEY": "1", "LINKERD2_PROXY_CORES": "many"]
        // Waits for the last line of the start, asks, and lets the proxy end itself.
        let script = """
            set -eu
            log=$(mktemp); trap 'rm -f "$log"' EXIT
            "$1" >"$log" 2>&1 & proxy=$!
            for _ in $(seq 500); do grep -q 'Outbound interface on' "$log" && break; sleep 0.02; done
            admin=$(grep -o 'Admin interface on 127.0.0.1:[0-9]*' "$log" | head -n 1 | grep -o '127.*')
            curl -sS --max-time 10 "http://$admin/live" "http://$admin/ready"
            curl -sS --max-time 10 --http2-prior-knowledge -o /dev/null -w '%{http_version} %{http_code}\\n' "http://$admin/metrics"
            curl -sS --max-time 10 --compressed "http://$admin/metrics" | grep -c '^process_'
            curl -sS --max-time 10 -X POST "http://$admin/shutdown"
            status=0; wait "$proxy" || status=$?
            echo "ended $status"; cat "$log"
            """
        let result = try await Shell.run(
            ["bash", "-c", script, "bash", Cluster.program("linkerd-proxy")], environment: environment.merging(extra) { $1 })
        let text = result.output
        #expect(text.contains("live\nready\n2 200\n"), "\(result)")
        #expect(text.contains("shutdown\nended 0\n"), "\(result)")
        #expect(text.contains("LINKERD2_PROXY_NO_SUCH_KEY"), "\(result)")
        #expect(text.contains("is ignored: expected a whole number from 1 to 1024"), "\(result)")
        let lines = text.split(separator: "\n").filter { $0.contains("Inbound interface on") }
        let line = try #require(lines.first)
        if format == "json" {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(object["target"] as? String == "linkerd2_proxy" && object["level"] as? String == "INFO")
        } else {
            #expect(line.hasPrefix("[ ") && line.contains("s]  INFO ThreadId("), "\(line)")
        }
    }
}
