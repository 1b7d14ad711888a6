// Bundles these tests with the package's sources and runs them under Node's own test runner:
//   node tests/fal/run.mjs [part of a file's name…]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { clientAsModules } from "../../pkg/fal-client.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const modules = fileURLToPath(new URL("../../pkg/node_modules", import.meta.url));
const { build } = createRequire(join(modules, "x.js"))("esbuild");

const wanted = process.argv.slice(2);
const files = readdirSync(here).filter((name) => name.endsWith(".test.ts") && (wanted.length === 0 || wanted.some((part) => name.includes(part))));
if (files.length === 0) throw new Error(`no test is named like ${wanted.join(" or ")}`);
const outdir = mkdtempSync(join(tmpdir(), "tinysam-fal-"));
try {
  await build({
    entryPoints: files.map((name) => join(here, name)),
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    nodePaths: [modules],
    plugins: [clientAsModules], // fal's client as it is shipped
    banner: { js: 'import { createRequire as __cr } from "node:module"; const require = __cr(import.meta.url);' },
    logLevel: "warning",
  });
  const bundles = readdirSync(outdir).map((name) => join(outdir, name));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...bundles], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
