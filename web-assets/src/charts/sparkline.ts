// A line without axes, small enough for a table cell.

export interface Sparkline {
  /** The line; gaps where nothing was measured. */
  readonly d: string;
  /** The same run closed to the baseline, for a tint below it. */
  readonly area: string;
}

/** Draws values into a box; zero is the floor, so that heights compare. */
export function sparkline(values: readonly (number | null)[], width: number, height: number): Sparkline {
  const high = Math.max(0, ...values.map((value) => value ?? 0));
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const point = (value: number, index: number): string => {
    const y = high === 0 ? height - 1 : height - 1 - (value / high) * (height - 3);
    return `${Math.round(index * step * 10) / 10},${Math.round(y * 10) / 10}`;
  };
  const lines: string[] = [];
  const areas: string[] = [];
  for (const run of runs(values)) {
    const points = run.values.map((value, offset) => point(value, run.start + offset));
    lines.push(points.length === 1 ? `M${points[0]}h0` : `M${points.join("L")}`);
    if (points.length > 1) {
      const first = Math.round(run.start * step * 10) / 10;
      const last = Math.round((run.start + points.length - 1) * step * 10) / 10;
      areas.push(`M${first},${height}L${points.join("L")}L${last},${height}Z`);
    }
  }
  return { d: lines.join(""), area: areas.join("") };
}

function runs(values: readonly (number | null)[]): { start: number; values: number[] }[] {
  const result: { start: number; values: number[] }[] = [];
  let current: { start: number; values: number[] } | null = null;
  values.forEach((value, index) => {
    if (value == null) {
      current = null;
      return;
    }
    if (current === null) {
      current = { start: index, values: [] };
      result.push(current);
    }
    current.values.push(value);
  });
  return result;
}
