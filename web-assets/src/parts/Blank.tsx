// What stands where data will be: words that say why and what to do.

import type { ReactNode } from "react";
import type { LiveState } from "../lib/live";
import { age } from "../lib/format";
import { Mark } from "./State";

/** A quiet box instead of an empty table. */
export function Blank({ title, children }: { title: string; children?: ReactNode }): JSX.Element {
  return <div className="blank"><strong>{title}</strong>{children ? <p>{children}</p> : null}</div>;
}

/** Shown above the page while nothing new arrives. */
export function Trouble({ live }: { live: LiveState<unknown> }): JSX.Element | null {
  if (live.phase !== "stale") return null;
  const kept = live.updatedAt !== null;
  return (
    <div className={kept ? "notice warning" : "notice poor"} role="alert">
      <Mark state={kept ? "warning" : "poor"} />
      <div>
        <p>{live.problem}</p>
        <p>
          {live.updatedAt === null
            ? "Numbers appear here as soon as it answers; this page keeps trying by itself."
            : `Below is what was known ${age(Date.now() - live.updatedAt)} ago; this page keeps trying by itself.`}
        </p>
      </div>
    </div>
  );
}

/** While the first answer is on its way. */
export function Loading({ what }: { what: string }): JSX.Element {
  return <div className="card"><div className="blank" role="status"><span className="pulse">Asking for {what}…</span></div></div>;
}
