// Bundles src/ into dist/, beside the WebAssembly modules that `cargo xtask build` puts there. esbuild leaves
// `new URL("…", import.meta.url)` as it is written, which is what the users' bundlers, and browsers without
// one, understand.
import { readdir, readFile, rm } from "node:fs/promises";
import { build } from "esbuild";

/** fal's client is CommonJS, of which esbuild takes everything: this leaves out what is there twice or never called. */
const leanClient = {
  name: "lean-client",
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^@msgpack\/msgpack$/ }, async ({ kind, path, resolveDir }) =>
      kind === "require-call" ? { path, namespace: "lean", pluginData: await resolve(path, { kind: "import-statement", resolveDir }) } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "lean" }, ({ pluginData: { path } }) => ({
      contents: `export { decode, encode } from ${JSON.stringify(path)};`,
      resolveDir: "/",
    }));
    onLoad({ filter: /@fal-ai[\\/]client[\\/].*\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      // TypeScript's helper, which stands in every file: tslib's takes its place.
      const helper = /^var __awaiter = \(this && this\.__awaiter\) \|\| function[^]*?\n\};\n/m;
      return helper.test(text) ? { contents: `const { __awaiter } = require("tslib");${text.replace(helper, "")}` } : undefined;
    });
    onResolve({ filter: /^tslib$/ }, ({ path }) => ({ path, namespace: "tslib" }));
    onLoad({ filter: /.*/, namespace: "tslib" }, () => ({ contents: 'export { __awaiter } from "./node_modules/tslib/tslib.es6.mjs";', resolveDir: import.meta.dirname }));
    // Read for the name that the client gives itself outside browsers.
    onLoad({ filter: /@fal-ai[\\/]client[\\/]package\.json$/ }, async ({ path }) => {
      const { name, version } = JSON.parse(await readFile(path, "utf8"));
      return { contents: JSON.stringify({ name, version }), loader: "json" };
    });
  },
};

const options = {
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  external: ["./cpu/tinysam.js", "./webgpu/tinysam.js"],
  logLevel: "warning",
};

// Chunks are named by what they hold: those of earlier builds would be packed, too.
for (const name of await readdir("dist").catch(() => [])) if (name.startsWith("chunk-")) await rm(`dist/${name}`);

// fal's door and the engine's apart: a bundler takes of an application's two doors the one that it imports.
await build({
  ...options,
  entryPoints: { index: "src/index.ts", fal: "src/fal/client.ts", sam: "src/sam.ts" },
  // Else the paths of the modules of fal's client stand in it, 1 kB of them after gzip.
  minifyIdentifiers: true,
  splitting: true,
  chunkNames: "chunk-[hash]",
  plugins: [leanClient],
});
// Each worker in one file: bundlers that make workers of the classic kind cannot split them.
await build({ ...options, entryPoints: ["src/worker-cpu.ts", "src/worker-webgpu.ts"] });
