// The graph of a namespace with the whole page to itself.

import type { LiveState } from "../lib/live";
import type { TopologyView } from "../lib/types";
import { Loading } from "../parts/Blank";
import { GraphCard } from "../parts/GraphCard";
import { Page } from "../parts/Page";

export function TopologyPage({ namespace, live }: {
  namespace: string; live: LiveState<TopologyView>;
}): JSX.Element {
  const view = live.document;
  return (
    <Page title={`${namespace} topology`} live={live} isWide>
      {view === null
        ? live.phase === "connecting" ? <Loading what={`the graph of ${namespace}`} /> : null
        : <GraphCard topology={view.topology} namespace={namespace} isFree />}
    </Page>
  );
}
