// Every view is a URL: this file is the only place that reads or writes one.

import { parseFilter, writeFilter, type TapFilter } from "./tapFilter";
import { parseWindow, type Window } from "./windows";

export type Route =
  | { readonly page: "namespaces" }
  | { readonly page: "namespace"; readonly namespace: string }
  | { readonly page: "topology"; readonly namespace: string }
  | { readonly page: "workload"; readonly namespace: string; readonly kind: string; readonly name: string }
  | TapRoute
  | { readonly page: "unknown"; readonly path: string };

/** Live requests of a workload, or of a whole namespace: then `kind` is namespace. */
export interface TapRoute {
  readonly page: "tap";
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly filter: TapFilter;
}

export interface Place {
  readonly route: Route;
  readonly window: Window;
}

/** Plurals as Kubernetes paths have them, in the order they are listed. */
const plurals: Readonly<Record<string, string>> = {
  deployment: "deployments", statefulset: "statefulsets", daemonset: "daemonsets", job: "jobs",
  cronjob: "cronjobs", replicaset: "replicasets", replicationcontroller: "replicationcontrollers",
  pod: "pods", service: "services", namespace: "namespaces",
};

/** Short names as kubectl and `linkerd viz` take them. */
const shorts: Readonly<Record<string, string>> = {
  deployment: "deploy", statefulset: "sts", daemonset: "ds", job: "job", cronjob: "cj", replicaset: "rs",
  replicationcontroller: "rc", pod: "po", service: "svc", namespace: "ns",
};

export function plural(kind: string): string {
  return plurals[kind] ?? `${kind}s`;
}

export function short(kind: string): string {
  return shorts[kind] ?? kind;
}

function singular(word: string): string | undefined {
  return Object.keys(plurals).find((kind) => plurals[kind] === word);
}

/** Where the dashboard is mounted: behind `kubectl proxy` every path starts with the service's. */
export function basePath(pathname: string): string {
  return /^\/api\/v1\/namespaces\/[^/]+\/services\/[^/]+\/proxy/.exec(pathname)?.[0] ?? "";
}

/** Reads a location. */
export function parsePlace(pathname: string, search: string): Place {
  const query = new URLSearchParams(search);
  return { route: parseRoute(pathname.slice(basePath(pathname).length), query), window: parseWindow(query.get("window")) };
}

/** Kinds whose live requests can be watched. */
const tapped: readonly string[] = [
  "deployment", "statefulset", "daemonset", "job", "cronjob", "replicaset", "replicationcontroller", "pod", "namespace",
];

export function canTap(kind: string): boolean {
  return tapped.includes(kind);
}

function parseRoute(path: string, query: URLSearchParams): Route {
  const parts = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
  const [root, namespace, word, name, last] = parts;
  if (root === undefined) return { page: "namespaces" };
  if (root !== "namespaces" || parts.length > 5) return { page: "unknown", path };
  if (namespace === undefined) return { page: "namespaces" };
  if (word === undefined) return { page: "namespace", namespace };
  if (word === "topology" && name === undefined) return { page: "topology", namespace };
  if (word === "tap" && name === undefined) {
    return { page: "tap", namespace, kind: "namespace", name: namespace, filter: parseFilter(query) };
  }
  const kind = singular(word);
  if (kind === undefined) return { page: "unknown", path };
  if (last !== undefined) {
    if (last !== "tap" || name === undefined || !canTap(kind)) return { page: "unknown", path };
    return { page: "tap", namespace, kind, name, filter: parseFilter(query) };
  }
  return name === undefined ? { page: "namespace", namespace } : { page: "workload", namespace, kind, name };
}

/** Writes a location; the default window stays out of it. */
export function href(place: Place, base = ""): string {
  const query = new URLSearchParams();
  if (place.window !== "1m") query.set("window", place.window);
  if (place.route.page === "tap") writeFilter(place.route.filter, query);
  const text = query.toString();
  return `${base}${routePath(place.route)}${text === "" ? "" : `?${text}`}`;
}

function routePath(route: Route): string {
  const part = encodeURIComponent;
  switch (route.page) {
    case "namespaces": return "/namespaces";
    case "namespace": return `/namespaces/${part(route.namespace)}`;
    case "topology": return `/namespaces/${part(route.namespace)}/topology`;
    case "workload":
      return `/namespaces/${part(route.namespace)}/${plural(route.kind)}/${part(route.name)}`;
    case "tap":
      return route.kind === "namespace"
        ? `/namespaces/${part(route.namespace)}/tap`
        : `/namespaces/${part(route.namespace)}/${plural(route.kind)}/${part(route.name)}/tap`;
    case "unknown": return route.path;
  }
}

/** The question behind a place, as query of /api/v1/live and /api/v1/view; null when there is none. */
export function viewQuery(place: Place): string | null {
  const query = new URLSearchParams();
  const { route } = place;
  if (route.page === "unknown" || route.page === "tap") return null;
  query.set("view", route.page);
  if (route.page !== "namespaces") query.set("namespace", route.namespace);
  if (route.page === "workload") {
    query.set("kind", route.kind);
    query.set("name", route.name);
  }
  query.set("window", place.window);
  return query.toString();
}
