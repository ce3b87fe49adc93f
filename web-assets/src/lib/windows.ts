// How far back the numbers look.

export const windows = ["1m", "10m", "1h", "6h", "1d"] as const;
export type Window = (typeof windows)[number];

const words: Readonly<Record<Window, string>> = {
  "1m": "1 minute", "10m": "10 minutes", "1h": "1 hour", "6h": "6 hours", "1d": "1 day",
};

/** The window as it is read aloud. */
export function windowWords(window: Window): string {
  return words[window];
}

/** The window in a URL; whatever is not offered means one minute. */
export function parseWindow(text: string | null): Window {
  return windows.find((window) => window === text) ?? "1m";
}
