// A line chart as numbers and path strings. Missing data is a gap; nothing is smoothed or stacked.

import { scaleLinear, scaleTime } from "d3-scale";

export interface Sample {
  /** Milliseconds since 1970. */
  readonly t: number;
  readonly value: number | null;
}

export interface LineInput {
  readonly name: string;
  readonly samples: readonly Sample[];
}

export interface ChartInput {
  readonly lines: readonly LineInput[];
  readonly width: number;
  readonly height: number;
  /** Time span shown, milliseconds. */
  readonly from: number;
  readonly to: number;
  /** Fixes the upper end, such as 1 for a share; otherwise it follows the data. */
  readonly top?: number;
  /** The upper end is never below this, so that noise near zero does not fill the chart. */
  readonly atLeast?: number;
  /** Highest value that the lower end may have; it follows the data below that. */
  readonly bottom?: number;
  readonly format: (value: number) => string;
  readonly formatTime: (milliseconds: number) => string;
}

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface ChartPicture {
  readonly plot: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number };
  readonly paths: readonly { readonly name: string; readonly d: string; readonly last: Sample | null }[];
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  readonly x: (t: number) => number;
  readonly y: (value: number) => number;
  readonly isEmpty: boolean;
}

/** Beyond this many samples per pixel, a column shows only its lowest and highest. */
const samplesPerPixelMax = 4;

export function lineChart(input: ChartInput): ChartPicture {
  const plot = { left: 52, top: 10, right: input.width - 10, bottom: input.height - 24 };
  const values = input.lines.flatMap((line) => line.samples.flatMap((s) => (s.value == null ? [] : [s.value])));
  const scale = scaleLinear().domain(valueDomain(values, input)).range([plot.bottom, plot.top]);
  if (input.top === undefined) scale.nice(4);
  const time = scaleTime().domain([new Date(input.from), new Date(input.to)]).range([plot.left, plot.right]);
  const x = (t: number): number => time(t);
  const columns = Math.max(1, Math.floor(plot.right - plot.left));
  return {
    plot, x, y: scale, isEmpty: values.length === 0,
    paths: input.lines.map((line) => {
      const samples = thin(line.samples.filter((s) => s.t >= input.from && s.t <= input.to), columns, x);
      return { name: line.name, d: path(samples, x, scale), last: lastKnown(samples) };
    }),
    xTicks: time.ticks(Math.max(2, Math.floor(columns / 90)))
      .map((date) => ({ at: round(x(date.getTime())), label: input.formatTime(date.getTime()) }))
      .filter((tick) => tick.at >= plot.left + 14 && tick.at <= plot.right - 14),
    yTicks: values.length === 0 ? [] : scale.ticks(4).map((value) => ({ at: round(scale(value)), label: input.format(value) })),
  };
}

function valueDomain(values: readonly number[], input: ChartInput): [number, number] {
  let low = input.bottom ?? 0;
  let high = input.top ?? 0;
  for (const value of values) {
    low = Math.min(low, value);
    if (input.top === undefined) high = Math.max(high, value);
  }
  high = Math.max(high, input.atLeast ?? 0);
  if (high <= low) high = low + 1;
  // A share that dips gets a little air below, down to a whole tenth.
  if (input.top !== undefined && low < (input.bottom ?? 0)) low = Math.max(0, Math.floor(low * 10) / 10);
  return [low, high];
}

/** A line per unbroken run; a lone sample becomes a dot (a stroke of no length with a round cap). */
function path(samples: readonly Sample[], x: (t: number) => number, y: (value: number) => number): string {
  const parts: string[] = [];
  let isDrawing = false;
  samples.forEach((sample, index) => {
    if (sample.value == null) {
      isDrawing = false;
      return;
    }
    const at = `${round(x(sample.t))},${round(y(sample.value))}`;
    const isLone = !isDrawing && samples[index + 1]?.value == null;
    parts.push(isDrawing ? `L${at}` : isLone ? `M${at}h0` : `M${at}`);
    isDrawing = true;
  });
  return parts.join("");
}

/** Keeps the lowest and highest of each pixel column once samples crowd. */
function thin(samples: readonly Sample[], columns: number, x: (t: number) => number): readonly Sample[] {
  if (samples.length <= columns * samplesPerPixelMax) return samples;
  const kept: Sample[] = [];
  let column: Sample[] = [];
  const flush = (): void => {
    const known = column.filter((s): s is Sample & { value: number } => s.value != null);
    if (known.length < column.length && known.length === 0 && column[0]) kept.push(column[0]);
    if (known.length > 0) {
      const low = known.reduce((a, b) => (b.value < a.value ? b : a));
      const high = known.reduce((a, b) => (b.value > a.value ? b : a));
      kept.push(...(low === high ? [low] : low.t < high.t ? [low, high] : [high, low]));
    }
    column = [];
  };
  for (const sample of samples) {
    if (column[0] && Math.floor(x(column[0].t)) !== Math.floor(x(sample.t))) flush();
    column.push(sample);
  }
  flush();
  return kept;
}

function lastKnown(samples: readonly Sample[]): Sample | null {
  for (let index = samples.length - 1; index >= 0; index -= 1) {
    const sample = samples[index];
    if (sample && sample.value != null) return sample;
  }
  return null;
}

/** The sample nearest to a moment, for a reading line; null when there is none. */
export function nearest(samples: readonly Sample[], t: number): Sample | null {
  let best: Sample | null = null;
  for (const sample of samples) {
    if (best === null || Math.abs(sample.t - t) < Math.abs(best.t - t)) best = sample;
  }
  return best;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
