import MeshModel
import MeshRollup
@testable import MetricsAPI
import Testing

@Suite("PromQL", .timeLimit(.minutes(1)))
struct PromQLTests {
    private let window = Result { try StatWindow("1m", now: Fixtures.start) }

    private func expressions(_ selected: TrafficEnd, _ filter: TrafficFilter) throws -> [String] {
        let shape = TrafficShape(selected, filter)
        return PrometheusBackend.batch(
            shape.matchers, bytes: shape.byteMatchers, groups: shape.groups, try window.get()
        ).map(\.expression)
    }

    private func end(_ kind: ResourceKind, _ name: String, _ namespace: String = "ns") -> TrafficEnd {
        TrafficEnd(kind: kind, namespace: namespace, name: name)
    }

    @Test("Inbound traffic of a deployment: every expression")
    func deployment() throws {
        let labels = #"{deployment="web", direction="inbound", namespace="ns"}"#
        let bytes = #"{deployment="web", direction="inbound", namespace="ns", peer="src"}"#
        #expect(
            try expressions(end(.deployment, "web"), .none) == [
                "sum(increase(response_total\(labels)[60s])) by (namespace, deployment, classification, tls)",
                "histogram_quantile(0.5, sum(rate(response_latency_ms_bucket\(labels)[60s])) by (le, namespace, deployment))",
                "histogram_quantile(0.95, sum(rate(response_latency_ms_bucket\(labels)[60s])) by (le, namespace, deployment))",
                "histogram_quantile(0.99, sum(rate(response_latency_ms_bucket\(labels)[60s])) by (le, namespace, deployment))",
                "sum(tcp_open_connections\(labels)) by (namespace, deployment)",
                "sum(increase(tcp_read_bytes_total\(bytes)[60s])) by (namespace, deployment)",
                "sum(increase(tcp_write_bytes_total\(bytes)[60s])) by (namespace, deployment)",
            ])
    }

    @Test("Matchers and groups of the other flavours")
    func flavours() throws {
        func first(_ selected: TrafficEnd, _ filter: TrafficFilter = .none) throws -> String {
            try expressions(selected, filter)[0]
        }
        #expect(
            try first(end(.job, "x"))
                == #"sum(increase(response_total{direction="inbound", k8s_job="x", namespace="ns"}[60s])) by (namespace, k8s_job, classification, tls)"#)
        #expect(
            try first(TrafficEnd(kind: .namespace, namespace: "", name: "ns"))
                == #"sum(increase(response_total{direction="inbound", namespace="ns"}[60s])) by (namespace, classification, tls)"#)
        #expect(
            try first(end(.deployment, "web"), .to(end(.service, "db")))
                == #"sum(increase(response_total{deployment="web", direction="outbound", dst_namespace="ns", dst_service="db", namespace="ns"}[60s])) by (namespace, deployment, classification, tls)"#)
        #expect(
            try first(end(.deployment, "web"), .to(end(.deployment, "")))
                == #"sum(increase(response_total{deployment="web", direction="outbound", namespace="ns"}[60s])) by (namespace, deployment, classification, tls)"#)
        #expect(
            try first(end(.pod, ""), .from(end(.deployment, "web", "other")))
                == #"sum(increase(response_total{deployment="web", direction="outbound", dst_namespace="ns", namespace="other"}[60s])) by (dst_namespace, dst_pod, classification, tls)"#)
        #expect(
            try first(end(.authority, "a:80"))
                == #"sum(increase(response_total{authority="a:80", direction="inbound", namespace="ns"}[60s])) by (namespace, authority, classification, tls)"#)
        let toVoting = TrafficShape(end(.service, "x"), .to(end(.deployment, "voting")))
        #expect(toVoting.groups == ["dst_namespace", "dst_service"])
        #expect(
            toVoting.matchers.text
                == #"{direction="outbound", dst_deployment="voting", dst_namespace="ns", dst_service="x"}"#)
    }

    @Test("Names cannot break out of a matcher")
    func quoting() {
        let matchers = LabelMatchers(["namespace": "a\"} or {b=\"\\\n"])
        #expect(matchers.text == #"{namespace="a\"} or {b=\"\\\n"}"#)
        #expect(LabelMatchers.regexEscaped("a.b*c") == #"a\.b\*c"#)
        #expect(LabelMatchers(["namespace": ""]).text == "{}")
    }

    @Test("Samples are rounded, and what is no number is none", arguments: [
        (0.4, 0), (1.5, 2), (.nan, 0), (-3, 0), (.infinity, 0), (1e6 + 0.6, 1_000_001),
    ] as [(Double, UInt64)])
    func counts(value: Double, count: UInt64) { #expect(PrometheusSample.count(value) == count) }

    @Test("Vectors, matrices and errors of the HTTP API are read")
    func answers() throws {
        let vector = try JSONValue(
            parsing: #"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"NaN"]}]}}"#)
        let sample = try #require(PrometheusClient.samples(vector)?.first)
        #expect(sample.labels == ["a": "b"] && sample.value.isNaN)
        let matrix = try JSONValue(
            parsing: #"{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[2,"+Inf"]]}]}}"#)
        #expect(PrometheusClient.samples(matrix)?.first?.values.map(\.value) == [2, .infinity])
        #expect(PrometheusClient.samples(try JSONValue(parsing: #"{"data":{"resultType":"scalar","result":[1,"2"]}}"#)) == nil)
    }

    @Test("Settings that cannot be used are named", arguments: [
        ("ftp://x", "no URL of a Prometheus server"), ("nonsense", "no URL of a Prometheus server"),
    ])
    func settings(url: String, message: String) {
        let error = #expect(throws: BackendError.self) { _ = try PrometheusClient(PrometheusConfig(url: url)) }
        #expect(error?.description.contains(message) == true)
        var half = PrometheusConfig(url: "http://x")
        half.userFile = "/u"
        let missing = #expect(throws: BackendError.self) { _ = try PrometheusClient(half) }
        #expect(missing?.description.contains("one is missing") == true)
        var unreadable = PrometheusConfig(url: "https://x")
        unreadable.authorityFile = "/nonexistent.pem"
        let file = #expect(throws: BackendError.self) { _ = try PrometheusClient(unreadable) }
        #expect(file?.description.contains("/nonexistent.pem") == true)
    }
}
