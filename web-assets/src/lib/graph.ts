// The service graph as it is drawn: from a topology to boxes and lines with their words.

import { latency, percent, rate } from "./format";
import { hasFailures, health, healthWord, type Health } from "./health";
import { layoutGraph, type Layout, type LayoutOptions } from "./graphLayout";
import type { GraphEdge, GraphNode, ResourceRef, Topology } from "./types";

/** Every box has the same size: numbers that grow must not move the picture. */
export const nodeSize = { width: 176, height: 62 } as const;
/** Room for the longest label, so that a line that begins to fail moves nothing either. */
const labelSize = { width: 138, height: 22 } as const;

/** A name that is unique in the cluster. */
export function resourceKey(ref: ResourceRef): string {
  return `${ref.namespace}/${ref.kind}/${ref.name}`;
}

/** The picture for a width: callers on top on a phone, on the left elsewhere. */
export function graphLayout(topology: Topology, width: number): Layout {
  const options: LayoutOptions = {
    node: nodeSize, label: labelSize, rowWidth: Math.max(320, width),
    direction: width < 640 ? "down" : "right",
  };
  const links = topology.edges.map((edge) => ({ src: resourceKey(edge.src), dst: resourceKey(edge.dst) }));
  return layoutGraph(topology.nodes.map(resourceKey), links, options);
}

/** Changes only when a box or a line comes or goes, never with the numbers. */
export function shapeKey(topology: Topology): string {
  return JSON.stringify([
    topology.nodes.map(resourceKey).sort(),
    topology.edges.map((edge) => `${resourceKey(edge.src)}>${resourceKey(edge.dst)}`).sort(),
  ]);
}

/** Stroke width in pixels, by order of magnitude of requests per second: 1.5 at rest, 6 at 1,000. */
export function edgeWidth(rps: number | null): number {
  if (rps == null || rps <= 0) return 1.5;
  const decades = Math.log10(1 + rps * 10) / 4;
  return Math.round((1.5 + 4.5 * Math.min(1, decades)) * 10) / 10;
}

/** How a line looks: failing as soon as one request failed, idle when nobody asked. */
export function edgeState(edge: GraphEdge): Health {
  if (edge.successRate == null) return "unknown";
  if (!hasFailures(edge)) return "good";
  return health(edge.successRate) === "poor" ? "poor" : "warning";
}

/** The few letters on a line: its rate, and what fails of it. */
export function edgeLabel(edge: GraphEdge): string {
  if (edge.rps == null) return edge.protocol === "tcp" ? "tcp" : "idle";
  return `${rate(edge.rps)} rps`;
}

/** A line as a sentence. */
export function edgeSentence(edge: GraphEdge): string {
  const ends = `${edge.src.name} to ${edge.dst.name}`;
  if (edge.rps == null) return `${ends}: ${edge.protocol === "tcp" ? "bytes without requests" : "no traffic"}`;
  const failing = hasFailures(edge) ? ", failing in part" : "";
  const secured = edge.tls ? "secured" : "not secured";
  return `${ends}: ${rate(edge.rps)} requests per second, ${percent(edge.successRate)} success${failing}, `
    + `P99 ${latency(edge.p99)}, ${secured}`;
}

/** A box as a sentence. */
export function nodeSentence(node: GraphNode): string {
  const state = healthWord(health(node.successRate));
  if (node.rps == null) return `${node.kind} ${node.name}: receives no traffic`;
  return `${node.kind} ${node.name}: ${state}, ${percent(node.successRate)} success, `
    + `${rate(node.rps)} requests per second`;
}

/** The namespace is worth a line only where it differs from the page's. */
export function nodeCaption(node: ResourceRef, namespace: string): string {
  return node.namespace === namespace || node.namespace === "" ? node.kind : `${node.namespace} · ${node.kind}`;
}

/** Shortens in the middle: prefixes and suffixes are what tells names apart. */
export function shorten(text: string, lettersMax: number): string {
  if (text.length <= lettersMax) return text;
  const head = Math.ceil((lettersMax - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (lettersMax - 1 - head))}`;
}
