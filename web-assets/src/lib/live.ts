// What a page knows about its live data: a pure state machine, fed by the event stream.

export interface LiveState<Document> {
  /** The newest answer, kept while the source is away. */
  readonly document: Document | null;
  /** connecting: no answer yet. live: answers arrive. stale: they stopped, see `problem`. */
  readonly phase: "connecting" | "live" | "stale";
  /** Why nothing new arrives, in words for a person. */
  readonly problem: string | null;
  /** When the newest answer came, in milliseconds since 1970. */
  readonly updatedAt: number | null;
}

export type LiveAction =
  | { readonly type: "connect" }
  | { readonly type: "view"; readonly data: string; readonly now: number }
  | { readonly type: "problem"; readonly data: string }
  | { readonly type: "disconnected" };

export const connecting: LiveState<never> = { document: null, phase: "connecting", problem: null, updatedAt: null };

export function liveReducer<Document>(
  state: LiveState<Document>, action: LiveAction,
): LiveState<Document> {
  switch (action.type) {
    case "connect":
      return { ...state, phase: "connecting", problem: null };
    case "view": {
      const document = parse(action.data);
      if (document === null) return { ...state, phase: "stale", problem: "The answer could not be read." };
      return { document: document as Document, phase: "live", problem: null, updatedAt: action.now };
    }
    case "problem": {
      const answer = parse(action.data) as { error?: unknown } | null;
      const problem = typeof answer?.error === "string" ? answer.error : "The metrics are not available.";
      return { ...state, phase: "stale", problem };
    }
    case "disconnected":
      // What the server said last explains more than that it hung up.
      return { ...state, phase: "stale", problem: state.problem ?? "The connection to the dashboard was lost." };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
