// The demo application as the topology of its namespace.

import type { Golden, GraphEdge, GraphNode, Topology } from "../src/lib/types";

const silent: Golden = { successRate: null, rps: null, p50: null, p95: null, p99: null };

function node(name: string, golden: Golden): GraphNode {
  return {
    kind: "deployment", namespace: "emojivoto", name, meshed: true, meshedPods: 1, runningPods: 1, failedPods: 0,
    ...golden,
  };
}

function edge(src: string, dst: string, golden: Golden): GraphEdge {
  const ref = (name: string) => ({ kind: "deployment", namespace: "emojivoto", name });
  return { src: ref(src), dst: ref(dst), tls: true, protocol: "grpc", ...golden };
}

const web: Golden = { successRate: 0.93, rps: 2, p50: 3, p95: 9, p99: 24 };
const emoji: Golden = { successRate: 1, rps: 2, p50: 1, p95: 2, p99: 3 };
const voting: Golden = { successRate: 0.85, rps: 1, p50: 1, p95: 4, p99: 9 };

export const emojivoto: Topology = {
  startMs: 0, endMs: 60_000,
  nodes: [node("emoji", emoji), node("vote-bot", silent), node("voting", voting), node("web", web)],
  edges: [edge("vote-bot", "web", web), edge("web", "emoji", emoji), edge("web", "voting", voting)],
};
