// Numbers as people read them. What is unknown is a dash, never a zero.

export const dash = "—";

/** A share in 0...1 as percent; two decimals, so that 99.99 % does not read as 100 %. */
export function percent(share: number | null | undefined): string {
  if (share == null) return dash;
  const value = share * 100;
  if (value === 100) return "100 %";
  // Never round a failure away; the inner rounding only undoes what binary fractions add.
  return `${(Math.floor(Math.round(value * 10_000) / 100) / 100).toFixed(2)} %`;
}

/** Requests per second: three significant digits, with k and M above a thousand. */
export function rate(perSecond: number | null | undefined): string {
  if (perSecond == null) return dash;
  if (perSecond === 0) return "0";
  if (perSecond < 0.01) return "< 0.01";
  return scaled(perSecond, ["", "k", "M", "G"], 1000);
}

/** Milliseconds below a second, seconds above. */
export function latency(milliseconds: number | null | undefined): string {
  if (milliseconds == null) return dash;
  if (milliseconds < 1) return "< 1 ms";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`;
}

/** Bytes per second in binary units. */
export function bytes(perSecond: number | null | undefined): string {
  if (perSecond == null) return dash;
  return `${scaled(perSecond, [" B", " KiB", " MiB", " GiB"], 1024)}/s`;
}

/** A count with thin groups. */
export function count(value: number | null | undefined): string {
  return value == null ? dash : String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** Meshed pods of running pods. */
export function meshed(row: { meshedPods: number; runningPods: number }): string {
  return row.runningPods === 0 ? dash : `${row.meshedPods}/${row.runningPods}`;
}

/** A moment as wall-clock time, with seconds only when a step is short. */
export function clock(milliseconds: number, stepMs: number): string {
  const date = new Date(milliseconds);
  const pad = (n: number): string => String(n).padStart(2, "0");
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return stepMs < 60_000 ? `${time}:${pad(date.getSeconds())}` : time;
}

/** How long ago, in one unit. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function scaled(value: number, units: readonly string[], base: number): string {
  let index = 0;
  let rest = value;
  while (rest >= base && index < units.length - 1) {
    rest /= base;
    index += 1;
  }
  const digits = rest >= 100 || Number.isInteger(rest) ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)}${units[index]}`;
}
