// Requests behind a spike as text. Pure: an answer in, text out.

package import MeshAPI
import MeshModel

/// Renders an answer of `Exemplars`.
package struct ExemplarsTable: Sendable {
    private typealias Exemplar = Linkerd2_Viz_History_Exemplar

    private let response: Linkerd2_Viz_History_ExemplarsResponse
    /// Workloads elsewhere are shown with their namespace.
    private let namespace: String

    package init(_ response: Linkerd2_Viz_History_ExemplarsResponse, namespace: String) {
        self.response = response
        self.namespace = namespace
    }

    /// Whether nothing was sampled.
    package var isEmpty: Bool { response.slowest.isEmpty && response.failed.isEmpty }

    /// Said when nothing was.
    package var notice: String {
        "No requests were sampled from \(PastTime.text(milliseconds: response.startMs)) to "
            + "\(PastTime.text(milliseconds: response.endMs)) UTC."
    }

    /// Two tables; empty when nothing was sampled.
    package var rendered: String {
        isEmpty ? "" : "Failed\n" + table(response.failed) + "\nSlowest\n" + table(response.slowest)
    }

    private func table(_ exemplars: [Exemplar]) -> String {
        guard !exemplars.isEmpty else { return "(none)\n" }
        let texts = ["TIME", "SOURCE", "DESTINATION", "METHOD", "PATH", "STATUS"].map { TabTable.Column($0, isLeftAligned: true) }
        var table = TabTable(columns: texts + [.init("LATENCY"), .init("TRACE", isLeftAligned: true)])
        for exemplar in exemplars {
            table.add([
                PastTime.text(milliseconds: exemplar.atMs), name(exemplar.src, exemplar.srcPod),
                name(exemplar.dst, exemplar.dstPod), TapLine.safe(exemplar.method), TapLine.safe(exemplar.path),
                Self.status(exemplar), TopRow.text(.microseconds(exemplar.latencyUs)),
                exemplar.traceID.isEmpty ? "-" : TapLine.safe(exemplar.traceID),
            ])
        }
        return table.rendered()
    }

    /// The pod where it is known: that is where the logs are.
    private func name(_ resource: Linkerd2_Viz_Resource, _ pod: String) -> String {
        TapLine.safe(pod.isEmpty ? resource.sampledName(in: namespace) : pod)
    }

    private static func status(_ exemplar: Exemplar) -> String {
        if exemplar.isReset { return "reset" }
        return exemplar.hasGrpcStatus ? GRPCCodes.name(exemplar.grpcStatus) : "\(exemplar.httpStatus)"
    }

    /// An object of two arrays.
    package var json: String {
        "{\n  \"start_ms\": \(response.startMs),\n  \"end_ms\": \(response.endMs),\n"
            + "  \"failed\": \(list(response.failed)),\n  \"slowest\": \(list(response.slowest))\n}\n"
    }

    private func list(_ exemplars: [Exemplar]) -> String {
        guard !exemplars.isEmpty else { return "[]" }
        let objects = exemplars.map { "    {" + members($0).map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}" }
        return "[\n" + objects.joined(separator: ",\n") + "\n  ]"
    }

    private func members(_ exemplar: Exemplar) -> [(String, String)] {
        let texts = [
            ("source", exemplar.src.sampledName(in: namespace)), ("source_pod", exemplar.srcPod),
            ("destination", exemplar.dst.sampledName(in: namespace)), ("destination_pod", exemplar.dstPod),
            ("method", exemplar.method), ("path", exemplar.path), ("trace_id", exemplar.traceID),
        ]
        return [("at_ms", "\(exemplar.atMs)")] + texts.map { ($0.0, JSONValue.string($0.1).jsonText) } + [
            ("http_status", "\(exemplar.httpStatus)"),
            ("grpc_status", exemplar.hasGrpcStatus ? "\(exemplar.grpcStatus)" : "null"),
            ("reset", "\(exemplar.isReset)"), ("failed", "\(exemplar.isFailure)"), ("latency_us", "\(exemplar.latencyUs)"),
        ]
    }
}
