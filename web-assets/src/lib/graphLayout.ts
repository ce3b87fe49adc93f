// Where the boxes of the service graph stand: a pure function of names, so that the same edges give the same
// picture and new numbers move nothing. Each connected part is laid out on its own; a change in one part
// leaves the inside of the others as it was.

import * as dagre from "dagre";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Spot extends Size {
  readonly id: string;
  /** Centre. */
  readonly x: number;
  readonly y: number;
}

export interface XY {
  readonly x: number;
  readonly y: number;
}

export interface Link {
  readonly src: string;
  readonly dst: string;
}

export interface Route extends Link {
  /** From border to border. */
  readonly points: readonly XY[];
  /** Where its label stands. */
  readonly label: XY;
}

export interface Layout extends Size {
  readonly nodes: readonly Spot[];
  readonly edges: readonly Route[];
}

export interface LayoutOptions {
  readonly node: Size;
  readonly label: Size;
  /** right: callers on the left. down: callers on top, for narrow screens. */
  readonly direction: "right" | "down";
  /** Where unconnected boxes wrap. */
  readonly rowWidth: number;
}

/** Space around the picture and between its parts. */
const margin = 24;

/** Places every node and routes every edge. */
export function layoutGraph(ids: readonly string[], links: readonly Link[], options: LayoutOptions): Layout {
  const known = [...new Set([...ids, ...links.flatMap((link) => [link.src, link.dst])])].sort(compare);
  const edges = [...links].sort((a, b) => compare(a.src, b.src) || compare(a.dst, b.dst));
  const parts = components(known, edges);
  const connected = parts.filter((part) => part.edges.length > 0)
    .map((part) => layoutPart(part, options))
    .sort((a, b) => b.nodes.length - a.nodes.length || compare(a.nodes[0]?.id ?? "", b.nodes[0]?.id ?? ""));
  const singles = parts.filter((part) => part.edges.length === 0).flatMap((part) => part.ids);
  return stack([...connected, ...rows(singles, options)], options);
}

interface Part {
  readonly ids: readonly string[];
  readonly edges: readonly Link[];
}

function components(ids: readonly string[], edges: readonly Link[]): Part[] {
  const root = new Map(ids.map((id) => [id, id]));
  const find = (id: string): string => {
    let at = id;
    while (root.get(at) !== at) at = root.get(at) ?? at;
    return at;
  };
  for (const edge of edges) {
    const [a, b] = [find(edge.src), find(edge.dst)];
    // The smaller name leads, whatever the order of the edges.
    if (a !== b) root.set(compare(a, b) < 0 ? b : a, compare(a, b) < 0 ? a : b);
  }
  const parts = new Map<string, { ids: string[]; edges: Link[] }>();
  for (const id of ids) {
    const leader = find(id);
    const part = parts.get(leader) ?? { ids: [], edges: [] };
    part.ids.push(id);
    parts.set(leader, part);
  }
  for (const edge of edges) parts.get(find(edge.src))?.edges.push(edge);
  return [...parts.values()];
}

function layoutPart(part: Part, options: LayoutOptions): Layout {
  const graph = new dagre.graphlib.Graph();
  const isRight = options.direction === "right";
  graph.setGraph({
    rankdir: isRight ? "LR" : "TB", nodesep: isRight ? 28 : 20, ranksep: isRight ? 44 : 34, edgesep: 18,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of part.ids) graph.setNode(id, { ...options.node });
  for (const edge of part.edges) graph.setEdge(edge.src, edge.dst, { ...options.label, labelpos: "c" });
  dagre.layout(graph);
  const size = graph.graph();
  return {
    width: size.width ?? 0,
    height: size.height ?? 0,
    nodes: part.ids.map((id) => ({ id, ...options.node, ...rounded(graph.node(id)) })),
    edges: part.edges.map((edge) => {
      const { points, x, y } = graph.edge(edge.src, edge.dst);
      return { src: edge.src, dst: edge.dst, points: points.map(rounded), label: rounded({ x, y }) };
    }),
  };
}

/** Boxes without edges, side by side, each row a part of its own. */
function rows(ids: readonly string[], options: LayoutOptions): Layout[] {
  const { width, height } = options.node;
  const perRow = Math.max(1, Math.floor((options.rowWidth - 2 * margin + margin) / (width + margin)));
  const result: Layout[] = [];
  for (let start = 0; start < ids.length; start += perRow) {
    const row = ids.slice(start, start + perRow);
    result.push({
      width: row.length * (width + margin) - margin,
      height,
      nodes: row.map((id, index) => ({ id, width, height, x: index * (width + margin) + width / 2, y: height / 2 })),
      edges: [],
    });
  }
  return result;
}

function stack(parts: readonly Layout[], options: LayoutOptions): Layout {
  const inner = Math.max(options.node.width, ...parts.map((part) => part.width));
  const nodes: Spot[] = [];
  const edges: Route[] = [];
  let top = margin;
  for (const part of parts) {
    const left = margin + (part.edges.length > 0 ? (inner - part.width) / 2 : 0);
    const move = (at: XY): XY => rounded({ x: at.x + left, y: at.y + top });
    nodes.push(...part.nodes.map((node) => ({ ...node, ...move(node) })));
    edges.push(...part.edges.map((edge) => (
      { ...edge, points: edge.points.map(move), label: move(edge.label) })));
    top += part.height + margin;
  }
  return { width: Math.ceil(inner + 2 * margin), height: Math.ceil(top), nodes, edges };
}

function rounded(at: XY): XY {
  return { x: Math.round(at.x * 10) / 10, y: Math.round(at.y * 10) / 10 };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
