// Which page for which place.

import { viewQuery } from "./lib/routes";
import type { NamespacesView, NamespaceView, TopologyView, ViewDocument, WorkloadView } from "./lib/types";
import type { LiveState } from "./lib/live";
import { Namespace } from "./pages/Namespace";
import { Namespaces } from "./pages/Namespaces";
import { Tap } from "./pages/Tap";
import { TopologyPage } from "./pages/TopologyPage";
import { Workload } from "./pages/Workload";
import { Bar } from "./parts/Bar";
import { Blank } from "./parts/Blank";
import { Link, PlaceProvider, usePlace } from "./parts/navigation";
import { useLive } from "./parts/useLive";

export function App(): JSX.Element {
  return <PlaceProvider><Bar /><Content /></PlaceProvider>;
}

function Content(): JSX.Element {
  const place = usePlace();
  const { route } = place;
  const live = useLive<ViewDocument>(viewQuery(place));
  switch (route.page) {
    case "namespaces": return <Namespaces live={only<NamespacesView>(live, "namespaces")} />;
    case "namespace":
      return <Namespace name={route.namespace} live={only<NamespaceView>(live, "namespace")} />;
    case "topology":
      return <TopologyPage namespace={route.namespace} live={only<TopologyView>(live, "topology")} />;
    case "workload":
      return (
        <Workload
          resource={{ kind: route.kind, namespace: route.namespace, name: route.name }}
          live={only<WorkloadView>(live, "workload")}
        />
      );
    case "tap": return <Tap key={`${route.namespace}/${route.kind}/${route.name}`} route={route} />;
    case "unknown": return <Lost path={route.path} />;
  }
}

/** For the moment between a change of page and its first answer, the old answer must not show. */
function only<View extends ViewDocument>(live: LiveState<ViewDocument>, view: View["view"]): LiveState<View> {
  return { ...live, document: live.document?.view === view ? (live.document as View) : null };
}

function Lost({ path }: { path: string }): JSX.Element {
  return (
    <main className="page" id="main">
      <h1 tabIndex={-1}>There is no page here</h1>
      <section className="card">
        <Blank title={path}>
          Start again from <Link to={{ route: { page: "namespaces" }, window: "1m" }}>all namespaces</Link>.
        </Blank>
      </section>
    </main>
  );
}
