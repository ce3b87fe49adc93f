// Last step of deploy/build-web: names the hashed files in index.html, compresses, prints sizes.
// Usage: node build.mjs <metafile> <output folder>

import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync, constants } from "node:zlib";

const [metafile, output] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const built = Object.entries(JSON.parse(readFileSync(metafile, "utf8")).outputs);

/** Path, as the browser asks for it, of what was built from a source. */
function builtFrom(source) {
  const hit = built.find(([path, entry]) => entry.entryPoint === source || (
    source.endsWith(".svg") && basename(path).startsWith("icon-")));
  if (!hit) throw new Error(`nothing was built from ${source}`);
  return `/assets/${basename(hit[0])}`;
}

const names = { script: builtFrom("src/main.tsx"), style: builtFrom("styles/main.css"), icon: builtFrom("icon.svg") };
const page = readFileSync(join(here, "index.html"), "utf8").replace(/\{\{(\w+)\}\}/g, (_, name) => names[name]);
writeFileSync(join(output, "index.html"), page);

let total = 0;
for (const path of ["/index.html", ...Object.values(names)]) {
  const file = join(output, path);
  const bytes = readFileSync(file);
  const gzipped = gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION });
  // A twin that saves nothing only costs memory.
  if (gzipped.length < bytes.length * 0.95) writeFileSync(`${file}.gz`, gzipped);
  total += gzipped.length;
  const kib = (count) => `${(count / 1024).toFixed(1)} KiB`.padStart(10);
  console.log(`${path.padEnd(32)}${kib(bytes.length)}${kib(gzipped.length)} gzipped`);
}
console.log(`${"total".padEnd(42)}${`${(total / 1024).toFixed(1)} KiB`.padStart(10)} gzipped`);
