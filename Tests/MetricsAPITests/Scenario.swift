import Foundation
import MeshKubernetes
import MeshModel
import MeshRollup
@testable import MetricsAPI
import RollupStore

/// Ten minutes of traffic that both backends are told: as scrapes of proxies to the store, and as the same series,
/// with the labels that Linkerd's scrape configuration adds, to a Prometheus.
///
/// vote-bot → web (plain), web → voting (mTLS, by way of the apex `ballot`, with routes), web → emoji (mTLS).
/// Every counter moves by a fixed step each 10 s, so any window is known in advance.
enum Scenario {
    static let start = Fixtures.start
    static let steps = 60
    static var end: UnixTime { start.advanced(by: Int64(steps) * 10_000) }

    /// A counter (or gauge) of one pod.
    struct Series {
        let name: String
        let labels: [(String, String)]
        /// Added every 10 s; a gauge's value.
        let step: Int
        var isGauge = false
    }

    static let pods: [(pod: String, workload: String)] = [
        ("web-1", "web"), ("voting-1", "voting"), ("vote-bot-1", "vote-bot"),
    ]

    private static let bounds = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000,
        5_000, 10_000, 20_000, 30_000, 40_000, 50_000]

    /// Responses of a stack: successes between 4 and 5 ms, failures between 40 and 50 ms.
    private static func responses(
        _ prefix: String, _ labels: [(String, String)], successes: Int, failures: Int, hasLatency: Bool = true
    ) -> [Series] {
        let ok = labels + [("status_code", "200"), ("classification", "success")]
        let bad = labels + [("status_code", "500"), ("classification", "failure")]
        var series = [Series(name: prefix + "response_total", labels: ok, step: successes)]
        if failures > 0 { series.append(Series(name: prefix + "response_total", labels: bad, step: failures)) }
        guard hasLatency else { return series }
        func histogram(_ status: String, _ count: Int, under bound: Int) -> [Series] {
            let labels = labels + [("status_code", status)]
            return bounds.map {
                Series(
                    name: prefix + "response_latency_ms_bucket", labels: labels + [("le", "\($0)")],
                    step: $0 >= bound ? count : 0)
            } + [Series(name: prefix + "response_latency_ms_bucket", labels: labels + [("le", "+Inf")], step: count)]
        }
        series += histogram("200", successes, under: 5)
        if failures > 0 { series += histogram("500", failures, under: 50) }
        return series
    }

    private static func tcp(_ labels: [(String, String)], open: Int, read: Int, write: Int) -> [Series] {
        [
            Series(name: "tcp_open_connections", labels: labels, step: open, isGauge: true),
            Series(name: "tcp_read_bytes_total", labels: labels, step: read),
            Series(name: "tcp_write_bytes_total", labels: labels, step: write),
        ]
    }

    private static func inbound(_ authority: String, tls: [(String, String)]) -> [(String, String)] {
        [("direction", "inbound"), ("authority", authority)] + tls
    }

    private static func outbound(
        _ dst: String, authority: String, service: String, tls: [(String, String)]
    ) -> [(String, String)] {
        [("direction", "outbound"), ("authority", authority), ("target_addr", "10.0.0.9:8080")] + tls
            + [
                ("dst_namespace", "emojivoto"), ("dst_deployment", dst), ("dst_pod", "\(dst)-1"),
                ("dst_service", service),
            ]
    }

    static let webHost = "web-svc.emojivoto.svc.cluster.local"
    static let ballotHost = "ballot.emojivoto.svc.cluster.local"
    static let emojiHost = "emoji-svc.emojivoto.svc.cluster.local"
    private static let plain = [
        ("tls", "no_identity"), ("no_tls_reason", "not_provided_by_service_discovery"),
    ]

    /// What one pod's proxy has, without the labels that scraping adds.
    static func series(of pod: String) -> [Series] {
        switch pod {
        case "web-1":
            let served = inbound(webHost, tls: plain)
            let voting = outbound(
                "voting", authority: "\(ballotHost):8080", service: "voting-svc",
                tls: [("tls", "true"), ("server_id", "voting.id")])
            let emoji = outbound(
                "emoji", authority: "\(emojiHost):8080", service: "emoji-svc",
                tls: [("tls", "true"), ("server_id", "emoji.id")])
            let route = [("direction", "outbound"), ("dst", "voting-svc.emojivoto.svc.cluster.local:8080")]
            return responses("", served, successes: 9, failures: 1)
                + tcp(served + [("peer", "src")], open: 2, read: 1_000, write: 3_000)
                + responses("", voting, successes: 6, failures: 2)
                + tcp(voting + [("peer", "dst")], open: 1, read: 500, write: 250)
                + responses("", emoji, successes: 4, failures: 0)
                + tcp(emoji + [("peer", "dst")], open: 1, read: 100, write: 100)
                + responses("route_", route + [("rt_route", "VoteDoughnut")], successes: 3, failures: 2)
                + responses("route_", route, successes: 3, failures: 0)
                + responses(
                    "route_actual_", route + [("rt_route", "VoteDoughnut")], successes: 3, failures: 5,
                    hasLatency: false)
        case "voting-1":
            let served = inbound(
                "voting-svc.emojivoto.svc.cluster.local:8080", tls: [("tls", "true"), ("client_id", "web.id")])
            let route = [("direction", "inbound"), ("dst", "voting-svc.emojivoto.svc.cluster.local:8080")]
            return responses("", served, successes: 6, failures: 2)
                + tcp(served + [("peer", "src")], open: 1, read: 250, write: 500)
                + responses("route_", route + [("rt_route", "VoteDoughnut")], successes: 3, failures: 2)
                + responses("route_", route, successes: 3, failures: 0)
        default:
            let web = outbound("web", authority: webHost, service: "web-svc", tls: plain)
            return responses("", web, successes: 9, failures: 1)
                + tcp(web + [("peer", "dst")], open: 2, read: 3_000, write: 1_000)
        }
    }

    private static func line(_ series: Series, extra: [(String, String)], value: Int, at: UnixTime? = nil) -> String {
        let labels = (extra + series.labels).map { "\($0.0)=\"\($0.1)\"" }.joined(separator: ",")
        let time = at.map { " \(Double($0.milliseconds) / 1_000)" } ?? ""
        return "\(series.name){\(labels)} \(value)\(time)\n"
    }

    /// What a pod answers at a step.
    static func scrape(_ pod: String, step: Int) -> [UInt8] {
        var text = ""
        for series in series(of: pod) {
            text += line(series, extra: [], value: series.isGauge ? series.step : series.step * step)
        }
        return Array((text + "process_start_time_seconds \(Double(start.milliseconds) / 1_000 - 1_000)\n").utf8)
    }

    /// Everything, with times, as `promtool tsdb create-blocks-from openmetrics` reads it.
    static func openMetrics() -> String {
        var families: [String: String] = [:]
        for (pod, workload) in pods {
            let extra = [("namespace", "emojivoto"), ("pod", pod), ("deployment", workload)]
            for series in series(of: pod) {
                for step in 0...steps {
                    families[series.name, default: ""] += line(
                        series, extra: extra, value: series.isGauge ? series.step : series.step * step,
                        at: start.advanced(by: Int64(step) * 10_000))
                }
            }
            for step in 0...steps {
                let started = Series(name: "process_start_time_seconds", labels: [], step: 0)
                families[started.name, default: ""] += line(
                    started, extra: extra, value: Int(start.milliseconds / 1_000) - 1_000,
                    at: start.advanced(by: Int64(step) * 10_000))
            }
        }
        return families.sorted { $0.key < $1.key }.map { name, lines in
            let isGauge = name == "tcp_open_connections" || name == "process_start_time_seconds"
            // Buckets alone make no histogram in OpenMetrics; a Prometheus does not need the type.
            let type = isGauge ? "gauge" : name.hasSuffix("_total") ? "counter" : "unknown"
            let family = name.hasSuffix("_total") ? String(name.dropLast(6)) : name
            return "# TYPE \(family) \(type)\n" + lines
        }.joined() + "# EOF\n"
    }

    /// The cluster that the traffic is of.
    static func index() -> ClusterIndex {
        func labels(_ name: String) -> [String: String] { ["app": name] }
        let pods = pods.map { pod, workload in
            Fixtures.pod(
                "emojivoto", pod, owner: ("ReplicaSet", "\(workload)-abc"), labels: labels(workload))
        }
        func service(_ name: String, _ app: String?) -> Service {
            var service = Service(metadata: Fixtures.meta("emojivoto", name))
            service.spec = ServiceSpec { $0.selector = app.map { ["app": $0] } }
            return service
        }
        let names = ["web", "voting", "vote-bot"]
        var profile = ServiceProfile()
        profile.metadata = Fixtures.meta("emojivoto", "voting-svc.emojivoto.svc.cluster.local")
        profile.spec = ServiceProfile.Spec {
            $0.routes = [
                ServiceProfile.Route { $0.name = "VoteDoughnut" }, ServiceProfile.Route { $0.name = "VotePoop" },
            ]
        }
        var overriding = ServiceProfile()
        overriding.metadata = Fixtures.meta("emojivoto", "ballot.emojivoto.svc.cluster.local")
        overriding.spec = ServiceProfile.Spec {
            $0.dstOverrides = [
                ServiceProfile.Override {
                    $0.authority = "voting-svc.emojivoto.svc.cluster.local:8080"
                    $0.weight = "90"
                }
            ]
        }
        var split = TrafficSplit()
        split.metadata = Fixtures.meta("emojivoto", "ballot-split")
        split.spec = TrafficSplit.Spec {
            $0.service = "ballot"
            $0.backends = [
                TrafficSplit.Backend { ($0.service, $0.weight) = ("voting-svc", "900m") },
                TrafficSplit.Backend { ($0.service, $0.weight) = ("voting-next", "100m") },
            ]
        }
        return ClusterIndex(
            pods: pods, namespaces: [Namespace(metadata: Fixtures.meta("", "emojivoto"))],
            services: [
                service("web-svc", "web"), service("voting-svc", "voting"), service("ballot", nil),
            ],
            deployments: names.map { Deployment(metadata: Fixtures.meta("emojivoto", $0)) },
            replicaSets: names.map {
                ReplicaSet(metadata: Fixtures.meta("emojivoto", $0 + "-abc", owner: ("Deployment", $0)))
            },
            profiles: [profile, overriding], trafficSplits: [split])
    }

    /// A store that was told everything.
    static func filledStore() async throws -> StoreBox {
        let box = try StoreBox(now: start)
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        let index = index()
        for step in 0...steps {
            for pod in index.pods {
                await ingestor.ingest(
                    scrape(pod.name, step: step), of: pod, at: start.advanced(by: Int64(step) * 10_000))
            }
        }
        return box
    }
}
