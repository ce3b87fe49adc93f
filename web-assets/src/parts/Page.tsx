// The frame of every page: heading, window chooser, live state, command, then its content.

import { useEffect, useRef, useState, type ReactNode } from "react";
import { command } from "../lib/cli";
import type { LiveState } from "../lib/live";
import { windows, windowWords } from "../lib/windows";
import { Trouble } from "./Blank";
import { cameByLink, Link, usePlace, useTitle } from "./navigation";
import { Mark } from "./State";

interface Props {
  readonly title: string;
  readonly kind?: string;
  /** null on a page that has no window and says itself how live it is. */
  readonly live: LiveState<unknown> | null;
  readonly isWide?: boolean;
  /** Beside the window: where else to look. */
  readonly action?: ReactNode;
  readonly children: ReactNode;
}

export function Page({ title, kind, live, isWide = false, action, children }: Props): JSX.Element {
  const place = usePlace();
  const heading = useRef<HTMLHeadingElement>(null);
  useTitle(title);
  // After a change of page, reading goes on at its heading.
  useEffect(() => {
    if (cameByLink()) heading.current?.focus();
  }, [title, kind]);
  return (
    <main className={isWide ? "page full" : "page"} id="main">
      <div className="head">
        <div className="title">
          {kind ? <span className="kind">{kind}</span> : null}
          <h1 ref={heading} tabIndex={-1}>{title}</h1>
        </div>
        {live === null ? null : (
          <div className="tools">
            <LiveMark live={live} />
            {action}
            <WindowChooser />
          </div>
        )}
      </div>
      {live === null ? null : <Trouble live={live} />}
      {children}
      <Foot text={command(place)} />
    </main>
  );
}

/** Windows are links: a shared URL shows the same span. */
function WindowChooser(): JSX.Element {
  const place = usePlace();
  return (
    <nav aria-label="Time window">
      <ul className="windows">
        {windows.map((window) => (
          <li key={window}>
            <Link
              to={{ ...place, window }} aria-label={`last ${windowWords(window)}`}
              {...(window === place.window ? { "aria-current": "true" as const } : {})}
            >
              {window}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Says once when the data starts or stops to be live, never at each update. */
function LiveMark({ live }: { live: LiveState<unknown> }): JSX.Element {
  const [state, word] = live.phase === "live" ? ["good", "Live"] as const
    : live.phase === "stale" ? ["warning", "Not updating"] as const : ["unknown", "Connecting"] as const;
  return <span className="live" role="status"><Mark state={state} size={12} />{word}</span>;
}

function Foot({ text }: { text: string | null }): JSX.Element | null {
  if (text === null) return null;
  return (
    <div className="foot">
      <span>The same in a terminal</span>
      <Command text={text} />
    </div>
  );
}

/** A command to copy. */
export function Command({ text }: { text: string }): JSX.Element {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = window.setTimeout(() => setCopied(false), 2000);
    return () => window.clearTimeout(timer);
  }, [isCopied]);
  const copy = (): void => {
    void navigator.clipboard.writeText(text).then(() => setCopied(true), () => setCopied(false));
  };
  // Without a secure context a browser hides the clipboard; then the text can still be selected.
  const canCopy = window.isSecureContext;
  return (
    <span className="command">
      <code>{text}</code>
      {canCopy
        ? (
          <button type="button" className="button" onClick={copy} aria-label={`Copy: ${text}`}>
            <span aria-live="polite">{isCopied ? "Copied" : "Copy"}</span>
          </button>
        ) : null}
    </span>
  );
}
