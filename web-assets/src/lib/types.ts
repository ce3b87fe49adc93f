// Shapes of the documents that /api/v1 answers. Rates are per second, latencies in milliseconds, success a
// share in 0...1; null means that nobody measured it.

export interface ResourceRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** The golden metrics; success and latency are null without a single response. */
export interface Golden {
  readonly successRate: number | null;
  readonly rps: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly failures?: number;
}

export interface TcpTotals {
  readonly openConnections?: number;
  readonly readBytesPerSecond?: number;
  readonly writeBytesPerSecond?: number;
}

/** Why a container of a pod is not well. */
export interface Problem {
  readonly pod: string;
  readonly container: string;
  readonly image: string;
  readonly reason: string;
  readonly message: string;
}

/** One line of a table. */
export interface Row extends ResourceRef, Golden, TcpTotals {
  readonly meshedPods: number;
  readonly runningPods: number;
  readonly failedPods: number;
  readonly status?: string;
  readonly problems?: readonly Problem[];
}

export interface GraphNode extends ResourceRef, Golden {
  readonly meshed: boolean;
  readonly meshedPods: number;
  readonly runningPods: number;
  readonly failedPods: number;
}

export interface GraphEdge extends Golden, TcpTotals {
  readonly src: ResourceRef;
  readonly dst: ResourceRef;
  readonly tls: boolean;
  readonly protocol: string;
  readonly clientId?: string;
  readonly serverId?: string;
}

export interface Topology {
  readonly startMs: number;
  readonly endMs: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/** One bucket of a series; only `t` when nothing was scraped then. */
export interface Point {
  readonly t: number;
  readonly successRate?: number | null;
  readonly rps?: number | null;
  readonly p50?: number | null;
  readonly p95?: number | null;
  readonly p99?: number | null;
}

export interface Series {
  readonly stepMs: number;
  readonly points: readonly Point[];
}

export interface NamespacesView {
  readonly view: "namespaces";
  readonly window: string;
  readonly rows: readonly Row[];
  readonly sparklines: Readonly<Record<string, Series>>;
}

export interface NamespaceView {
  readonly view: "namespace";
  readonly window: string;
  readonly namespace: string;
  readonly workloads: readonly Row[];
  readonly pods: readonly Row[];
  readonly topology: Topology;
}

export interface TopologyView {
  readonly view: "topology";
  readonly window: string;
  readonly topology: Topology;
}

export interface WorkloadView {
  readonly view: "workload";
  readonly window: string;
  readonly resource: ResourceRef;
  readonly row: Row | null;
  readonly inbound: readonly GraphEdge[];
  readonly outbound: readonly GraphEdge[];
  readonly pods: readonly Row[];
  readonly series: Series;
}

export type ViewDocument = NamespacesView | NamespaceView | TopologyView | WorkloadView;
