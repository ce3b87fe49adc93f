// A line chart with its keys, a reading line that follows pointer or arrow keys, and a table twin.

import { useId, useState, type KeyboardEvent, type PointerEvent } from "react";
import { lineChart, nearest, type LineInput } from "../charts/lineChart";
import { clock, dash } from "../lib/format";
import { useWidth } from "./useWidth";

interface Props {
  readonly title: string;
  readonly description: string;
  readonly lines: readonly LineInput[];
  readonly stepMs: number;
  readonly from: number;
  readonly to: number;
  readonly format: (value: number | null | undefined) => string;
  readonly top?: number;
  readonly bottom?: number;
  readonly atLeast?: number;
}

const height = 190;
const classes = ["a", "b", "c"] as const;

export function LineChart(props: Props): JSX.Element {
  const { title, description, lines, stepMs, from, to, format, top, bottom, atLeast } = props;
  const [frame, width] = useWidth(420);
  const [reading, setReading] = useState<number | null>(null);
  const id = useId();
  const picture = lineChart({
    lines, width, height, from, to, format: (axis) => (axis === 0 ? "0" : format(axis)), formatTime: (t) => clock(t, (to - from) / 20),
    ...(top === undefined ? {} : { top }), ...(bottom === undefined ? {} : { bottom }),
    ...(atLeast === undefined ? {} : { atLeast }),
  });
  const { plot } = picture;
  const times = lines[0]?.samples ?? [];
  const at = reading === null ? null : nearest(times, reading)?.t ?? null;

  const point = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - plot.left) / (plot.right - plot.left);
    setReading(from + Math.min(1, Math.max(0, share)) * (to - from));
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Escape") setReading(null);
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    const index = at === null ? times.length : times.findIndex((sample) => sample.t === at);
    const next = times[Math.min(times.length - 1, Math.max(0, index + (event.key === "ArrowLeft" ? -1 : 1)))];
    if (next) setReading(next.t);
  };

  const value = (line: LineInput): number | null | undefined => at === null
    ? picture.paths.find((path) => path.name === line.name)?.last?.value
    : line.samples.find((sample) => sample.t === at)?.value;
  return (
    <figure className="chart card">
      <figcaption>
        <div className="line"><h2 id={`${id}-title`}>{title}</h2><span>{at === null ? "latest" : clock(at, stepMs)}</span></div>
        <ul className="keys">
          {lines.map((line, index) => (
            <li key={line.name}>
              <Key index={index} isAlone={lines.length === 1} />
              {lines.length === 1 ? null : <span>{line.name}</span>}<strong>{format(value(line))}</strong>
            </li>
          ))}
        </ul>
      </figcaption>
      <div className="frame" ref={frame}>
        <svg
          className="plot" viewBox={`0 0 ${width} ${height}`} height={height} role="img" tabIndex={0}
          aria-labelledby={`${id}-title ${id}-text`}
          onPointerMove={point} onPointerLeave={() => setReading(null)} onKeyDown={press} onBlur={() => setReading(null)}
        >
          <desc id={`${id}-text`}>{description} Arrow keys read single values; a table follows.</desc>
          {picture.yTicks.map((tick) => (
            <g key={tick.at}>
              <line className="grid" x1={plot.left} x2={plot.right} y1={tick.at} y2={tick.at} />
              <text className="axis" x={plot.left - 8} y={tick.at + 4} textAnchor="end">{tick.label}</text>
            </g>
          ))}
          {picture.xTicks.map((tick) => (
            <text key={tick.at} className="axis" x={tick.at} y={height - 6} textAnchor="middle">{tick.label}</text>
          ))}
          {at === null ? null : <line className="reading" x1={picture.x(at)} x2={picture.x(at)} y1={plot.top} y2={plot.bottom} />}
          {picture.paths.map((path, index) => (
            <g key={path.name} className={`line-${classes[index % 3]}`}>
              <path className={`trace ${classes[index % 3]}`} d={path.d} />
            </g>
          ))}
          {picture.isEmpty ? <text className="none" x={(plot.left + plot.right) / 2} y={(plot.top + plot.bottom) / 2}>No traffic in this window</text> : null}
        </svg>
      </div>
      <details>
        <summary>{title} as a table</summary>
        <table>
          <caption className="hidden">{title}</caption>
          <thead>
            <tr><th scope="col">Time</th>{lines.map((line) => <th key={line.name} scope="col">{line.name}</th>)}</tr>
          </thead>
          <tbody>
            {times.map((sample, index) => (
              <tr key={sample.t}>
                <th scope="row">{clock(sample.t, stepMs)}</th>
                {lines.map((line) => {
                  const entry = line.samples[index]?.value;
                  return <td key={line.name}>{entry == null ? dash : format(entry)}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

/** A stroke with the same dashes as its line. */
function Key({ index, isAlone }: { index: number; isAlone: boolean }): JSX.Element | null {
  if (isAlone) return null;
  const name = classes[index % 3];
  return (
    <svg className={`line-${name}`} width="22" height="8" aria-hidden="true">
      <path className={`trace ${name}`} d="M2 4H20" />
    </svg>
  );
}
