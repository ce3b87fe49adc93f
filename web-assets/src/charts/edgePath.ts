// Lines of the service graph: a smooth path that never turns back, and its arrow head.

import { curveMonotoneX, curveMonotoneY, line } from "d3-shape";
import type { XY } from "../lib/graphLayout";

/** Length of an arrow head, pixels. */
const headLength = 9;

export interface EdgePath {
  readonly d: string;
  readonly head: string;
}

/** The path through `points` for a graph that runs to the right or down. */
export function edgePath(points: readonly XY[], direction: "right" | "down"): EdgePath {
  const last = points[points.length - 1];
  const before = points[points.length - 2];
  if (!last || !before) return { d: "", head: "" };
  // The line ends where the head begins, or a wide line would cover its tip.
  const isForward = direction === "right" ? last.x >= before.x : last.y >= before.y;
  const sign = isForward ? 1 : -1;
  const neck = direction === "right"
    ? { x: last.x - sign * headLength, y: last.y } : { x: last.x, y: last.y - sign * headLength };
  const draw = line<XY>().x((p) => p.x).y((p) => p.y)
    .curve(direction === "right" ? curveMonotoneX : curveMonotoneY);
  return { d: draw([...points.slice(0, -1), neck]) ?? "", head: head(last, neck) };
}

function head(tip: XY, neck: XY): string {
  const [dx, dy] = [(tip.x - neck.x) / headLength, (tip.y - neck.y) / headLength];
  const half = headLength * 0.55;
  const corner = (side: number): string =>
    `${fixed(neck.x - dy * half * side)},${fixed(neck.y + dx * half * side)}`;
  return `M${fixed(tip.x)},${fixed(tip.y)}L${corner(1)}L${corner(-1)}Z`;
}

function fixed(value: number): number {
  return Math.round(value * 10) / 10;
}
