// Bundles src/ into dist/, beside the WebAssembly modules that `cargo xtask build` puts there. esbuild leaves
// `new URL("…", import.meta.url)` as it is written, which is what the users' bundlers, and browsers without
// one, understand.
import { readdir, rm } from "node:fs/promises";
import { build } from "esbuild";
import { clientAsModules } from "./fal-client.mjs";

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
  plugins: [clientAsModules],
});
// Each worker in one file: bundlers that make workers of the classic kind cannot split them.
await build({ ...options, entryPoints: ["src/worker-cpu.ts", "src/worker-webgpu.ts"] });
