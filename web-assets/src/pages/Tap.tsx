// Live requests: which, the newest of them, and what was not shown.

import { useRef, useState, type FormEvent } from "react";
import { count, latency } from "../lib/format";
import { short, type TapRoute } from "../lib/routes";
import { isGood, lossWords, outcome, rowsMax, type TapRow, type TapState } from "../lib/tap";
import { methods, statuses, type TapFilter } from "../lib/tapFilter";
import { Blank } from "../parts/Blank";
import { DataTable, type Column } from "../parts/DataTable";
import { go, usePlace } from "../parts/navigation";
import { Page } from "../parts/Page";
import { Mark } from "../parts/State";
import { useTap } from "../parts/useTap";

export function Tap({ route }: { route: TapRoute }): JSX.Element {
  const place = usePlace();
  const starts = useRef(0);
  const [attempt, setAttempt] = useState(new URLSearchParams(window.location.search).get("autostart") === "true" ? 1 : 0);
  const state = useTap(route, attempt);
  // What was refused is not asked again until somebody presses the button.
  const isRunning = attempt > 0 && state.phase !== "stopped";
  const start = (filter: TapFilter): void => {
    go({ ...place, route: { ...route, filter } });
    starts.current += 1;
    setAttempt(1 + starts.current);
  };
  const what = route.kind === "namespace" ? `namespace ${route.namespace}` : `${short(route.kind)}/${route.name} in ${route.namespace}`;
  return (
    <Page title="Live requests" kind={what} live={null}>
      <section className="card" aria-label="Which requests">
        <Form key={JSON.stringify(route.filter)} filter={route.filter} isRunning={isRunning} onStart={start} onStop={() => setAttempt(0)} />
        <Status state={state} />
      </section>
      <Trouble state={state} />
      <section className="card" aria-label="Requests">
        <header><h2>Requests</h2><p>the newest {rowsMax}</p></header>
        {state.rows.length > 0
          ? <DataTable caption="Live requests, the newest first" columns={columns} rows={state.rows} rowKey={(row) => row.key} />
          : (
            <Blank title={isRunning ? "No request yet" : "Nothing is being watched"}>
              {isRunning ? "Requests appear here as they happen." : "Start to see requests as they happen, as far as this dashboard may tap."}
            </Blank>
          )}
      </section>
    </Page>
  );
}

function Form({ filter, isRunning, onStart, onStop }: {
  filter: TapFilter; isRunning: boolean; onStart: (filter: TapFilter) => void; onStop: () => void;
}): JSX.Element {
  const [draft, setDraft] = useState(filter);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (isRunning) onStop();
    else onStart(draft);
  };
  return (
    <form className="filter" onSubmit={submit}>
      <label className="grow">
        Path begins with
        <input
          type="text" value={draft.path} placeholder="/" spellCheck={false} autoCapitalize="off" disabled={isRunning}
          onChange={(event) => setDraft({ ...draft, path: event.target.value })}
        />
      </label>
      <Choice label="Method" value={draft.method} options={methods} isFixed={isRunning} onChange={(method) => setDraft({ ...draft, method })} />
      <Choice label="Status" value={draft.status} options={statuses} isFixed={isRunning} onChange={(status) => setDraft({ ...draft, status })} />
      <button type="submit" className={isRunning ? "button" : "button strong"}>{isRunning ? "Stop" : "Start"}</button>
    </form>
  );
}

function Choice({ label, value, options, isFixed, onChange }: {
  label: string; value: string; options: readonly string[]; isFixed: boolean; onChange: (value: string) => void;
}): JSX.Element {
  // A shared URL may name one that is not offered.
  const all = value === "" || options.includes(value) ? options : [...options, value];
  return (
    <label>
      {label}
      <select value={value} disabled={isFixed} onChange={(event) => onChange(event.target.value)}>
        <option value="">any</option>
        {all.map((option) => <option key={option} value={option}>{option}</option>)}
      </select>
    </label>
  );
}

/** How the tap goes, and what it did not show. */
function Status({ state }: { state: TapState }): JSX.Element {
  const [mark, word] = state.phase === "live" ? ["good", "Live"] as const
    : state.phase === "waiting" ? ["warning", "Interrupted"] as const
      : state.phase === "connecting" ? ["unknown", "Connecting"] as const : ["unknown", "Stopped"] as const;
  const lost = lossWords(state.losses);
  return (
    <p className="counts">
      <span className="live" role="status"><Mark state={mark} size={12} />{word}</span>
      <span>{count(state.shown)} shown</span>
      {lost.length > 0 ? <span className="lost"><Mark state="warning" size={12} />not shown: {lost.join("; ")}</span> : null}
    </p>
  );
}

function Trouble({ state }: { state: TapState }): JSX.Element | null {
  if (state.problem === null) return null;
  const isWaiting = state.phase === "waiting";
  return (
    <div className={isWaiting ? "notice warning" : "notice poor"} role="alert">
      <Mark state={isWaiting ? "warning" : "poor"} />
      <div>
        <p>{state.problem}</p>
        {isWaiting ? <p>This page keeps trying by itself.</p> : null}
      </div>
    </div>
  );
}

const columns: readonly Column<TapRow>[] = [
  { id: "request", title: "Request", cell: (row) => <span className="request"><b>{row.method}</b> {row.path}</span> },
  { id: "source", title: "From", align: "left", cell: (row) => row.source },
  {
    id: "destination", title: "To", align: "left",
    cell: (row) => <span className="name">{row.destination}<small>{row.direction === "in" ? "seen by callee" : "seen by caller"}</small></span>,
  },
  { id: "tls", title: "Secured", align: "left", cell: (row) => (row.isSecured ? "mTLS" : "no") },
  { id: "status", title: "Status", cell: (row) => <Outcome row={row} /> },
  { id: "latency", title: "Latency", cell: (row) => latency(row.latency) },
];

function Outcome({ row }: { row: TapRow }): JSX.Element {
  const good = isGood(row);
  const mark = good === null ? "unknown" : good ? "good" : "poor";
  return (
    <span className="state">
      <Mark state={mark} />
      <span>{outcome(row)}</span>
      <span className="hidden">{good === null ? "under way" : good ? "succeeded" : "failed"}</span>
    </span>
  );
}
