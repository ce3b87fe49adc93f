// What a page knows about live requests: a pure state machine, fed by the messages of /api/tap.

import type { TapRoute } from "./routes";

/** Requests that are kept; older ones go. */
export const rowsMax = 50;

/** Requests a second that a page asks for at most: people read no faster. */
export const ratePerSecond = 20;

export interface TapRow {
  readonly key: string;
  readonly direction: "in" | "out";
  readonly source: string;
  readonly destination: string;
  readonly method: string;
  readonly path: string;
  readonly isSecured: boolean;
  /** HTTP status; null until the response begins. */
  readonly status: number | null;
  /** gRPC status, when there is one. */
  readonly grpc: number | null;
  readonly isReset: boolean;
  /** Milliseconds from the request to the end of the response; null until then. */
  readonly latency: number | null;
}

/** Totals since the page began to look. */
export interface TapLosses {
  readonly limited: number;
  readonly dropped: number;
  readonly cut: number;
  readonly gaps: number;
  /** Times that the page itself was cut off, and for how many milliseconds. */
  readonly breaks: number;
  readonly awayMs: number;
}

export interface TapState {
  /** waiting: cut off, and trying again. */
  readonly phase: "stopped" | "connecting" | "live" | "waiting";
  /** Why there is nothing, in words for a person. */
  readonly problem: string | null;
  /** The newest first. */
  readonly rows: readonly TapRow[];
  readonly shown: number;
  readonly losses: TapLosses;
  /** Losses of the streams before this one. */
  readonly before: TapLosses;
  readonly brokeAt: number | null;
}

export type TapAction =
  | { readonly type: "start" }
  | { readonly type: "stop" }
  | { readonly type: "messages"; readonly texts: readonly string[]; readonly now: number }
  | { readonly type: "closed"; readonly code: number; readonly reason: string; readonly now: number };

const none: TapLosses = { limited: 0, dropped: 0, cut: 0, gaps: 0, breaks: 0, awayMs: 0 };

export const stopped: TapState = {
  phase: "stopped", problem: null, rows: [], shown: 0, losses: none, before: none, brokeAt: null,
};

/** The first message of a socket. */
export function ask(route: TapRoute): string {
  const { path, method, status } = route.filter;
  const resource = `${route.kind}/${route.name}`;
  return JSON.stringify({ resource, namespace: route.namespace, maxRps: ratePerSecond, path, method, status, news: true });
}

/** RFC 6455: the server will not do it, however often it is asked. */
export const refused = 1008;

export function tapReducer(state: TapState, action: TapAction): TapState {
  switch (action.type) {
    case "start": return { ...stopped, phase: "connecting" };
    case "stop": return { ...state, phase: "stopped", problem: null };
    case "messages": return action.texts.reduce((next, text) => take(next, text, action.now), state);
    case "closed": {
      if (state.phase === "stopped") return state;
      const problem = action.reason === "" ? "The connection to the dashboard was lost." : action.reason;
      if (action.code === refused) return { ...state, phase: "stopped", problem };
      return { ...state, phase: "waiting", problem, before: state.losses, brokeAt: state.brokeAt ?? action.now };
    }
  }
}

function take(state: TapState, text: string, now: number): TapState {
  const message = parse(text);
  if (message === null || state.phase === "stopped") return state;
  if (message.open === true) return opened(state, now);
  if (message.losses) return { ...state, losses: sum(state.before, message.losses) };
  return event(state, message);
}

function opened(state: TapState, now: number): TapState {
  const live = { ...state, phase: "live", problem: null, brokeAt: null } as const;
  if (state.brokeAt === null) return live;
  // Whatever was under way will not be seen to end, and what passed meanwhile nobody counted.
  const open = state.rows.filter((row) => row.latency === null).length;
  const losses = {
    ...state.losses, breaks: state.losses.breaks + 1, awayMs: state.losses.awayMs + (now - state.brokeAt), cut: state.losses.cut + open,
  };
  return { ...live, losses, before: losses };
}

function sum(before: TapLosses, more: WireLosses): TapLosses {
  const number = (text: string | undefined): number => Number(text ?? 0);
  return {
    ...before,
    limited: before.limited + number(more.limited), dropped: before.dropped + number(more.droppedRequests) + number(more.droppedEvents),
    cut: before.cut + number(more.cut), gaps: before.gaps + number(more.gaps),
  };
}

/** What was not shown, in words; none when nothing was. */
export function lossWords(losses: TapLosses): string[] {
  const words: [number, string][] = [
    [losses.limited, `over ${ratePerSecond} a second`], [losses.dropped, "dropped, reading was too slow"],
    [losses.cut, "whose end was not seen"],
  ];
  const said = words.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (losses.gaps > 0) said.push(`whatever passed ${losses.gaps === 1 ? "once" : `${losses.gaps} times`} while a proxy could not be observed`);
  if (losses.breaks > 0) said.push(`whatever passed in ${(losses.awayMs / 1000).toFixed(1)} s without a connection`);
  return said;
}

// MARK: Events as proto3's JSON writes them: zeros are left out

