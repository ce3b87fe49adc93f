import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { edgePath } from "../src/charts/edgePath";
import { lineChart, nearest, type ChartInput, type Sample } from "../src/charts/lineChart";
import { sparkline } from "../src/charts/sparkline";
import { graphLayout } from "../src/lib/graph";
import { emojivoto } from "./fixtures";

const minute = 60_000;
const values = [1, 2, null, 3, null, null, 4, 5, 4, 2];
const samples: Sample[] = values.map((value, index) => ({ t: index * minute, value }));
const input: ChartInput = {
  lines: [{ name: "RPS", samples }], width: 400, height: 190, from: 0, to: 9 * minute,
  format: String, formatTime: (t) => `${t / minute}`,
};

/** Compares with the drawing of last time; UPDATE_GOLDEN=1 accepts the new one. */
function golden(name: string, svg: string): void {
  const file = join(process.cwd(), "tests", "golden", name);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, svg);
  assert.ok(existsSync(file), `${name} is missing: run with UPDATE_GOLDEN=1`);
  assert.equal(svg, readFileSync(file, "utf8"));
}

test("a chart is drawn as it was", () => {
  const picture = lineChart(input);
  const lines = [
    ...picture.yTicks.map((tick) => `<text x="40" y="${tick.at}">${tick.label}</text>`),
    ...picture.xTicks.map((tick) => `<text x="${tick.at}" y="184">${tick.label}</text>`),
    ...picture.paths.map((path) => `<path fill="none" stroke="currentColor" stroke-linecap="round" d="${path.d}"/>`),
  ];
  golden("line-chart.svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 190">\n${lines.join("\n")}\n</svg>\n`);
});

test("missing data is a gap and a lone sample a dot", () => {
  const d = lineChart(input).paths[0]?.d ?? "";
  assert.equal(d.match(/M/g)?.length, 3);
  assert.equal(d.match(/h0/g)?.length, 1);
});

test("without a single value the chart says so instead of drawing zeros", () => {
  const picture = lineChart({ ...input, lines: [{ name: "RPS", samples: samples.map((s) => ({ ...s, value: null })) }] });
  assert.equal(picture.isEmpty, true);
  assert.equal(picture.paths[0]?.d, "");
  assert.deepEqual(picture.yTicks, []);
});

test("a share fills the chart from its floor, and dips get room", () => {
  const share = (low: number): number[] => {
    const lines = [{ name: "s", samples: [{ t: 0, value: low }, { t: minute, value: 1 }] }];
    return lineChart({ ...input, lines, top: 1, bottom: 0.9 }).yTicks.map((tick) => Number(tick.label));
  };
  assert.equal(Math.min(...share(0.95)), 0.9);
  assert.ok(Math.min(...share(0.42)) <= 0.42);
  assert.equal(Math.max(...share(0.42)), 1);
});

test("beyond four samples per pixel each column keeps its lowest and highest", () => {
  const crowd = Array.from({ length: 20_000 }, (_, index) => ({
    t: index, value: index === 7_777 ? 1000 : index % 7,
  }));
  const picture = lineChart({ ...input, lines: [{ name: "s", samples: crowd }], to: 19_999 });
  const points = picture.paths[0]?.d.split(/[ML]/).length ?? 0;
  assert.ok(points < 900, `${points} points`);
  assert.ok(picture.paths[0]?.d.includes(`,${Math.round(picture.y(1000) * 10) / 10}`), "the spike is kept");
});

test("a reading snaps to the nearest sample", () => {
  assert.equal(nearest(samples, 3.4 * minute)?.t, 3 * minute);
  assert.equal(nearest([], 1), null);
});

test("a sparkline has zero as its floor and keeps gaps", () => {
  const line = sparkline([0, 10, null, 5], 30, 12);
  assert.equal(line.d, "M0,11L10,2M30,6.5h0");
  assert.equal(line.area, "M0,12L0,11L10,2L10,12Z");
  assert.equal(sparkline([], 30, 12).d, "");
});

test("the service graph is drawn as it was", () => {
  const layout = graphLayout(emojivoto, 1000);
  const parts = [
    ...layout.edges.map((edge) => {
      const path = edgePath(edge.points, "right");
      return `<path fill="none" stroke="currentColor" d="${path.d}"/><path d="${path.head}"/>`;
    }),
    ...layout.nodes.map((node) => (
      `<rect x="${node.x - node.width / 2}" y="${node.y - node.height / 2}" width="${node.width}" height="${node.height}"/>`)),
  ];
  golden("graph.svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${layout.width} ${layout.height}">\n${parts.join("\n")}\n</svg>\n`);
});
