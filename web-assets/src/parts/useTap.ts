// Live requests over a WebSocket: opened by the person who looks, opened again when it breaks, closed with the page.

import { useEffect, useReducer } from "react";
import type { TapRoute } from "../lib/routes";
import { ask, refused, stopped, tapReducer, type TapState } from "../lib/tap";
import { base } from "./navigation";

/** Wait before a broken socket is opened again. */
const retryMs = 2000;
/** How often what came is shown: a table that changes faster cannot be read. */
const showMs = 250;

/**
 * Follows `/api/tap`; a change of the question starts anew.
 * @param attempt counts how often somebody started; 0 while it is stopped.
 */
export function useTap(route: TapRoute, attempt: number): TapState {
  const [state, dispatch] = useReducer(tapReducer, stopped);
  const question = ask(route);

  useEffect(() => {
    if (attempt === 0) {
      dispatch({ type: "stop" });
      return undefined;
    }
    dispatch({ type: "start" });
    let socket: WebSocket | null = null;
    let retry = 0;
    let waiting: string[] = [];
    const show = (): void => {
      if (waiting.length === 0) return;
      dispatch({ type: "messages", texts: waiting, now: Date.now() });
      waiting = [];
    };
    const open = (): void => {
      const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
      const opened = new WebSocket(`${scheme}//${window.location.host}${base}/api/tap`);
      socket = opened;
      opened.addEventListener("open", () => opened.send(question));
      opened.addEventListener("message", (event: MessageEvent<string>) => {
        if (socket === opened) waiting.push(event.data);
      });
      opened.addEventListener("close", (event) => {
        // Closed by us: whoever is on the page now has another socket, or none.
        if (socket !== opened) return;
        show();
        dispatch({ type: "closed", code: event.code, reason: event.reason, now: Date.now() });
        if (event.code !== refused) retry = window.setTimeout(open, retryMs);
      });
    };
    const timer = window.setInterval(show, showMs);
    open();
    return () => {
      window.clearInterval(timer);
      window.clearTimeout(retry);
      const closing = socket;
      socket = null;
      closing?.close();
    };
  }, [question, attempt]);

  return state;
}