interface WirePeer { readonly ip?: { readonly ipv4?: number; readonly ipv6?: { first?: string; last?: string } }; readonly port?: number }
interface WireID { readonly base?: number; readonly stream?: string }
interface WireLosses {
  readonly limited?: string; readonly droppedRequests?: string; readonly droppedEvents?: string; readonly cut?: string; readonly gaps?: string;
}
interface WireEvent {
  readonly open?: boolean;
  readonly losses?: WireLosses;
  readonly source?: WirePeer;
  readonly destination?: WirePeer;
  readonly sourceMeta?: { readonly labels?: Readonly<Record<string, string>> };
  readonly destinationMeta?: { readonly labels?: Readonly<Record<string, string>> };
  readonly proxyDirection?: string;
  readonly http?: {
    readonly requestInit?: {
      readonly id?: WireID; readonly path?: string; readonly method?: { readonly registered?: string; readonly unregistered?: string };
    };
    readonly responseInit?: { readonly id?: WireID; readonly httpStatus?: number };
    readonly responseEnd?: {
      readonly id?: WireID; readonly sinceRequestInit?: string; readonly eos?: { readonly grpcStatusCode?: number; readonly resetErrorCode?: number };
    };
  };
}

function event(state: TapState, message: WireEvent): TapState {
  const { requestInit, responseInit, responseEnd } = message.http ?? {};
  const id = (requestInit ?? responseInit ?? responseEnd)?.id;
  const direction = message.proxyDirection === "OUTBOUND" ? "out" : "in";
  const key = [id?.base ?? 0, id?.stream ?? 0, direction, address(message.source), address(message.destination)].join(" ");
  if (requestInit) {
    const labels = (direction === "out" ? message.destinationMeta : message.sourceMeta)?.labels;
    const row: TapRow = {
      key, direction, source: name(message.sourceMeta?.labels, message.source),
      destination: name(message.destinationMeta?.labels, message.destination),
      method: requestInit.method?.registered ?? requestInit.method?.unregistered ?? "", path: requestInit.path ?? "",
      isSecured: labels?.["tls"] === "true", status: null, grpc: null, isReset: false, latency: null,
    };
    return { ...state, rows: [row, ...state.rows].slice(0, rowsMax), shown: state.shown + 1 };
  }
  const change: Partial<TapRow> = responseInit ? { status: responseInit.httpStatus ?? 0 } : {
    latency: milliseconds(responseEnd?.sinceRequestInit), grpc: responseEnd?.eos?.grpcStatusCode ?? null,
    isReset: responseEnd?.eos?.resetErrorCode !== undefined,
  };
  return { ...state, rows: state.rows.map((row) => (row.key === key ? { ...row, ...change } : row)) };
}

/** gRPC codes that count as failures, as in `linkerd viz stat`. */
const failures = [2, 4, 7, 13, 14, 15];

/** Whether a request went well; null while nobody knows. */
export function isGood(row: TapRow): boolean | null {
  if (row.isReset || (row.status ?? 0) >= 500 || (row.grpc !== null && failures.includes(row.grpc))) return false;
  return row.latency === null ? null : true;
}

/** The response in a few words. */
export function outcome(row: TapRow): string {
  if (row.isReset) return "reset";
  if (row.grpc !== null && row.grpc !== 0) return `${row.status ?? ""} gRPC ${row.grpc}`.trim();
  return row.status === null ? "—" : String(row.status);
}

const workloads = ["deployment", "statefulset", "daemonset", "k8s_job", "cronjob", "replicaset", "replicationcontroller", "pod", "node"];

function name(labels: Readonly<Record<string, string>> | undefined, peer: WirePeer | undefined): string {
  const kind = workloads.find((known) => labels?.[known] !== undefined);
  return (kind && labels?.[kind]) ?? address(peer).replace(/:\d+$/, "");
}

/** `1.2.3.4:80`, `[fd00::1]:80`. */
export function address(peer: WirePeer | undefined): string {
  const port = peer?.port ?? 0;
  const { ipv4, ipv6 } = peer?.ip ?? {};
  if (ipv4 !== undefined) return `${[24, 16, 8, 0].map((shift) => (ipv4 >>> shift) & 255).join(".")}:${port}`;
  if (!ipv6) return "?";
  const groups = [ipv6.first, ipv6.last].flatMap((half) => {
    const text = BigInt(half ?? "0").toString(16).padStart(16, "0");
    return [0, 4, 8, 12].map((at) => text.slice(at, at + 4).replace(/^0{1,3}/, ""));
  });
  return `[${compressed(groups)}]:${port}`;
}

/** The longest run of zeros is left out, the first of equals, unless it is a single one (RFC 5952 section 4.2). */
function compressed(groups: readonly string[]): string {
  let longest = { from: 0, length: 1 };
  for (let from = 0; from < groups.length; from += 1) {
    let length = 0;
    while (groups[from + length] === "0") length += 1;
    if (length > longest.length) longest = { from, length };
  }
  if (longest.length === 1) return groups.join(":");
  return `${groups.slice(0, longest.from).join(":")}::${groups.slice(longest.from + longest.length).join(":")}`;
}

function milliseconds(duration: string | undefined): number {
  return Number((duration ?? "0s").replace("s", "")) * 1000;
}

function parse(text: string): WireEvent | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as WireEvent) : null;
  } catch {
    return null;
  }
}
