// All namespaces: the front door.

import { sparkline } from "../charts/sparkline";
import { meshed } from "../lib/format";
import { health } from "../lib/health";
import type { LiveState } from "../lib/live";
import type { NamespacesView, Row, Series } from "../lib/types";
import { Blank, Loading } from "../parts/Blank";
import { goldenColumns, meshedColumn } from "../parts/columns";
import { DataTable, type Column } from "../parts/DataTable";
import { Link, usePlace } from "../parts/navigation";
import { Page } from "../parts/Page";

export function Namespaces({ live }: { live: LiveState<NamespacesView> }): JSX.Element {
  const view = live.document;
  return (
    <Page title="Namespaces" live={live}>
      {view === null
        ? live.phase === "connecting" ? <Loading what="all namespaces" /> : null
        : <Table view={view} />}
    </Page>
  );
}

function Table({ view }: { view: NamespacesView }): JSX.Element {
  const place = usePlace();
  const columns: Column<Row>[] = [
    {
      id: "name", title: "Namespace", sortBy: (row) => row.name,
      cell: (row) => (
        <Link to={{ ...place, route: { page: "namespace", namespace: row.name } }}>{row.name}</Link>
      ),
    },
    ...goldenColumns<Row>(),
    meshedColumn<Row>(),
    { id: "trend", title: "RPS over time", cell: (row) => <Trend series={view.sparklines[row.name]} /> },
  ];
  return (
    <section className="card" aria-label="Namespaces">
      <header><h2>{heading(view.rows)}</h2></header>
      {view.rows.length === 0
        ? <Blank title="No namespaces yet">They appear here as soon as the cluster lists them.</Blank>
        : <DataTable caption="Namespaces with their traffic" columns={columns} rows={view.rows} rowKey={(row) => row.name} />}
    </section>
  );
}

function heading(rows: readonly Row[]): string {
  const failing = rows.filter((row) => health(row.successRate) === "poor").map((row) => row.name);
  const degraded = rows.filter((row) => health(row.successRate) === "warning").map((row) => row.name);
  if (failing.length > 0) return `${list(failing)} ${failing.length === 1 ? "is" : "are"} failing`;
  if (degraded.length > 0) return `${list(degraded)} ${degraded.length === 1 ? "is" : "are"} degraded`;
  const meshedRows = rows.filter((row) => row.meshedPods > 0);
  if (meshedRows.length === 0) return "Nothing is meshed yet";
  return rows.some((row) => row.successRate != null) ? "All traffic is healthy" : "No traffic in this window";
}

function list(names: readonly string[]): string {
  if (names.length <= 3) return new Intl.ListFormat("en").format(names);
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

function Trend({ series }: { series: Series | undefined }): JSX.Element {
  const values = (series?.points ?? []).map((point) => point.rps ?? null);
  if (!values.some((value) => value !== null)) return <span className="muted">{meshed({ meshedPods: 0, runningPods: 0 })}</span>;
  const line = sparkline(values, 120, 26);
  return (
    <svg className="spark" width="120" height="26" viewBox="0 0 120 26" role="img" aria-label="Requests per second over the window">
      <path d={line.area} fill="currentColor" opacity="0.14" />
      <path d={line.d} fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}
