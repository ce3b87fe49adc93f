// A document asked for again and again, while anybody looks. What was there stays until the next answer.

import { useEffect, useState } from "react";
import { base } from "./navigation";

const everyMs = 10_000;

export interface Polled<Document> {
  readonly document: Document | null;
  /** Why there is no newer one; null while all is well. */
  readonly problem: string | null;
}

/** Asks `path` below the dashboard's base at once and every ten seconds; another path starts from nothing. */
export function usePolled<Document>(path: string): Polled<Document> {
  const [state, setState] = useState<Polled<Document> & { readonly path: string }>({ path, document: null, problem: null });

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const ask = async (): Promise<void> => {
      if (!document.hidden) {
        try {
          const response = await fetch(base + path, { signal: stop.signal });
          const body = (await response.json()) as Document & { error?: string };
          if (response.ok) setState({ path, document: body, problem: null });
          else setState((before) => ({ ...before, path, problem: body.error ?? `status ${response.status}` }));
        } catch {
          if (stop.signal.aborted) return;
          setState((before) => ({ ...before, path, problem: "The dashboard does not answer." }));
        }
      }
      timer = window.setTimeout(() => void ask(), everyMs);
    };
    void ask();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, [path]);

  return state.path === path ? state : { document: null, problem: null };
}
