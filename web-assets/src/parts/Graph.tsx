// The service graph: boxes that are links, lines that tell what they carry, and a table twin.

import { useMemo, type ReactNode } from "react";
import { edgePath } from "../charts/edgePath";
import { percent, rate } from "../lib/format";
import {
  edgeLabel, edgeSentence, edgeState, edgeWidth, graphLayout, nodeCaption, nodeSentence, nodeSize, resourceKey,
  shapeKey, shorten,
} from "../lib/graph";
import type { Layout, Route as EdgeRoute, Spot } from "../lib/graphLayout";
import { health } from "../lib/health";
import { href, type Place } from "../lib/routes";
import type { GraphEdge, GraphNode, Topology } from "../lib/types";
import { base, follow, usePlace } from "./navigation";
import { MarkAt } from "./State";
import { useWidth } from "./useWidth";
import { useZoom } from "./useZoom";

interface Props {
  readonly topology: Topology;
  readonly namespace: string;
  /** Fixed height with free zoom and pan; otherwise the graph is as high as it needs. */
  readonly isFree?: boolean;
  /** What the colours and widths mean, beside the zoom buttons. */
  readonly legend: ReactNode;
}

export function Graph({ topology, namespace, legend, isFree = false }: Props): JSX.Element {
  const [frame, width] = useWidth(960);
  const shape = shapeKey(topology);
  const isNarrow = width < 640;
  // Numbers come every few seconds; the picture is computed anew only when its shape changed.
  const layout = useMemo(() => graphLayout(topology, width), [shape, isNarrow, Math.round(width / 80)]);
  const scale = Math.min(1, width / layout.width);
  const height = isFree ? Math.max(360, window.innerHeight - 330) : Math.ceil(layout.height * scale);
  const zoom = useZoom(layout, width, height, isFree);
  return (
    <div className={isFree ? "graph free" : "graph"} ref={frame}>
      <div className="legend">
        {legend}
        <span className="controls">
          <button type="button" className="button" onClick={zoom.closer} aria-label="Zoom in">+</button>
          <button type="button" className="button" onClick={zoom.farther} aria-label="Zoom out">−</button>
          <button type="button" className="button" onClick={zoom.fit} aria-label="Show the whole graph">⤢</button>
        </span>
      </div>
      <svg
        ref={zoom.ref} className="canvas" height={height} viewBox={`0 0 ${width} ${height}`} role="group"
        aria-label={`Service graph: ${topology.nodes.length} workloads, ${topology.edges.length} connections`}
      >
        <g transform={zoom.transform}>
          <Edges layout={layout} topology={topology} direction={isNarrow ? "down" : "right"} />
          <Nodes layout={layout} topology={topology} namespace={namespace} />
        </g>
      </svg>
    </div>
  );
}

function Edges({ layout, topology, direction }: {
  layout: Layout; topology: Topology; direction: "right" | "down";
}): JSX.Element {
  const edges = new Map(topology.edges.map((edge) => [`${resourceKey(edge.src)}>${resourceKey(edge.dst)}`, edge]));
  return (
    <>
      {layout.edges.map((route) => {
        const key = `${route.src}>${route.dst}`;
        const edge = edges.get(key);
        return edge ? <EdgeLine key={key} edge={edge} route={route} direction={direction} /> : null;
      })}
    </>
  );
}

function EdgeLine({ edge, route, direction }: {
  edge: GraphEdge; route: EdgeRoute; direction: "right" | "down";
}): JSX.Element {
  const state = edgeState(edge);
  const path = edgePath(route.points, direction);
  const { x, y } = route.label;
  const failing = state === "poor" || state === "warning";
  const text = failing ? `${edgeLabel(edge)} · ${percent(edge.successRate)}` : edgeLabel(edge);
  const width = Math.max(44, text.length * 6.6 + 16) + (failing ? 14 : 0);
  return (
    <g className={`edge ${state}`} role="img" aria-label={edgeSentence(edge)}>
      <title>{edgeSentence(edge)}</title>
      <path className="line" d={path.d} strokeWidth={edgeWidth(edge.rps)} />
      <path className="tip" d={path.head} />
      <rect className="tag" x={x - width / 2} y={y - 11} width={width} height={22} rx={11} />
      {failing ? <g transform={`translate(${x - width / 2 + 8} ${y - 6}) scale(.86)`}><MarkAt state={state} x={0} y={0} /></g> : null}
      <text x={failing ? x + 8 : x} y={y + 4}>{text}</text>
    </g>
  );
}

function Nodes({ layout, topology, namespace }: {
  layout: Layout; topology: Topology; namespace: string;
}): JSX.Element {
  const nodes = new Map(topology.nodes.map((node) => [resourceKey(node), node]));
  return (
    <>
      {layout.nodes.map((spot) => {
        const node = nodes.get(spot.id);
        return node ? <NodeBox key={spot.id} node={node} spot={spot} namespace={namespace} /> : null;
      })}
    </>
  );
}

function NodeBox({ node, spot, namespace }: { node: GraphNode; spot: Spot; namespace: string }): JSX.Element {
  const place = usePlace();
  const state = health(node.successRate);
  const to: Place = {
    window: place.window,
    route: { page: "workload", namespace: node.namespace, kind: node.kind, name: node.name },
  };
  const { width, height } = nodeSize;
  const numbers = node.rps == null ? "no inbound traffic" : `${percent(node.successRate)}   ${rate(node.rps)} rps`;
  return (
    <g
      className={`node ${state}${node.meshed ? "" : " unmeshed"}`}
      transform={`translate(${spot.x - width / 2} ${spot.y - height / 2})`}
    >
      <a href={href(to, base)} onClick={(event) => follow(event, to)} aria-label={nodeSentence(node)}>
        <title>{nodeSentence(node)}{node.meshed ? "" : ", not meshed"}</title>
        <rect width={width} height={height} rx={11} />
        <text className="caption" x={14} y={18}>
          {nodeCaption(node, namespace)}{node.meshed ? "" : " · not meshed"}
        </text>
        <text className="label" x={14} y={35}>{shorten(node.name, 20)}</text>
        <MarkAt state={state} x={13} y={42} />
        <text className={`number ${state}`} x={33} y={53.5} xmlSpace="preserve">{numbers}</text>
      </a>
    </g>
  );
}
