import assert from "node:assert/strict";
import { test } from "node:test";
import { isSampled, outcome, peerName, sampledWords, samplesCommand, samplesUrl, topKey } from "../src/lib/samples";

const web = { kind: "deployment", namespace: "emojivoto", name: "web" };

test("how much was sampled is said, and never as nothing when it was little", () => {
  assert.equal(sampledWords({ sampled: 0, estimated: 0 }), "nothing was sampled");
  assert.equal(sampledWords({ sampled: 12, estimated: 12 }), "all 12 requests");
  assert.equal(sampledWords({ sampled: 12, estimated: 48 }), "12 of about 48 requests, 25 %");
  assert.equal(sampledWords({ sampled: 12, estimated: 4800 }), "12 of about 4\u202f800 requests, 0.3 %");
  assert.equal(sampledWords({ sampled: 1, estimated: 1_000_000 }), "1 of about 1\u202f000\u202f000 requests, < 0.1 %");
});

test("a failed call says its gRPC status by name, a plain one its HTTP status", () => {
  const plain = { reset: false, grpcStatus: null, status: 503 };
  assert.equal(outcome(plain), "503");
  assert.equal(outcome({ ...plain, status: 200, grpcStatus: 2 }), "Unknown");
  assert.equal(outcome({ ...plain, grpcStatus: 99 }), "Code(99)");
  assert.equal(outcome({ ...plain, reset: true }), "reset");
});

test("peers elsewhere have their namespace, strangers and the rest have words", () => {
  assert.equal(peerName(web, "emojivoto"), "web");
  assert.equal(peerName(web, "shop"), "web.emojivoto");
  assert.equal(peerName({ kind: "", namespace: "", name: "" }, "shop"), "(unknown)");
  assert.equal(peerName({ kind: "other", namespace: "", name: "other" }, "shop"), "(other)");
});

test("a question is a URL, and a command", () => {
  assert.equal(samplesUrl("top", web, "10m"), "/api/v1/top?kind=deployment&namespace=emojivoto&name=web&window=10m");
  assert.equal(samplesCommand("exemplars", web, "1d"), "linkerd viz exemplars deploy/web -n emojivoto -t 24h");
  assert.ok(isSampled("deployment") && !isSampled("pod") && !isSampled("service"));
});

test("rows that differ in any column have different keys", () => {
  const row = { src: web, dst: web, method: "GET", path: "/", count: 1, sampled: 1, successRate: 1, bestMs: 1, worstMs: 1, lastMs: 1 };
  const keys = [row, { ...row, method: "PUT" }, { ...row, path: "/a" }, { ...row, src: { ...web, name: "bot" } }].map(topKey);
  assert.equal(new Set(keys).size, keys.length);
});
