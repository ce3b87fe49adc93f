// The address bar as the only state of where we are.

import { createContext, useContext, useEffect, useSyncExternalStore } from "react";
import type { AnchorHTMLAttributes, MouseEvent, ReactNode } from "react";
import { basePath, href, parsePlace, type Place } from "../lib/routes";

const changed = "placechange";

function subscribe(notify: () => void): () => void {
  window.addEventListener("popstate", notify);
  window.addEventListener(changed, notify);
  return () => {
    window.removeEventListener("popstate", notify);
    window.removeEventListener(changed, notify);
  };
}

/** Path under which the dashboard is mounted, usually nothing. */
export const base = basePath(window.location.pathname);

const PlaceContext = createContext<Place>({ route: { page: "namespaces" }, window: "1m" });

/** The current place, for everything below `PlaceProvider`. */
export function usePlace(): Place {
  return useContext(PlaceContext);
}

/** Follows the address bar. */
export function PlaceProvider({ children }: { children: ReactNode }): JSX.Element {
  const url = useSyncExternalStore(subscribe, () => window.location.pathname + window.location.search);
  const at = url.indexOf("?");
  const place = parsePlace(at < 0 ? url : url.slice(0, at), at < 0 ? "" : url.slice(at));
  return <PlaceContext.Provider value={place}>{children}</PlaceContext.Provider>;
}

/** Whether the page on screen came by a link of ours, so that its heading should take the focus. */
let isByLink = false;

/** Reads the mark once. */
export function cameByLink(): boolean {
  const was = isByLink;
  isByLink = false;
  return was;
}

/** Goes to a place without loading a page. */
export function go(place: Place): void {
  isByLink = place.route.page !== "unknown" && href(place, base).split("?")[0] !== window.location.pathname;
  window.history.pushState(null, "", href(place, base));
  window.dispatchEvent(new Event(changed));
}

type LinkProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> & { to: Place };

/** A link like any other: it can be opened in a new tab, copied, and reached by keyboard. */
export function Link({ to, children, ...rest }: LinkProps): JSX.Element {
  return <a {...rest} href={href(to, base)} onClick={(event) => follow(event, to)}>{children}</a>;
}

/** Follows a plain click inside the page and leaves every other kind to the browser. */
export function follow(event: MouseEvent, to: Place): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(to);
  window.scrollTo(0, 0);
}

/** Names the tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" ? "Linkerd" : `${title} · Linkerd`;
  }, [title]);
}
