// What a workload is asked for and asks for, from samples, and the requests behind what is wrong.

import { clock, count, latency } from "../lib/format";
import {
  outcome, peerName, sampledWords, samplesCommand, samplesUrl, topKey, type Exemplar, type Exemplars, type Top, type TopRow,
} from "../lib/samples";
import type { ResourceRef } from "../lib/types";
import { Blank } from "../parts/Blank";
import { DataTable, type Column } from "../parts/DataTable";
import { usePlace } from "../parts/navigation";
import { Command } from "../parts/Page";
import { SuccessRate } from "../parts/State";
import { usePolled } from "../parts/usePolled";

/** Rows shown; the command under the table has all of them. */
const rowsMax = 20;

export function Requests({ resource }: { resource: ResourceRef }): JSX.Element {
  const { window } = usePlace();
  const top = usePolled<Top>(samplesUrl("top", resource, window));
  const exemplars = usePolled<Exemplars>(samplesUrl("exemplars", resource, window));
  const failed = exemplars.document?.failed ?? [];
  const slowest = exemplars.document?.slowest ?? [];
  return (
    <>
      <section className="card" aria-label="Requests">
        <header><h2>Requests</h2><p>{top.document ? sampledWords(top.document) : "sampled"}</p></header>
        {top.document && top.document.rows.length > 0
          ? <TopTable resource={resource} rows={top.document.rows.slice(0, rowsMax)} />
          : <Nothing problem={top.problem} isAsked={top.document !== null} />}
        <div className="body"><Command text={samplesCommand("top", resource, window)} /></div>
      </section>
      {failed.length + slowest.length === 0 ? null : (
        <div className="columns">
          <ExemplarTable title="Failed requests" says="the newest" resource={resource} rows={failed} />
          <ExemplarTable title="Slowest requests" says="the slowest first" resource={resource} rows={slowest} />
        </div>
      )}
    </>
  );
}

function Nothing({ problem, isAsked }: { problem: string | null; isAsked: boolean }): JSX.Element {
  if (problem !== null) return <Blank title="No samples">{problem}</Blank>;
  if (!isAsked) return <div className="blank" role="status"><span className="pulse">Asking for requests…</span></div>;
  return <Blank title="No requests were sampled">In this window. Samples begin within half a minute after the pods are meshed.</Blank>;
}

function TopTable({ resource, rows }: { resource: ResourceRef; rows: readonly TopRow[] }): JSX.Element {
  const columns: Column<TopRow>[] = [
    { id: "path", title: "Path", sortBy: (row) => row.path, cell: (row) => <code>{row.path}</code> },
    { id: "method", title: "Method", align: "left", sortBy: (row) => row.method, cell: (row) => row.method },
    {
      id: "source", title: "From", align: "left", sortBy: (row) => row.src.name,
      cell: (row) => peerName(row.src, resource.namespace),
    },
    {
      id: "destination", title: "To", align: "left", sortBy: (row) => row.dst.name,
      cell: (row) => peerName(row.dst, resource.namespace),
    },
    { id: "count", title: "Count", sortBy: (row) => row.count, first: "descending", cell: (row) => count(row.count) },
    { id: "success", title: "Success", sortBy: (row) => row.successRate, cell: (row) => <SuccessRate value={row.successRate} /> },
    { id: "best", title: "Best", sortBy: (row) => row.bestMs, first: "descending", cell: (row) => latency(row.bestMs) },
    { id: "worst", title: "Worst", sortBy: (row) => row.worstMs, first: "descending", cell: (row) => latency(row.worstMs) },
  ];
  return <DataTable caption="Sampled requests by path" columns={columns} rows={rows} rowKey={topKey} />;
}

function ExemplarTable({ title, says, resource, rows }: {
  title: string; says: string; resource: ResourceRef; rows: readonly Exemplar[];
}): JSX.Element {
  const columns: Column<Exemplar>[] = [
    { id: "time", title: "Time", sortBy: (row) => row.t, first: "descending", cell: (row) => clock(row.t, 0) },
    { id: "path", title: "Path", align: "left", cell: (row) => <code>{row.path}</code> },
    { id: "source", title: "From", align: "left", cell: (row) => row.srcPod || peerName(row.src, resource.namespace) },
    { id: "status", title: "Status", align: "left", sortBy: outcome, cell: outcome },
    { id: "latency", title: "Latency", sortBy: (row) => row.latencyMs, first: "descending", cell: (row) => latency(row.latencyMs) },
    { id: "trace", title: "Trace", align: "left", cell: (row) => (row.traceId === null ? "—" : <code>{row.traceId}</code>) },
  ];
  return (
    <section className="card" aria-label={title}>
      <header><h2>{title}</h2><p>{says}</p></header>
      {rows.length === 0
        ? <Blank title="None">Among the sampled ones of this window.</Blank>
        : (
          <DataTable
            caption={title} columns={columns} rows={rows}
            rowKey={(row) => `${row.t} ${row.dstPod} ${row.path} ${row.latencyMs}`}
          />
        )}
    </section>
  );
}
