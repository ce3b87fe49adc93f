// Which live requests a page asks for.

export interface TapFilter {
  /** Beginning of the path; empty is any. */
  readonly path: string;
  /** Empty is any. */
  readonly method: string;
  /** `503`, `5xx` or `400-499`; empty is any. */
  readonly status: string;
}

export const methods: readonly string[] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
export const statuses: readonly string[] = ["2xx", "3xx", "4xx", "5xx"];
export const anything: TapFilter = { path: "", method: "", status: "" };

/** Reads the filter of a URL; what cannot be meant is left out. */
export function parseFilter(query: URLSearchParams): TapFilter {
  const status = query.get("status") ?? "";
  const method = (query.get("method") ?? "").toUpperCase();
  return {
    path: query.get("path") ?? "",
    method: /^[A-Z-]{0,20}$/.test(method) ? method : "",
    status: /^([1-9]xx|[1-9]\d\d(-[1-9]\d\d)?)$/.test(status) ? status : "",
  };
}

export function writeFilter(filter: TapFilter, query: URLSearchParams): void {
  for (const key of ["path", "method", "status"] as const) if (filter[key] !== "") query.set(key, filter[key]);
}
