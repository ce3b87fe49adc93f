// One workload: its golden metrics now and over time, who calls it, whom it calls, and its pods.

import type { ReactNode } from "react";
import type { Sample } from "../charts/lineChart";
import { neighbourCommand } from "../lib/cli";
import { count, latency, meshed, percent, rate } from "../lib/format";
import { resourceKey } from "../lib/graph";
import type { LiveState } from "../lib/live";
import { canTap } from "../lib/routes";
import { isSampled } from "../lib/samples";
import { anything } from "../lib/tapFilter";
import type { GraphEdge, Point, ResourceRef, Row, Series, WorkloadView } from "../lib/types";
import { Blank, Loading } from "../parts/Blank";
import { goldenColumns } from "../parts/columns";
import { DataTable, type Column } from "../parts/DataTable";
import { LineChart } from "../parts/LineChart";
import { Link, usePlace } from "../parts/navigation";
import { Command, Page } from "../parts/Page";
import { SuccessRate } from "../parts/State";
import { RowCard } from "./Namespace";
import { Requests } from "./Requests";

export function Workload({ resource, live }: { resource: ResourceRef; live: LiveState<WorkloadView> }): JSX.Element {
  const view = live.document;
  const place = usePlace();
  const action = canTap(resource.kind)
    ? <Link className="button" to={{ ...place, route: { ...resource, page: "tap", filter: anything } }}>Live requests</Link> : null;
  return (
    <Page title={resource.name} kind={`${capital(resource.kind)} in ${resource.namespace}`} live={live} action={action}>
      {view === null
        ? live.phase === "connecting" ? <Loading what={`${resource.kind} ${resource.name}`} /> : null
        : <Content view={view} />}
    </Page>
  );
}

function Content({ view }: { view: WorkloadView }): JSX.Element {
  if (view.row === null && view.pods.length === 0 && view.outbound.length === 0) {
    return (
      <section className="card">
        <Blank title={`There is no ${view.resource.kind} “${view.resource.name}” here`}>
          It may have been deleted, or the name or the namespace {view.resource.namespace} is misspelled.
        </Blank>
      </section>
    );
  }
  return (
    <>
      {view.row ? <Tiles row={view.row} /> : null}
      <Charts series={view.series} />
      <div className="columns">
        <Neighbours title="Inbound" side="inbound" edges={view.inbound} />
        <Neighbours title="Outbound" side="outbound" edges={view.outbound} />
      </div>
      {isSampled(view.resource.kind) ? <Requests resource={view.resource} /> : null}
      {view.pods.length > 0 && view.resource.kind !== "pod"
        ? <RowCard title="Pods" kind="pod" rows={view.pods} /> : null}
    </>
  );
}

function Tiles({ row }: { row: Row }): JSX.Element {
  const tiles: [string, ReactNode][] = [
    ["Success rate", <SuccessRate key="s" value={row.successRate} size={16} />],
    ["Requests / s", rate(row.rps)],
    ["P50 latency", latency(row.p50)],
    ["P95 latency", latency(row.p95)],
    ["P99 latency", latency(row.p99)],
    ["Meshed pods", meshed(row)],
    ["Open connections", count(row.openConnections)],
  ];
  return (
    <dl className="tiles" aria-label="Inbound traffic now">
      {tiles.map(([term, value]) => <div className="tile" key={term}><dt>{term}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

function Charts({ series }: { series: Series }): JSX.Element {
  const first = series.points[0];
  const last = series.points[series.points.length - 1];
  if (!first || !last) {
    return (
      <section className="card">
        <Blank title="No history yet">Charts start with the first scrape after the pods are meshed, within ten seconds.</Blank>
      </section>
    );
  }
  // A proxy that never saw a request has no rate to draw, rather than a line of zeros.
  const isSilent = series.points.every((point) => !point.rps);
  const pick = (value: (point: Point) => number | null | undefined): Sample[] =>
    series.points.map((point) => ({ t: point.t, value: isSilent ? null : value(point) ?? null }));
  const span = { from: first.t, to: Math.max(last.t, first.t + series.stepMs), stepMs: series.stepMs };
  return (
    <div className="columns three">
      <LineChart
        {...span} title="Success rate" description="Share of responses that succeeded, over time." top={1} bottom={0.9}
        format={percentShort} lines={[{ name: "Success", samples: pick((p) => p.successRate) }]}
      />
      <LineChart
        {...span} title="Requests per second" description="Inbound requests per second, over time."
        format={rate} atLeast={1} lines={[{ name: "RPS", samples: pick((p) => p.rps) }]}
      />
      <LineChart
        {...span} title="Latency" description="Time to the first byte of a response: three quantiles over time."
        format={latency} atLeast={4}
        lines={[
          { name: "P50", samples: pick((p) => p.p50) }, { name: "P95", samples: pick((p) => p.p95) },
          { name: "P99", samples: pick((p) => p.p99) },
        ]}
      />
    </div>
  );
}

/** Axis labels need no decimals where the value is whole. */
function percentShort(share: number | null | undefined): string {
  return percent(share).replace(".00 %", " %");
}

function Neighbours({ title, side, edges }: {
  title: string; side: "inbound" | "outbound"; edges: readonly GraphEdge[];
}): JSX.Element {
  const place = usePlace();
  const peer = (edge: GraphEdge): ResourceRef => (side === "inbound" ? edge.src : edge.dst);
  const text = neighbourCommand(place, side);
  const columns: Column<GraphEdge>[] = [
    {
      id: "name", title: side === "inbound" ? "Caller" : "Callee", sortBy: (edge) => peer(edge).name,
      cell: (edge) => {
        const { namespace, kind, name } = peer(edge);
        return (
          <span className="name">
            <Link to={{ ...place, route: { page: "workload", namespace, kind, name } }}>{name}</Link>
            <small>{edge.tls ? "mTLS" : "not secured"}{edge.protocol ? ` · ${edge.protocol}` : ""}</small>
          </span>
        );
      },
    },
    ...goldenColumns<GraphEdge>().filter((column) => column.id !== "p50"),
  ];
  return (
    <section className="card" aria-label={title}>
      <header><h2>{title}</h2><p>{side === "inbound" ? "who calls it" : "whom it calls"}</p></header>
      {edges.length === 0
        ? <Blank title={side === "inbound" ? "Nobody calls it" : "It calls nobody"}>In this window, as far as meshed pods saw.</Blank>
        : <DataTable caption={`${title} traffic by peer`} columns={columns} rows={edges} rowKey={(edge) => resourceKey(peer(edge))} />}
      {text === null || edges.length === 0 ? null : <div className="body"><Command text={text} /></div>}
    </section>
  );
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
