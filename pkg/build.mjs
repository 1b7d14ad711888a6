// Bundles src/ into dist/ together with the WebAssembly modules that `cargo xtask build` puts into dist/cpu and
// dist/webgpu. What is published lies in one folder; of the two others only the declarations are. esbuild leaves
// `new URL("…", import.meta.url)` as it is written, which is what the users' bundlers, and browsers without one,
// understand.
import { copyFile, readFile, readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { clientFromSources } from "./fal-client.mjs";

const DEVICES = ["cpu", "webgpu"];

const options = {
  outdir: "dist",
  bundle: true,
  target: "es2022",
  logLevel: "warning",
};

/** Where wasm-bindgen's glue looks for its module if it is told nothing. */
const BESIDE = "new URL('tinysam_bg.wasm', import.meta.url)";

/**
 * A plugin that bundles the glue with another default than {@link BESIDE}: a second such address would have bundlers emit
 * the module a second time. It is made by `file`, an expression of the device, after the statements of `before`.
 */
const glue = (file, before = () => "") => ({
  name: "glue",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/(cpu|webgpu)\/tinysam\.js$/ }, ({ path }) => ({ path: fileURLToPath(new URL(`dist/${path}`, import.meta.url)) }));
    onLoad({ filter: /[\\/]dist[\\/](cpu|webgpu)[\\/]tinysam\.js$/ }, async ({ path }) => {
      const device = /(cpu|webgpu)[\\/]tinysam\.js$/.exec(path)[1];
      const parts = (await readFile(path, "utf8")).split(BESIDE);
      if (parts.length !== 2) throw new Error(`${path} looks for its module ${parts.length - 1} times: has wasm-bindgen changed?`);
      return { contents: before(device) + parts.join(file(device)), resolveDir: fileURLToPath(new URL("src", import.meta.url)) };
    });
  },
});

// Chunks are named by what they hold: those of earlier builds would be packed, too.
for (const name of await readdir("dist")) if (name.startsWith("chunk-")) await rm(`dist/${name}`);

for (const device of DEVICES) await copyFile(`dist/${device}/tinysam_bg.wasm`, `dist/tinysam-${device}.wasm`);

// fal's door and the engine's apart: a bundler takes of an application's two doors the one that it imports.
await build({
  ...options,
  entryPoints: {
    index: "src/index.ts",
    engine: "src/engine.ts",
    fal: "src/fal.ts",
    ...Object.fromEntries(DEVICES.map((device) => [device, `./${device}/tinysam.js`])),
  },
  format: "esm",
  // Else the paths of the modules of fal's client stand in it, 1 kB of them after gzip.
  minifyIdentifiers: true,
  splitting: true,
  chunkNames: "chunk-[hash]",
  plugins: [
    clientFromSources,
    glue(
      (device) => `assetsOf("${device}").wasm`,
      () => 'import { assetsOf } from "./assets.js";',
    ),
  ],
});
// Each worker in one classic script, which needs nothing beside it: pages of other origins and frames without one can
// start no other kind.
await build({
  ...options,
  entryPoints: DEVICES.map((device) => `src/worker-${device}.ts`),
  format: "iife",
  minify: true,
  plugins: [glue(() => "undefined")],
});
