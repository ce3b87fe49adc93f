// The graph with its heading, legend and the table that says the same.

import { bytes, percent, rate } from "../lib/format";
import { resourceKey } from "../lib/graph";
import { hasFailures } from "../lib/health";
import type { GraphEdge, Topology } from "../lib/types";
import { Blank } from "./Blank";
import { DataTable, type Column } from "./DataTable";
import { goldenColumns } from "./columns";
import { Graph } from "./Graph";
import { Link, usePlace } from "./navigation";
import { Mark } from "./State";

interface Props {
  readonly topology: Topology;
  readonly namespace: string;
  readonly isFree?: boolean;
}

export function GraphCard({ topology, namespace, isFree = false }: Props): JSX.Element {
  const place = usePlace();
  return (
    <section className="card" aria-label="Topology">
      <header>
        <h2>Topology</h2>
        {isFree
          ? <p>{summary(topology)}</p>
          : <Link to={{ ...place, route: { page: "topology", namespace } }}>Full page</Link>}
      </header>
      {topology.nodes.length === 0
        ? (
          <Blank title="No workloads to draw yet">
            Boxes appear for each workload of the namespace, and lines once meshed pods talk to each other.
          </Blank>
        ) : (
          <>
            <Graph
              topology={topology} namespace={namespace} isFree={isFree} legend={<Legend topology={topology} />}
            />
            <details>
              <summary>Connections as a table</summary>
              <EdgeTable edges={topology.edges} />
            </details>
          </>
        )}
    </section>
  );
}

function summary(topology: Topology): string {
  const failing = topology.edges.filter(hasFailures).length;
  const words = `${topology.nodes.length} workloads, ${topology.edges.length} connections`;
  return failing === 0 ? words : `${words}, ${failing} with failures`;
}

function Legend({ topology }: { topology: Topology }): JSX.Element {
  const failing = topology.edges.filter(hasFailures);
  const worst = [...failing].sort((a, b) => (a.successRate ?? 1) - (b.successRate ?? 1))[0];
  return (
    <>
      {worst
        ? (
          <span className="state poor">
            <Mark state="poor" size={12} />
            {worst.src.name} → {worst.dst.name}: {percent(worst.successRate)} of {rate(worst.rps)} rps succeed
          </span>
        ) : <span className="state"><Mark state="good" size={12} />No connection fails</span>}
      <span className="wide">Lines are wider the more requests they carry</span>
    </>
  );
}

/** The graph's table twin. */
function EdgeTable({ edges }: { edges: readonly GraphEdge[] }): JSX.Element {
  const columns: Column<GraphEdge>[] = [
    {
      id: "edge", title: "Connection", sortBy: (edge) => `${edge.src.name} ${edge.dst.name}`,
      cell: (edge) => `${edge.src.name} → ${edge.dst.name}`,
    },
    ...goldenColumns<GraphEdge>(),
    {
      id: "read", title: "Read", sortBy: (edge) => edge.readBytesPerSecond, first: "descending",
      cell: (edge) => bytes(edge.readBytesPerSecond),
    },
    { id: "tls", title: "Secured", sortBy: (edge) => (edge.tls ? 1 : 0), cell: (edge) => (edge.tls ? "mTLS" : "no") },
  ];
  if (edges.length === 0) return <Blank title="No connections in this window" />;
  return (
    <DataTable
      caption="Connections between workloads" columns={columns} rows={edges}
      rowKey={(edge) => `${resourceKey(edge.src)}>${resourceKey(edge.dst)}`}
    />
  );
}
