import assert from "node:assert/strict";
import { test } from "node:test";
import { edgeState, edgeWidth, graphLayout, shapeKey, shorten } from "../src/lib/graph";
import { layoutGraph, type LayoutOptions, type Link } from "../src/lib/graphLayout";
import { emojivoto } from "./fixtures";

const options: LayoutOptions = {
  node: { width: 100, height: 40 }, label: { width: 60, height: 20 }, direction: "right", rowWidth: 800,
};
const links: Link[] = [
  { src: "vote-bot", dst: "web" }, { src: "web", dst: "voting" }, { src: "web", dst: "emoji" },
];
const ids = ["web", "vote-bot", "emoji", "voting"];

test("the same edges give the same picture, in whatever order they come", () => {
  const first = layoutGraph(ids, links, options);
  const second = layoutGraph([...ids].reverse(), [...links].reverse(), options);
  assert.deepEqual(first, second);
});

test("callers stand to the left of what they call", () => {
  const x = new Map(layoutGraph(ids, links, options).nodes.map((node) => [node.id, node.x]));
  assert.ok((x.get("vote-bot") ?? 0) < (x.get("web") ?? 0));
  assert.ok((x.get("web") ?? 0) < (x.get("voting") ?? 0));
  assert.equal(x.get("voting"), x.get("emoji"));
});

test("boxes never overlap and stay inside the picture", () => {
  const many = Array.from({ length: 40 }, (_, index) => `n${index}`);
  const edges = many.slice(1).map((id, index) => ({ src: many[Math.floor(index / 3)] ?? "n0", dst: id }));
  const layout = layoutGraph([...many, "alone", "single"], edges, options);
  layout.nodes.forEach((a, index) => {
    assert.ok(a.x - a.width / 2 >= 0 && a.x + a.width / 2 <= layout.width, a.id);
    assert.ok(a.y - a.height / 2 >= 0 && a.y + a.height / 2 <= layout.height, a.id);
    for (const b of layout.nodes.slice(index + 1)) {
      const apart = Math.abs(a.x - b.x) >= a.width || Math.abs(a.y - b.y) >= a.height;
      assert.ok(apart, `${a.id} overlaps ${b.id}`);
    }
  });
});

test("a part that did not change keeps its inner shape when another part grows", () => {
  const inner = (more: readonly Link[]): number[] => {
    const layout = layoutGraph(ids, [...links, ...more], options);
    const at = new Map(layout.nodes.map((node) => [node.id, node]));
    const web = at.get("web");
    return ids.flatMap((id) => [(at.get(id)?.x ?? 0) - (web?.x ?? 0), (at.get(id)?.y ?? 0) - (web?.y ?? 0)]);
  };
  assert.deepEqual(inner([]), inner([{ src: "a", dst: "b" }]));
});

test("cycles and calls to oneself are drawn", () => {
  const layout = layoutGraph(["a", "b"], [{ src: "a", dst: "b" }, { src: "b", dst: "a" }, { src: "a", dst: "a" }], options);
  assert.equal(layout.edges.length, 3);
  for (const edge of layout.edges) assert.ok(edge.points.length >= 2);
});

test("new numbers move nothing", () => {
  const louder = { ...emojivoto, edges: emojivoto.edges.map((edge) => ({ ...edge, rps: 9999, successRate: 0.5 })) };
  assert.equal(shapeKey(louder), shapeKey(emojivoto));
  assert.deepEqual(graphLayout(louder, 1000), graphLayout(emojivoto, 1000));
});

test("the line from web to voting stands out", () => {
  const states = emojivoto.edges.map((edge) => `${edge.src.name}>${edge.dst.name} ${edgeState(edge)}`);
  assert.deepEqual(states, ["vote-bot>web warning", "web>emoji good", "web>voting poor"]);
});

test("lines widen with the rate, within bounds", () => {
  assert.equal(edgeWidth(null), 1.5);
  assert.ok(edgeWidth(1) < edgeWidth(10) && edgeWidth(10) < edgeWidth(1000));
  assert.equal(edgeWidth(1e9), 6);
});

test("long names lose their middle", () => {
  assert.equal(shorten("web", 20), "web");
  assert.equal(shorten("payments-production-eu-west-gateway", 20), "payments-p…t-gateway");
});
