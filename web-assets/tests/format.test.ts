import assert from "node:assert/strict";
import { test } from "node:test";
import { age, bytes, count, dash, latency, percent, rate } from "../src/lib/format";

test("what nobody measured is a dash, not a zero", () => {
  for (const format of [percent, rate, latency, bytes, count]) assert.equal(format(null), dash);
});

test("a success rate is never rounded up to 100 %", () => {
  assert.equal(percent(1), "100 %");
  assert.equal(percent(0.99999), "99.99 %");
  assert.equal(percent(0.8512), "85.12 %");
  assert.equal(percent(0), "0.00 %");
});

test("rates keep three significant digits", () => {
  const table: [number, string][] = [
    [0, "0"], [0.001, "< 0.01"], [0.31, "0.31"], [2.034, "2.03"], [20.34, "20.3"], [203.4, "203"], [1834.2, "1.83k"],
    [2_500_000, "2.50M"],
  ];
  for (const [value, text] of table) assert.equal(rate(value), text);
});

test("latencies change unit at a second", () => {
  const table: [number, string][] = [[0, "< 1 ms"], [3, "3 ms"], [999, "999 ms"], [1620, "1.62 s"], [12_345, "12.3 s"]];
  for (const [value, text] of table) assert.equal(latency(value), text);
});

test("bytes use binary units and ages one unit", () => {
  assert.equal(bytes(1536), "1.50 KiB/s");
  assert.equal(age(5_000), "5 s");
  assert.equal(age(600_000), "10 min");
});
