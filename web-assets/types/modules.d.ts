// The parts we use of packages that ship no types.

declare module "dagre" {
  export namespace graphlib {
    class Graph {
      constructor(options?: { multigraph?: boolean; compound?: boolean });
      setGraph(label: object): this;
      graph(): { width?: number; height?: number };
      setDefaultEdgeLabel(make: () => object): this;
      setNode(name: string, label: object): this;
      setEdge(from: string, to: string, label: object): this;
      node(name: string): { x: number; y: number; width: number; height: number };
      edge(from: string, to: string): { x: number; y: number; points: { x: number; y: number }[] };
    }
  }
  export function layout(graph: graphlib.Graph): void;
}

declare module "d3-scale" {
  export interface LinearScale {
    (value: number): number;
    domain(values: [number, number]): this;
    domain(): number[];
    range(values: [number, number]): this;
    nice(count?: number): this;
    ticks(count?: number): number[];
    invert(value: number): number;
  }
  export interface TimeScale {
    (value: number | Date): number;
    domain(values: [Date, Date]): this;
    range(values: [number, number]): this;
    ticks(count?: number): Date[];
  }
  export function scaleLinear(): LinearScale;
  export function scaleTime(): TimeScale;
}

declare module "d3-shape" {
  export interface Line<Datum> {
    (data: readonly Datum[]): string | null;
    x(of: (datum: Datum) => number): this;
    y(of: (datum: Datum) => number): this;
    curve(curve: Curve): this;
  }
  export interface Curve {
    readonly name: string;
  }
  export function line<Datum>(): Line<Datum>;
  export const curveMonotoneX: Curve;
  export const curveMonotoneY: Curve;
}

declare module "d3-selection" {
  export interface Selection {
    call(apply: (selection: Selection, ...rest: never[]) => void, ...args: unknown[]): this;
    on(type: string, listener: null): this;
  }
  export function select(node: Element): Selection;
  export const event: { transform: { x: number; y: number; k: number }; sourceEvent: Event | null };
}

declare module "d3-zoom" {
  import type { Selection } from "d3-selection";
  export interface Transform {
    readonly x: number;
    readonly y: number;
    readonly k: number;
  }
  export interface Zoom {
    (selection: Selection): void;
    scaleExtent(extent: [number, number]): this;
    filter(accept: () => boolean): this;
    on(type: "zoom", listener: () => void): this;
    transform: (selection: Selection, transform: Transform) => void;
    scaleBy: (selection: Selection, factor: number) => void;
    translateBy: (selection: Selection, x: number, y: number) => void;
  }
  export function zoom(): Zoom;
  export const zoomIdentity: Transform & {
    translate(x: number, y: number): Transform & { scale(k: number): Transform };
  };
}
