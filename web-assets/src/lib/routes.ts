// Every view is a URL: this file is the only place that reads or writes one.

import { parseWindow, type Window } from "./windows";

export type Route =
  | { readonly page: "namespaces" }
  | { readonly page: "namespace"; readonly namespace: string }
  | { readonly page: "topology"; readonly namespace: string }
  | { readonly page: "workload"; readonly namespace: string; readonly kind: string; readonly name: string }
  | { readonly page: "unknown"; readonly path: string };

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
  const window = parseWindow(new URLSearchParams(search).get("window"));
  return { route: parseRoute(pathname.slice(basePath(pathname).length)), window };
}

function parseRoute(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "").map(decodeURIComponent);
  const [root, namespace, word, name] = parts;
  if (root === undefined) return { page: "namespaces" };
  if (root !== "namespaces" || parts.length > 4) return { page: "unknown", path };
  if (namespace === undefined) return { page: "namespaces" };
  if (word === undefined) return { page: "namespace", namespace };
  if (word === "topology" && name === undefined) return { page: "topology", namespace };
  const kind = singular(word);
  if (kind === undefined) return { page: "unknown", path };
  return name === undefined ? { page: "namespace", namespace } : { page: "workload", namespace, kind, name };
}

/** Writes a location; the default window stays out of it. */
export function href(place: Place, base = ""): string {
  const query = place.window === "1m" ? "" : `?window=${place.window}`;
  return `${base}${routePath(place.route)}${query}`;
}

function routePath(route: Route): string {
  const part = encodeURIComponent;
  switch (route.page) {
    case "namespaces": return "/namespaces";
    case "namespace": return `/namespaces/${part(route.namespace)}`;
    case "topology": return `/namespaces/${part(route.namespace)}/topology`;
    case "workload":
      return `/namespaces/${part(route.namespace)}/${plural(route.kind)}/${part(route.name)}`;
    case "unknown": return route.path;
  }
}

/** The question behind a place, as query of /api/v1/live and /api/v1/view; null when there is none. */
export function viewQuery(place: Place): string | null {
  const query = new URLSearchParams();
  const { route } = place;
  if (route.page === "unknown") return null;
  query.set("view", route.page);
  if (route.page !== "namespaces") query.set("namespace", route.namespace);
  if (route.page === "workload") {
    query.set("kind", route.kind);
    query.set("name", route.name);
  }
  query.set("window", place.window);
  return query.toString();
}
