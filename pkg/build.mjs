// Bundles src/ into dist/, beside the WebAssembly modules that `cargo xtask build` puts there. esbuild leaves
// `new URL("…", import.meta.url)` as it is written, which is what the users' bundlers, and browsers without
// one, understand.
import { build } from "esbuild";

await build({
  entryPoints: ["src/index.ts", "src/worker-cpu.ts", "src/worker-webgpu.ts"],
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  external: ["./cpu/tinysam.js", "./webgpu/tinysam.js"],
  logLevel: "warning",
});
