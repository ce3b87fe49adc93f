package import MeshAPI
package import MeshModel

/// Samples as JSON. Units: milliseconds with three decimals, shares in `0...1`; counts are whole.
package enum SampleJSON {
    /// Rows, most requests first, and how many requests they stand for.
    package static func top(_ response: Linkerd2_Viz_History_TopResponse) -> JSONValue {
        [
            "startMs": .int(response.startMs), "endMs": .int(response.endMs),
            "sampled": count(response.rows.reduce(0) { $0 + $1.stats.successCount + $1.stats.failureCount }),
            "estimated": count(response.rows.reduce(0) { $0 + $1.estimatedCount }),
            "rows": .array(response.rows.map(row)),
        ]
    }

    private static func row(_ row: Linkerd2_Viz_History_TopResponse.Row) -> JSONValue {
        let sampled = row.stats.successCount + row.stats.failureCount
        return [
            "src": .object(ViewJSON.resourceFields(row.src)), "dst": .object(ViewJSON.resourceFields(row.dst)),
            "method": .string(row.method), "path": .string(row.path), "count": count(row.estimatedCount),
            "sampled": count(sampled),
            "successRate": sampled == 0 ? .null : .double((Double(row.stats.successCount) / Double(sampled) * 1e6).rounded() / 1e6),
            "bestMs": milliseconds(row.bestUs), "worstMs": milliseconds(row.worstUs), "lastMs": milliseconds(row.lastUs),
        ]
    }

    /// The failed, newest first, and the slowest, slowest first.
    package static func exemplars(_ response: Linkerd2_Viz_History_ExemplarsResponse) -> JSONValue {
        [
            "startMs": .int(response.startMs), "endMs": .int(response.endMs),
            "failed": .array(response.failed.map(exemplar)), "slowest": .array(response.slowest.map(exemplar)),
        ]
    }

    private static func exemplar(_ exemplar: Linkerd2_Viz_History_Exemplar) -> JSONValue {
        [
            "t": .int(exemplar.atMs), "src": .object(ViewJSON.resourceFields(exemplar.src)),
            "dst": .object(ViewJSON.resourceFields(exemplar.dst)), "srcPod": .string(exemplar.srcPod),
            "dstPod": .string(exemplar.dstPod), "method": .string(exemplar.method), "path": .string(exemplar.path),
            "status": .int(Int64(exemplar.httpStatus)),
            "grpcStatus": exemplar.hasGrpcStatus ? .int(Int64(exemplar.grpcStatus)) : .null,
            "reset": .bool(exemplar.isReset), "failed": .bool(exemplar.isFailure),
            "latencyMs": milliseconds(exemplar.latencyUs),
            "traceId": exemplar.traceID.isEmpty ? .null : .string(exemplar.traceID),
        ]
    }

    private static func milliseconds(_ micros: UInt64) -> JSONValue { .double(Double(micros) / 1_000) }
    private static func count(_ value: UInt64) -> JSONValue { .int(Int64(clamping: value)) }
}
