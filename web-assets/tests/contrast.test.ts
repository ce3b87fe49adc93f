import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const css = readFileSync(join(process.cwd(), "styles", "tokens.css"), "utf8");

/** Custom properties of the block that follows a selector. */
function tokens(selector: string): Map<string, string> {
  const start = css.indexOf(`${selector} {`);
  assert.ok(start >= 0, selector);
  const block = css.slice(start, css.indexOf("}", start));
  return new Map([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map(([, name, value]) => [name ?? "", value ?? ""]));
}

/** Relative luminance. Source: WCAG 2.2, definition of relative luminance. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const share = parseInt(hex.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (r ?? 0) + 0.7152 * (g ?? 0) + 0.0722 * (b ?? 0);
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

const grounds = ["ground", "surface", "raised"];
const pairs: [string, string[]][] = [
  ["ink", [...grounds, "good-soft", "warning-soft", "poor-soft", "accent-soft"]],
  ["muted", [...grounds, "warning-soft", "poor-soft"]],
  ["accent", grounds], ["good", grounds], ["warning", [...grounds, "warning-soft"]], ["poor", [...grounds, "poor-soft"]],
  ["accent-ink", ["accent"]], ["line-a", ["surface"]], ["line-b", ["surface"]], ["line-c", ["surface"]],
];

const themes: [string, Map<string, string>][] = [
  ["light", tokens(":root")], ["dark by system", tokens(':root:not([data-theme="light"])')],
  ["dark by choice", tokens(':root[data-theme="dark"]')],
];

for (const [theme, values] of themes) {
  test(`text has a contrast of at least 4.5:1 in the ${theme} theme`, () => {
    for (const [text, behind] of pairs) {
      for (const ground of behind) {
        const ratio = contrast(values.get(text) ?? "#", values.get(ground) ?? "#");
        assert.ok(ratio >= 4.5, `${text} on ${ground}: ${ratio.toFixed(2)}`);
      }
    }
  });
  test(`lines and shapes have at least 3:1 in the ${theme} theme`, () => {
    assert.ok(contrast(values.get("edge") ?? "#", values.get("surface") ?? "#") >= 3);
  });
}

test("both ways to dark have the same colours", () => {
  assert.deepEqual(themes[1]?.[1], themes[2]?.[1]);
});
