// One namespace: its graph first, then workloads and pods.

import type { LiveState } from "../lib/live";
import { plural, type Place } from "../lib/routes";
import { anything } from "../lib/tapFilter";
import type { NamespaceView, Row } from "../lib/types";
import { Blank, Loading } from "../parts/Blank";
import { goldenColumns, meshedColumn } from "../parts/columns";
import { DataTable, type Column } from "../parts/DataTable";
import { GraphCard } from "../parts/GraphCard";
import { Link, usePlace } from "../parts/navigation";
import { Command, Page } from "../parts/Page";

export function Namespace({ name, live }: { name: string; live: LiveState<NamespaceView> }): JSX.Element {
  const view = live.document;
  const place = usePlace();
  const tap = { page: "tap", namespace: name, kind: "namespace", name, filter: anything } as const;
  return (
    <Page title={name} kind="Namespace" live={live} action={<Link className="button" to={{ ...place, route: tap }}>Live requests</Link>}>
      {view === null
        ? live.phase === "connecting" ? <Loading what={`namespace ${name}`} /> : null
        : <Content view={view} />}
    </Page>
  );
}

function Content({ view }: { view: NamespaceView }): JSX.Element {
  const isMeshed = view.pods.some((pod) => pod.meshedPods > 0);
  return (
    <>
      {view.pods.length > 0 && !isMeshed ? <MeshHint namespace={view.namespace} /> : null}
      <GraphCard topology={view.topology} namespace={view.namespace} />
      {kinds(view.workloads).map((kind) => (
        <RowCard
          key={kind} title={capital(plural(kind))} kind={kind}
          rows={view.workloads.filter((row) => row.kind === kind)}
        />
      ))}
      {view.workloads.length === 0 && view.pods.length === 0
        ? (
          <section className="card">
            <Blank title="This namespace runs nothing">
              Workloads appear here as soon as their pods exist. Is the name spelled right?
            </Blank>
          </section>
        ) : null}
      {view.pods.length > 0 ? <RowCard title="Pods" kind="pod" rows={view.pods} /> : null}
    </>
  );
}

function MeshHint({ namespace }: { namespace: string }): JSX.Element {
  return (
    <div className="notice" role="note">
      <div>
        <p>No pod of this namespace is meshed, so nobody counts its traffic. To change that:</p>
        <p><Command text={`kubectl get deploy -n ${namespace} -o yaml | linkerd inject - | kubectl apply -f -`} /></p>
      </div>
    </div>
  );
}

/** A table of rows of one kind. */
export function RowCard({ title, kind, rows }: { title: string; kind: string; rows: readonly Row[] }): JSX.Element {
  const place = usePlace();
  const to = (row: Row): Place => (
    { ...place, route: { page: "workload", namespace: row.namespace, kind: row.kind, name: row.name } });
  const columns: Column<Row>[] = [
    {
      id: "name", title: "Name", sortBy: (row) => row.name,
      cell: (row) => <RowName row={row} to={to(row)} />,
    },
    ...goldenColumns<Row>(),
    kind === "pod"
      ? { id: "status", title: "Status", sortBy: (row) => row.status, cell: (row) => row.status ?? "—" }
      : meshedColumn<Row>(),
  ];
  return (
    <section className="card" aria-label={title}>
      <header><h2>{title}</h2></header>
      <DataTable caption={title} columns={columns} rows={rows} rowKey={(row) => `${row.kind}/${row.name}`} />
    </section>
  );
}

/** A name, and why its pods are not well when they are not. */
function RowName({ row, to }: { row: Row; to: Place }): JSX.Element {
  const problem = row.problems?.[0];
  return (
    <span className="name">
      <Link to={to}>{row.name}</Link>
      {problem ? <span className="problem">{problem.container}: {problem.reason} {problem.message.slice(0, 160)}</span> : null}
    </span>
  );
}

/** Deployments lead; the rest follows by name. */
function kinds(rows: readonly Row[]): string[] {
  const all = [...new Set(rows.map((row) => row.kind))].sort();
  return all.includes("deployment") ? ["deployment", ...all.filter((kind) => kind !== "deployment")] : all;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
