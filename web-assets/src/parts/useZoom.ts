// Zoom and pan of the service graph, by wheel, fingers, keys and buttons.

import { event as zoomEvent, select } from "d3-selection";
import { zoom as makeZoom, zoomIdentity, type Zoom } from "d3-zoom";
import { useEffect, useMemo, useRef, useState, type RefObject } from "react";
import type { Size } from "../lib/graphLayout";

export interface ZoomControls {
  readonly ref: RefObject<SVGSVGElement>;
  readonly transform: string;
  readonly closer: () => void;
  readonly farther: () => void;
  readonly fit: () => void;
}

/** Factor of one press of a button. */
const stepFactor = 1.3;

/** A graph in a page scrolls with the page: there, the wheel zooms only with Ctrl, and one finger scrolls. */
export function useZoom(graph: Size, width: number, height: number, isFree: boolean): ZoomControls {
  const ref = useRef<SVGSVGElement>(null);
  const [transform, setTransform] = useState("");
  const behaviour = useMemo<Zoom>(() => makeZoom()
    .scaleExtent([0.2, 3])
    .filter(() => accepts(currentEvent(), isFree))
    .on("zoom", () => {
      const { x, y, k } = zoomEvent.transform;
      setTransform(`translate(${x} ${y}) scale(${k})`);
    }), [isFree]);

  const run = (apply: (zoom: Zoom) => void): void => {
    if (ref.current) apply(behaviour);
  };
  const fit = (): void => run((zoom) => {
    if (!ref.current) return;
    const k = Math.min(1, width / graph.width, height / graph.height);
    const target = zoomIdentity
      .translate((width - graph.width * k) / 2, Math.max(0, (height - graph.height * k) / 2)).scale(k);
    select(ref.current).call(zoom.transform as never, target);
  });
  const scaleBy = (factor: number): void => run((zoom) => {
    if (ref.current) select(ref.current).call(zoom.scaleBy as never, factor);
  });

  useEffect(() => {
    const node = ref.current;
    if (!node) return undefined;
    select(node).call(behaviour).on("dblclick.zoom", null);
    return () => {
      select(node).on(".zoom", null);
    };
  }, [behaviour]);
  // A new shape or a new size starts from the whole picture; new numbers leave the view alone.
  useEffect(fit, [behaviour, graph, width, height]);

  return { ref, transform, fit, closer: () => scaleBy(stepFactor), farther: () => scaleBy(1 / stepFactor) };
}

function currentEvent(): Event | null {
  return zoomEvent as unknown as Event | null;
}

function accepts(event: Event | null, isFree: boolean): boolean {
  if (event instanceof WheelEvent) return isFree || event.ctrlKey;
  if (event instanceof MouseEvent) return event.button === 0;
  if (typeof TouchEvent !== "undefined" && event instanceof TouchEvent) return isFree || event.touches.length > 1;
  return true;
}
