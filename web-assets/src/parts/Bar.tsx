// The bar on top: where we are, and light or dark.

import { useState } from "react";
import { short, type Place, type Route } from "../lib/routes";
import { Link, usePlace } from "./navigation";

export function Bar(): JSX.Element {
  const place = usePlace();
  const trail = crumbs(place);
  return (
    <header className="bar">
      <a className="hidden" href="#main">Skip to content</a>
      <Link className="brand" aria-label="Linkerd, all namespaces" to={{ route: { page: "namespaces" }, window: place.window }}>
        <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" fill="#1d4fd7" />
          <path d="M9 16 22 9M9 16l13 7M22 9v14" fill="none" stroke="#fff" strokeWidth="2.4" strokeLinecap="round" />
          <g fill="#fff"><circle cx="9" cy="16" r="3.4" /><circle cx="22" cy="9" r="3.4" /><circle cx="22" cy="23" r="3.4" /></g>
        </svg>
        <span>Linkerd</span>
      </Link>
      <nav className="trail" aria-label="Breadcrumb">
        <ol>
          {trail.map((crumb, index) => (
            <li key={crumb.word}>
              <Link
                to={{ route: crumb.route, window: place.window }}
                {...(index === trail.length - 1 ? { "aria-current": "page" as const } : {})}
              >
                {crumb.word}
              </Link>
            </li>
          ))}
        </ol>
      </nav>
      <ThemeButton />
    </header>
  );
}

function crumbs({ route }: Place): { word: string; route: Route }[] {
  const root = { word: "Namespaces", route: { page: "namespaces" } as const };
  if (route.page === "namespaces" || route.page === "unknown") return [root];
  const namespace = { word: route.namespace, route: { page: "namespace", namespace: route.namespace } as const };
  if (route.page === "namespace") return [root, namespace];
  if (route.page === "topology") return [root, namespace, { word: "topology", route }];
  if (route.page === "workload") return [root, namespace, { word: `${short(route.kind)}/${route.name}`, route }];
  const live = { word: "live requests", route };
  if (route.kind === "namespace") return [root, namespace, live];
  const { kind, name } = route;
  const workload = { page: "workload", namespace: route.namespace, kind, name } as const;
  return [root, namespace, { word: `${short(kind)}/${name}`, route: workload }, live];
}

type Theme = "system" | "light" | "dark";
const themes: readonly Theme[] = ["system", "light", "dark"];
const storageKey = "linkerd.theme";

/** Applies the remembered choice; a browser that forbids storage follows the system. */
export function applyTheme(): Theme {
  let theme: Theme = "system";
  try {
    theme = themes.find((known) => known === localStorage.getItem(storageKey)) ?? "system";
  } catch {
    theme = "system";
  }
  show(theme);
  return theme;
}

function show(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

function ThemeButton(): JSX.Element {
  const [theme, setTheme] = useState<Theme>(applyTheme);
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "system";
  const change = (): void => {
    show(next);
    setTheme(next);
    try {
      localStorage.setItem(storageKey, next);
    } catch {
      // Remembered for this page only.
    }
  };
  const words: Readonly<Record<Theme, string>> = { system: "Auto", light: "Light", dark: "Dark" };
  return (
    <button type="button" className="button" onClick={change} aria-label={`Colours: ${words[theme]}. Change to ${words[next]}`}>
      <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
        <circle cx="7" cy="7" r="5.6" fill="none" stroke="currentColor" strokeWidth="1.4" />
        {theme === "light" ? null : <path d={theme === "dark" ? "M7 2.4a4.6 4.6 0 0 0 0 9.2 4.6 4.6 0 0 0 0-9.2Z" : "M7 1.4v11.2A5.6 5.6 0 0 0 7 1.4Z"} fill="currentColor" />}
      </svg>
      {words[theme]}
    </button>
  );
}
