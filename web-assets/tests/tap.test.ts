import assert from "node:assert/strict";
import { test } from "node:test";
import { command } from "../src/lib/cli";
import { href, parsePlace, viewQuery, type Place } from "../src/lib/routes";
import { address, ask, isGood, lossWords, outcome, rowsMax, stopped, tapReducer, type TapState } from "../src/lib/tap";

const peer = { ip: { ipv4: 0x0a000001 }, port: 80 };
const meta = { labels: { deployment: "web", pod: "web-1", tls: "true" } };

function event(http: object, more: object = {}): string {
  return JSON.stringify({ source: { ip: { ipv4: 0x0a000002 }, port: 1 }, destination: peer, destinationMeta: meta, proxyDirection: "OUTBOUND", http, ...more });
}

function begin(stream: number, path = "/api"): string {
  return event({ requestInit: { id: { stream: String(stream) }, method: { registered: "POST" }, path } });
}

function run(texts: readonly string[], from: TapState = tapReducer(stopped, { type: "start" })): TapState {
  return tapReducer(from, { type: "messages", texts, now: 1000 });
}

test("a request is a row that fills as its response comes", () => {
  let state = run(['{"open":true}', begin(7)]);
  assert.equal(state.phase, "live");
  const [row] = state.rows;
  assert.ok(row);
  assert.deepEqual([row.method, row.path, row.source, row.destination, row.isSecured], ["POST", "/api", "10.0.0.2", "web", true]);
  assert.deepEqual([outcome(row), isGood(row), row.latency], ["—", null, null]);
  state = run([
    event({ responseInit: { id: { stream: "7" }, httpStatus: 200 } }),
    event({ responseEnd: { id: { stream: "7" }, sinceRequestInit: "0.012500s", eos: { grpcStatusCode: 2 } } }),
  ], state);
  const [ended] = state.rows;
  assert.ok(ended);
  assert.deepEqual([outcome(ended), isGood(ended), ended.latency], ["200 gRPC 2", false, 12.5]);
});

test("rows have a bound, the newest stay, and the count goes on", () => {
  const state = run([...Array(rowsMax + 30).keys()].map((index) => begin(index, `/${index}`)));
  assert.equal(state.rows.length, rowsMax);
  assert.equal(state.rows[0]?.path, `/${rowsMax + 29}`);
  assert.equal(state.shown, rowsMax + 30);
});

test("what was not shown is added up over breaks", () => {
  let state = run(['{"open":true}', begin(1), '{"losses":{"limited":"3","droppedRequests":"2","cut":"1"}}']);
  assert.deepEqual(lossWords(state.losses), ["3 over 20 a second", "2 dropped, reading was too slow", "1 whose end was not seen"]);
  state = tapReducer(state, { type: "closed", code: 1011, reason: "the tap service is not reachable", now: 2000 });
  assert.equal(state.phase, "waiting");
  assert.equal(state.problem, "the tap service is not reachable");
  state = tapReducer(state, { type: "closed", code: 1006, reason: "", now: 4000 });
  state = tapReducer(state, { type: "messages", texts: ['{"open":true}', '{"losses":{"limited":"4"}}'], now: 6500 });
  assert.equal(state.phase, "live");
  assert.equal(state.problem, null);
  assert.deepEqual(lossWords(state.losses), [
    "7 over 20 a second", "2 dropped, reading was too slow", "2 whose end was not seen", "whatever passed in 4.5 s without a connection",
  ]);
});

test("what is refused stops, and nonsense changes nothing", () => {
  const begun = tapReducer(stopped, { type: "start" });
  const refused = tapReducer(begun, { type: "closed", code: 1008, reason: "no pods to tap", now: 0 });
  assert.deepEqual([refused.phase, refused.problem], ["stopped", "no pods to tap"]);
  assert.equal(run(["{", "[]", "5", "{}"], begun).rows.length, 0);
  assert.equal(run([begin(1)], tapReducer(begun, { type: "stop" })).rows.length, 0);
});

test("addresses of both families", () => {
  const six = (first: string, last: string) => address({ ip: { ipv6: { first, last } }, port: 9 });
  assert.equal(address({ ip: { ipv4: 0xff000001 }, port: 9 }), "255.0.0.1:9");
  assert.equal(six("18230571291595767808", "1"), "[fd00::1]:9");
  assert.equal(six("0", "1"), "[::1]:9");
  assert.equal(six("2306139570357600256", "0"), "[2001:db8:85a3::]:9");
  assert.equal(address(undefined), "?");
});

const places: [string, string][] = [
  ["/namespaces/emojivoto/tap", "linkerd viz tap ns/emojivoto"],
  ["/namespaces/emojivoto/deployments/web/tap?path=%2Fapi%2Fvote&method=GET&status=5xx",
    "linkerd viz tap deploy/web -n emojivoto --path /api/vote --method GET --status 5xx"],
  ["/namespaces/emojivoto/pods/a/tap?path=%2F%3Bit%27s", "linkerd viz tap po/a -n emojivoto --path '/;it'\\''s'"],
];

test("every choice is a URL and a command", () => {
  for (const [url, text] of places) {
    const at = url.indexOf("?");
    const place: Place = at < 0 ? parsePlace(url, "") : parsePlace(url.slice(0, at), url.slice(at));
    assert.equal(href(place), url);
    assert.equal(command(place), text);
    assert.equal(viewQuery(place), null);
  }
});

test("a service has no live requests, and a filter that cannot be meant is none", () => {
  assert.equal(parsePlace("/namespaces/a/services/b/tap", "").route.page, "unknown");
  const { route } = parsePlace("/namespaces/a/tap", "?status=99&method=G%20T");
  assert.deepEqual(route.page === "tap" && route.filter, { path: "", method: "", status: "" });
});

test("the first message says what is asked for", () => {
  const { route } = parsePlace("/namespaces/a/deployments/b/tap", "?status=5xx");
  assert.ok(route.page === "tap");
  assert.deepEqual(JSON.parse(ask(route)), {
    resource: "deployment/b", namespace: "a", maxRps: 20, path: "", method: "", status: "5xx", news: true,
  });
});
