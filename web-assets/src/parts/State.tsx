// Health as shape, word and colour, in that order of importance.

import { healthWord, type Health } from "../lib/health";
import { percent } from "../lib/format";
import { health } from "../lib/health";

/** Outlines in a 14 × 14 box: disc, triangle, octagon with a cross, ring. */
const shapes: Readonly<Record<Health, JSX.Element>> = {
  good: <path d="M7 .8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 7 .8Zm3 4.4L6.3 9.6 3.9 7.3l.9-1 1.4 1.3 2.8-3.3Z" />,
  warning: <path fillRule="evenodd" d="M7 .9 13.6 13H.4L7 .9Zm-.8 4.2.2 4h1.2l.2-4ZM7 10a.9.9 0 1 0 0 1.8.9.9 0 0 0 0-1.8Z" />,
  poor: <path d="M4.3.6h5.4l3.7 3.7v5.4l-3.7 3.7H4.3L.6 9.7V4.3L4.3.6Zm.3 3-1 1L6 7 3.6 9.4l1 1L7 8l2.4 2.4 1-1L8 7l2.4-2.4-1-1L7 6Z" />,
  unknown: <path d="M7 1.4a5.6 5.6 0 1 0 0 11.2A5.6 5.6 0 0 0 7 1.4Zm0 1.4a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4Z" />,
};

/** The shape alone; put words beside it. */
export function Mark({ state, size = 14 }: { state: Health; size?: number }): JSX.Element {
  return (
    <svg className={state} width={size} height={size} viewBox="0 0 14 14" aria-hidden="true" fill="currentColor">
      {shapes[state]}
    </svg>
  );
}

/** The same shape inside another drawing. */
export function MarkAt({ state, x, y }: { state: Health; x: number; y: number }): JSX.Element {
  return <g className="mark" transform={`translate(${x} ${y})`} fill="currentColor" aria-hidden="true">{shapes[state]}</g>;
}

/** A success rate with its shape, and its word for those who only listen. */
export function SuccessRate({ value, size = 14 }: { value: number | null; size?: number }): JSX.Element {
  const state = health(value);
  return (
    <span className="state">
      <Mark state={state} size={size} />
      <span>{percent(value)}</span>
      <span className="hidden">{healthWord(state)}</span>
    </span>
  );
}
