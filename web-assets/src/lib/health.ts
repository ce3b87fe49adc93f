// How well something does, in a word and a shape: colour only repeats what they say.

import type { Golden } from "./types";

export type Health = "good" | "warning" | "poor" | "unknown";

/** Linkerd's thresholds: below 90 % is poor, below 95 % is a warning. */
export function health(successRate: number | null | undefined): Health {
  if (successRate == null) return "unknown";
  if (successRate < 0.9) return "poor";
  return successRate < 0.95 ? "warning" : "good";
}

/** The word that goes with the shape, for people who do not see either colour or shape. */
export function healthWord(state: Health): string {
  switch (state) {
    case "good": return "healthy";
    case "warning": return "degraded";
    case "poor": return "failing";
    case "unknown": return "no traffic";
  }
}

/** Whether anything failed at all: the edge to look at, even when the share is small. */
export function hasFailures(golden: Golden): boolean {
  return golden.successRate != null && golden.successRate < 1;
}
