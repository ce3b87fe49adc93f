import assert from "node:assert/strict";
import { test } from "node:test";
import { command, neighbourCommand } from "../src/lib/cli";
import { basePath, href, parsePlace, viewQuery, type Place } from "../src/lib/routes";

const places: [string, Place][] = [
  ["/namespaces", { route: { page: "namespaces" }, window: "1m" }],
  ["/namespaces?window=1h", { route: { page: "namespaces" }, window: "1h" }],
  ["/namespaces/emojivoto", { route: { page: "namespace", namespace: "emojivoto" }, window: "1m" }],
  ["/namespaces/emojivoto/topology", { route: { page: "topology", namespace: "emojivoto" }, window: "1m" }],
  [
    "/namespaces/emojivoto/deployments/web?window=6h",
    { route: { page: "workload", namespace: "emojivoto", kind: "deployment", name: "web" }, window: "6h" },
  ],
];

function split(url: string): [string, string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at)];
}

test("a URL is read and written back as it was", () => {
  for (const [url, place] of places) {
    assert.deepEqual(parsePlace(...split(url)), place);
    assert.equal(href(place), url);
  }
});

test("paths of Linkerd's dashboard lead to the nearest view", () => {
  assert.deepEqual(parsePlace("/", "").route, { page: "namespaces" });
  assert.deepEqual(parsePlace("/namespaces/a/deployments", "").route, { page: "namespace", namespace: "a" });
  assert.equal(parsePlace("/nowhere", "").route.page, "unknown");
  assert.equal(parsePlace("/namespaces/a/widgets/b", "").route.page, "unknown");
});

test("a window that is not offered means one minute", () => {
  assert.equal(parsePlace("/namespaces", "?window=7s").window, "1m");
});

test("behind kubectl proxy the mount point is kept apart", () => {
  const mount = "/api/v1/namespaces/linkerd-viz/services/web:http/proxy";
  assert.equal(basePath(`${mount}/namespaces/emojivoto`), mount);
  assert.deepEqual(parsePlace(`${mount}/namespaces/emojivoto`, "").route, { page: "namespace", namespace: "emojivoto" });
});

test("every view names the command that gives the same answer", () => {
  const commands = places.map(([, place]) => command(place));
  assert.deepEqual(commands, [
    "linkerd viz stat ns", "linkerd viz stat ns -t 1h", "linkerd viz stat deploy -n emojivoto",
    "linkerd viz edges deploy -n emojivoto", "linkerd viz stat deploy/web -n emojivoto -t 6h",
  ]);
  const last = places[4];
  assert.ok(last);
  assert.equal(neighbourCommand(last[1], "inbound"), "linkerd viz stat deploy -n emojivoto --to deploy/web -t 6h");
});

test("every view asks one question", () => {
  const last = places[4];
  assert.ok(last);
  assert.equal(viewQuery(last[1]), "view=workload&namespace=emojivoto&kind=deployment&name=web&window=6h");
});
