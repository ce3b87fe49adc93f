// The command that gives the same answer in a terminal.

import { short, type Place } from "./routes";

/** `linkerd viz …` for a place; null where there is nothing to ask. */
export function command(place: Place): string | null {
  const { route } = place;
  const window = place.window === "1m" ? "" : ` -t ${place.window === "1d" ? "24h" : place.window}`;
  switch (route.page) {
    case "namespaces": return `linkerd viz stat ns${window}`;
    case "namespace": return `linkerd viz stat deploy -n ${route.namespace}${window}`;
    case "topology": return `linkerd viz edges deploy -n ${route.namespace}`;
    case "workload": return `linkerd viz stat ${short(route.kind)}/${route.name} -n ${route.namespace}${window}`;
    case "tap": {
      const target = route.kind === "namespace" ? `ns/${route.name}` : `${short(route.kind)}/${route.name} -n ${route.namespace}`;
      const flags = (["path", "method", "status"] as const).filter((key) => route.filter[key] !== "")
        .map((key) => ` --${key} ${word(route.filter[key])}`);
      return `linkerd viz tap ${target}${flags.join("")}`;
    }
    case "unknown": return null;
  }
}

/** A text as one word of a shell. */
function word(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** The command for the peers on one side of a workload. */
export function neighbourCommand(place: Place, side: "inbound" | "outbound"): string | null {
  const { route } = place;
  if (route.page !== "workload") return null;
  const window = place.window === "1m" ? "" : ` -t ${place.window === "1d" ? "24h" : place.window}`;
  const self = `${short(route.kind)}/${route.name}`;
  return side === "inbound"
    ? `linkerd viz stat deploy -n ${route.namespace} --to ${self}${window}`
    : `linkerd viz stat deploy -n ${route.namespace} --from ${self}${window}`;
}
