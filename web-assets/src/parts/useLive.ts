// A live view: one event stream per page, closed while nobody looks, opened again by itself.

import { useEffect, useReducer } from "react";
import { connecting, liveReducer, type LiveAction, type LiveState } from "../lib/live";
import { base } from "./navigation";

/** Wait before opening a refused stream again; a broken one is reopened by the browser. */
const retryMs = 3000;

type Owned<Document> = { readonly subject: string; readonly live: LiveState<Document> };
type OwnedAction = LiveAction & { readonly subject: string };

function reduce<Document>(state: Owned<Document>, action: OwnedAction): Owned<Document> {
  // A new window of the same subject keeps the old numbers until the new ones come.
  const before = state.subject === action.subject ? state.live : connecting;
  return { subject: action.subject, live: liveReducer(before, action) };
}

/** Follows `/api/v1/live?…`; a new subject (anything but the window) starts from nothing. */
export function useLive<Document>(query: string | null): LiveState<Document> {
  const subject = (query ?? "").replace(/&window=\w+$/, "");
  const [state, dispatch] = useReducer<(s: Owned<Document>, a: OwnedAction) => Owned<Document>>(
    reduce, { subject, live: connecting });

  useEffect(() => {
    dispatch({ type: "connect", subject });
    if (query === null) return undefined;
    let stream: EventSource | null = null;
    let retry = 0;
    const close = (): void => {
      window.clearTimeout(retry);
      stream?.close();
      stream = null;
    };
    const open = (): void => {
      close();
      const opened = new EventSource(`${base}/api/v1/live?${query}`);
      stream = opened;
      opened.addEventListener("view", (event) => {
        dispatch({ type: "view", subject, data: (event as MessageEvent<string>).data, now: Date.now() });
      });
      opened.addEventListener("problem", (event) => {
        dispatch({ type: "problem", subject, data: (event as MessageEvent<string>).data });
      });
      opened.addEventListener("error", () => {
        dispatch({ type: "disconnected", subject });
        if (opened.readyState === EventSource.CLOSED) retry = window.setTimeout(open, retryMs);
      });
    };
    const look = (): void => {
      if (document.hidden) close();
      else if (stream === null) open();
    };
    document.addEventListener("visibilitychange", look);
    look();
    return () => {
      document.removeEventListener("visibilitychange", look);
      close();
    };
  }, [query, subject]);

  return state.subject === subject ? state.live : connecting;
}
