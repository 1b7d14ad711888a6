// Bundles these tests with the package's sources and runs them under Node's own test runner:
//   node tests/fal/run.mjs [--bail] [part of a file's name…]
// With --bail one file after another, until a test fails or a file does not end.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { clientFromSources } from "../../pkg/fal-client.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const modules = fileURLToPath(new URL("../../pkg/node_modules", import.meta.url));
const { build } = createRequire(join(modules, "x.js"))("esbuild");

const bail = process.argv.includes("--bail");
const wanted = process.argv.slice(2).filter((word) => word !== "--bail");
const files = readdirSync(here).filter((name) => name.endsWith(".test.ts") && (wanted.length === 0 || wanted.some((part) => name.includes(part))));
if (files.length === 0) throw new Error(`no test is named like ${wanted.join(" or ")}`);
const outdir = mkdtempSync(join(tmpdir(), "tinysam-fal-"));
try {
  await build({
    // The package as a whole, too, for the test that imports it in other places.
    entryPoints: Object.fromEntries([
      ...files.map((name) => [basename(name, ".ts"), join(here, name)]),
      ["package", join(here, "../../pkg/src/index.ts")],
    ]),
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    nodePaths: [modules],
    external: ["./cpu/tinysam.js", "./webgpu/tinysam.js"], // the engine's own modules, which nothing here loads
    plugins: [clientFromSources], // fal's client as it is shipped
    banner: { js: 'import { createRequire as __cr } from "node:module"; const require = __cr(import.meta.url);' },
    logLevel: "warning",
  });
  const bundles = readdirSync(outdir).filter((name) => name.endsWith(".test.mjs")).map((name) => join(outdir, name));
  const env = { ...process.env, FAL_CLIENT: join(modules, "@fal-ai/client"), PACKAGE: join(outdir, "package.mjs") };
  if (bail) for (const bundle of bundles) process.exitCode ||= await untilFailure(bundle, env);
  else process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...bundles], { stdio: "inherit", env }).status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}

/** Runs one file; its status, which is an error as soon as one of its tests has failed. */
function untilFailure(bundle, env) {
  const PATIENCE_MS = 60_000;
  return new Promise((resolve) => {
    const node = spawn(process.execPath, ["--enable-source-maps", "--test-reporter=tap", bundle], { stdio: ["ignore", "pipe", "inherit"], env });
    const timer = setTimeout(() => node.kill("SIGKILL"), PATIENCE_MS);
    node.stdout.setEncoding("utf8").on("data", (text) => {
      timer.refresh(); // as long as something comes, the machine is only slow
      process.stdout.write(text);
      if (/^not ok/m.test(text)) node.kill("SIGKILL");
    });
    node.on("close", (status) => {
      clearTimeout(timer);
      resolve(status ?? 1);
    });
  });
}
