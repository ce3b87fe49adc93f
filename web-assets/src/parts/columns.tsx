// Columns that several tables share, always in the same order: success, rate, latency.

import { latency, meshed, rate } from "../lib/format";
import type { Golden, Row } from "../lib/types";
import type { Column } from "./DataTable";
import { SuccessRate } from "./State";

/** Success rate, requests per second and three quantiles. */
export function goldenColumns<R extends Golden>(): Column<R>[] {
  return [
    {
      id: "success", title: "Success", sortBy: (row) => row.successRate,
      cell: (row) => <SuccessRate value={row.successRate} />,
    },
    { id: "rps", title: "RPS", sortBy: (row) => row.rps, first: "descending", cell: (row) => rate(row.rps) },
    { id: "p50", title: "P50", sortBy: (row) => row.p50, first: "descending", cell: (row) => latency(row.p50) },
    { id: "p95", title: "P95", sortBy: (row) => row.p95, first: "descending", cell: (row) => latency(row.p95) },
    { id: "p99", title: "P99", sortBy: (row) => row.p99, first: "descending", cell: (row) => latency(row.p99) },
  ];
}

/** Pods that run the proxy, of those that run. */
export function meshedColumn<R extends Pick<Row, "meshedPods" | "runningPods">>(): Column<R> {
  return {
    id: "meshed", title: "Meshed", cell: (row) => meshed(row),
    sortBy: (row) => (row.runningPods === 0 ? null : row.meshedPods / row.runningPods),
  };
}
