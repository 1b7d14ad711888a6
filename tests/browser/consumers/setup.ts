import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { serve } from "../setup/serve.ts";
import { printTable } from "./table.ts";

/**
 * Lays the content of the tarball where the consumers look for the package, serves the weights, and at the end prints the
 * table. A test runs in a process of its own: what they share is in the environment and in files.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const { TINYSAM_TARBALL: tarball, TINYSAM_FORMULA: formula, TINYSAM_CONSUMERS: folder } = process.env;
  if (tarball === undefined || formula === undefined || folder === undefined) throw new Error("run `cargo xtask consumers`, which makes what this needs");
  for (const name of ["pkg", "package", "rows"]) rmSync(join(folder, name), { recursive: true, force: true });
  mkdirSync(join(folder, "rows"), { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", folder]);
  renameSync(join(folder, "package"), join(folder, "pkg"));
  const server = await serve({ "/formula.safetensors": formula });
  process.env.TINYSAM_WEIGHTS = `${server.address}/under/shared`;
  return async () => {
    await server.close();
    printTable(join(folder, "rows"));
  };
}
