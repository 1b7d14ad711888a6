import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import webpack from "webpack";
import { EXAMPLES, buildExamples, builtExample } from "./examples.ts";

const HERE = dirname(dirname(fileURLToPath(import.meta.url)));
const ROOT = dirname(dirname(HERE));
/** The oldest TypeScript that the package is for. */
const OLDEST = "5.0.4";
/** Types of the package are checked as in an application that skips nothing. */
const TYPES = ["--noEmit", "--strict", "--target", "ES2022", "--lib"];
/** By what they run in: the platform, and the files. */
const SCOPES = [
  ["ES2022,DOM,DOM.Iterable", "main.ts", "types.ts"],
  ["ES2022,WebWorker", "worker-types.ts"],
];

/** Packs and installs the package, and builds it into an application with each bundler and with none. */
export async function buildApps(folder: string) {
  const app = join(folder, "app");
  const installed = install(folder, app);
  for (const name of ["main.ts", "types.ts", "worker-types.ts", "index.html", "checks.ts", "pictures.ts", "checks.html"]) copyFileSync(join(HERE, "apps", name), join(app, name));
  checkTypes(app);

  const vite = join(folder, "vite");
  await build({
    root: app,
    base: "./",
    configFile: false,
    logLevel: "warn",
    build: {
      outDir: vite,
      emptyOutDir: true,
      rolldownOptions: { input: [join(app, "index.html"), join(app, "checks.html")] },
    },
  });

  const bundled = join(folder, "webpack");
  await bundle(app, bundled);

  const plain = join(folder, "esbuild");
  await bundleAndCopy(app, installed, plain);

  const bare = join(folder, "bare");
  cpSync(join(installed, "dist"), join(bare, "tinysam"), { recursive: true });
  copyFileSync(join(HERE, "apps/bare.html"), join(bare, "index.html"));

  // The page as its own scripts build it, which check its types, too.
  const page = ["run", "--silent", "build", "--", "--logLevel", "warn", "--emptyOutDir", "--outDir", join(folder, "www")];
  execFileSync("npm", page, { cwd: join(ROOT, "www"), stdio: "inherit" });
  const examples = buildExamples(folder, installed, "/page/models/tinysam-photos.safetensors", "/bare/tinysam/");
  const mounts = {
    ...Object.fromEntries(Object.keys(EXAMPLES).map((name) => [`/examples/${name}/`, builtExample(examples, name)])),
    "/vite/": vite,
    "/webpack/": bundled,
    "/esbuild/": plain,
    "/bare/": bare,
    "/page/": join(folder, "www"),
    "/photos/": join(ROOT, "www/public/photos"),
    "/pictures/": join(ROOT, "tests/fixtures/pictures"),
  };
  return { installed, mounts };
}

function install(folder: string, app: string): string {
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: join(ROOT, "pkg") });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack made no tarball");
  execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", join(folder, tarball), `typescript@${OLDEST}`], { cwd: app });
  return join(app, "node_modules/tinysam");
}

/** With the newest TypeScript and the application's old one, in each way that they look for packages. */
function checkTypes(app: string): void {
  const bundler = ["--module", "ESNext", "--moduleResolution", "Bundler"];
  const node = ["--module", "NodeNext"];
  const node10 = ["--module", "ESNext", "--moduleResolution", "node"];
  compile(import.meta.url, [[...bundler, "--ignoreConfig"], [...node, "--ignoreConfig"]]);
  compile(join(app, "package.json"), [bundler, node, node10]);

  function compile(from: string, ways: string[][]): void {
    const bin = join(dirname(createRequire(from).resolve("typescript/package.json")), "bin/tsc");
    for (const way of ways) {
      for (const [platform = "", ...files] of SCOPES) execFileSync(process.execPath, [bin, ...TYPES, platform, ...way, ...files], { cwd: app, stdio: "inherit" });
    }
  }
}

/** With esbuild, which emits no files of packages: as the README has it. */
async function bundleAndCopy(app: string, installed: string, out: string): Promise<void> {
  const { build } = createRequire(join(ROOT, "pkg/package.json"))("esbuild") as typeof import("../../../pkg/node_modules/esbuild");
  await build({ entryPoints: [join(app, "main.ts")], bundle: true, format: "esm", outdir: out, logLevel: "warning" });
  const dist = join(installed, "dist");
  for (const name of readdirSync(dist)) if (/-(cpu|webgpu)\.(js|wasm)$/.test(name)) copyFileSync(join(dist, name), join(out, name));
  copyFileSync(join(HERE, "apps/esbuild.html"), join(out, "index.html"));
}

async function bundle(app: string, out: string): Promise<void> {
  // webpack itself reads no TypeScript; the application has no types that matter at run time.
  copyFileSync(join(app, "main.ts"), join(app, "main.js"));
  // Its hints on size are about other things: an engine is larger than a page.
  const performance = { hints: false as const };
  const output = { path: out, filename: "main.js" };
  const compiler = webpack({ mode: "production", context: app, entry: "./main.js", output, performance });
  if (compiler === null) throw new Error("webpack made no compiler");
  const stats = await new Promise<webpack.Stats | undefined>((resolve, reject) =>
    compiler.run((error, result) => (error ? reject(error) : resolve(result))),
  );
  if (stats === undefined || stats.hasErrors() || stats.hasWarnings()) throw new Error(`webpack: ${stats?.toString()}`);
  copyFileSync(join(HERE, "apps/webpack.html"), join(out, "index.html"));
}
