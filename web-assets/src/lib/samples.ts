// Sampled requests, as /api/v1/top and /api/v1/exemplars answer them, and what the page says about them.

import { count } from "./format";
import { plural, short } from "./routes";
import type { ResourceRef } from "./types";
import type { Window } from "./windows";

/** Requests that share ends, method and path. */
export interface TopRow {
  readonly src: ResourceRef;
  readonly dst: ResourceRef;
  readonly method: string;
  readonly path: string;
  /** How many requests the sampled ones stand for. */
  readonly count: number;
  readonly sampled: number;
  readonly successRate: number | null;
  readonly bestMs: number;
  readonly worstMs: number;
  readonly lastMs: number;
}

export interface Top {
  readonly startMs: number;
  readonly endMs: number;
  readonly sampled: number;
  readonly estimated: number;
  readonly rows: readonly TopRow[];
}

/** One request. */
export interface Exemplar {
  readonly t: number;
  readonly src: ResourceRef;
  readonly dst: ResourceRef;
  readonly srcPod: string;
  readonly dstPod: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly grpcStatus: number | null;
  readonly reset: boolean;
  readonly failed: boolean;
  readonly latencyMs: number;
  readonly traceId: string | null;
}

export interface Exemplars {
  readonly failed: readonly Exemplar[];
  readonly slowest: readonly Exemplar[];
}

const grpcNames = [
  "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
  "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
  "DataLoss", "Unauthenticated",
];

/** Kinds that samples are kept by. */
export function isSampled(kind: string): boolean {
  return ["deployment", "statefulset", "daemonset", "job", "cronjob", "replicationcontroller"].includes(kind);
}

/** The question about one resource, as path and query below the dashboard's base. */
export function samplesUrl(what: "top" | "exemplars", { kind, namespace, name }: ResourceRef, window: Window): string {
  return `/api/v1/${what}?${new URLSearchParams({ kind, namespace, name, window }).toString()}`;
}

/** The command that gives the same answer in a terminal. */
export function samplesCommand(what: "top" | "exemplars", { kind, namespace, name }: ResourceRef, window: Window): string {
  return `linkerd viz ${what} ${short(kind)}/${name} -n ${namespace} -t ${window === "1d" ? "24h" : window}`;
}

/** How much of the traffic the rows rest on. */
export function sampledWords({ sampled, estimated }: Pick<Top, "sampled" | "estimated">): string {
  if (sampled === 0) return "nothing was sampled";
  if (sampled >= estimated) return `all ${count(sampled)} requests`;
  const share = (sampled / estimated) * 100;
  const text = share >= 10 ? share.toFixed(0) : share >= 0.1 ? share.toFixed(1) : "< 0.1";
  return `${count(sampled)} of about ${count(estimated)} requests, ${text} %`;
}

/** A workload's name; those elsewhere with their namespace. */
export function peerName(peer: ResourceRef, namespace: string): string {
  if (peer.kind === "") return "(unknown)";
  if (peer.kind === "other") return "(other)";
  return peer.namespace === namespace ? peer.name : `${peer.name}.${peer.namespace}`;
}

/** What became of a request: gRPC's status by name, else HTTP's. */
export function outcome({ reset, grpcStatus, status }: Pick<Exemplar, "reset" | "grpcStatus" | "status">): string {
  if (reset) return "reset";
  if (grpcStatus === null) return String(status);
  return grpcNames[grpcStatus] ?? `Code(${grpcStatus})`;
}

/** Tells rows apart. */
export function topKey({ src, dst, method, path }: TopRow): string {
  return [src, dst].map((end) => `${end.namespace}/${plural(end.kind)}/${end.name}`).concat(method, path).join(" ");
}
