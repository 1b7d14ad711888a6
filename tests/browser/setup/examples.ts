import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

/** Every example with a page, and the file in which it loads the model. */
export const EXAMPLES: Readonly<Record<string, string>> = {
  react: "src/tinysam.ts",
  vue: "src/tinysam.ts",
  svelte: "src/tinysam.svelte.ts",
  video: "src/main.ts",
  annotorious: "src/main.ts",
  gallery: "src/main.ts",
  html: "index.html",
};

/**
 * Copies the examples and the installed package to `folder` as they lie in the repository, and builds them all. They are as
 * people copy them but for what no test can have: the official weights, for which those at `weights` stand, at a side that
 * these are of, and a CDN, for which `cdn` stands.
 */
export function buildExamples(folder: string, installed: string, weights: string, cdn: string): string {
  const examples = join(folder, "examples");
  cpSync(join(ROOT, "examples"), examples, { recursive: true, filter: (path) => !/[\\/](node_modules|dist|public)$/.test(path) });
  cpSync(installed, join(folder, "pkg"), { recursive: true });
  for (const [name, file] of Object.entries(EXAMPLES)) {
    replace(join(examples, name, file), /TinySam\.load\(\{( size: 256,)?/, `TinySam.load({ weights: "${weights}", device: "cpu", size: 320,`);
  }
  const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { version: string };
  replace(join(examples, "html/index.html"), `https://cdn.jsdelivr.net/npm/tinysam@${version}/dist/`, cdn);
  const npm = (...args: string[]) => execFileSync("npm", args, { cwd: examples, stdio: ["ignore", "ignore", "inherit"] });
  // Vite has said by now that this is production, which to npm means no tools.
  npm("ci", "--silent", "--no-audit", "--no-fund", "--include=dev");
  npm("run", "--silent", "build", "--workspaces", "--", "--logLevel", "warn");
  return examples;
}

/** Where an example's page lies when it is built. */
export function builtExample(examples: string, name: string): string {
  return name === "html" ? join(examples, name) : join(examples, name, "dist");
}

function replace(file: string, what: string | RegExp, by: string): void {
  const text = readFileSync(file, "utf8");
  const changed = text.replace(what, () => by);
  if (changed === text) throw new Error(`${file} has no ${what}: have the examples changed?`);
  writeFileSync(file, changed);
}
