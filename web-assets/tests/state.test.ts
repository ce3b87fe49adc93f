import assert from "node:assert/strict";
import { test } from "node:test";
import { health, hasFailures } from "../src/lib/health";
import { connecting, liveReducer, type LiveState } from "../src/lib/live";
import { sortRows } from "../src/lib/sort";

test("health has Linkerd's thresholds, and silence is not failure", () => {
  assert.deepEqual([1, 0.95, 0.949, 0.9, 0.899, null].map(health),
    ["good", "good", "warning", "warning", "poor", "unknown"]);
  assert.equal(hasFailures({ successRate: null, rps: null, p50: null, p95: null, p99: null }), false);
});

test("a table sorts by numbers and words, unknown values last both ways", () => {
  const rows = [{ n: "b10", v: 2 }, { n: "b9", v: null }, { n: "a", v: 10 }];
  const names = (list: readonly { n: string }[]): string[] => list.map((row) => row.n);
  assert.deepEqual(names(sortRows(rows, (row) => row.v, "ascending")), ["b10", "a", "b9"]);
  assert.deepEqual(names(sortRows(rows, (row) => row.v, "descending")), ["a", "b10", "b9"]);
  assert.deepEqual(names(sortRows(rows, (row) => row.n, "ascending")), ["a", "b9", "b10"]);
});

test("what was known stays on the screen while the source is away, and the page recovers", () => {
  type Doc = { rows: number[] };
  let state: LiveState<Doc> = connecting;
  state = liveReducer(state, { type: "view", data: '{"rows":[1]}', now: 1000 });
  assert.equal(state.phase, "live");
  state = liveReducer(state, { type: "problem", data: '{"error":"metrics-api is not reachable"}' });
  assert.deepEqual(state.document, { rows: [1] });
  assert.equal(state.phase, "stale");
  assert.equal(state.problem, "metrics-api is not reachable");
  state = liveReducer(state, { type: "disconnected" });
  assert.equal(state.problem, "metrics-api is not reachable");
  state = liveReducer(state, { type: "view", data: '{"rows":[2]}', now: 2000 });
  assert.deepEqual(state, { document: { rows: [2] }, phase: "live", problem: null, updatedAt: 2000 });
  assert.equal(liveReducer(state, { type: "view", data: "{", now: 3000 }).phase, "stale");
});
