import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildApps } from "./apps.ts";
import { serve } from "./serve.ts";

/**
 * Packs the package, installs it into small applications as a user would, builds those, and serves them with
 * the page and the formula checkpoint. Ends with the tests.
 */
export default async function setup(): Promise<() => Promise<void>> {
  const formula = process.env.TINYSAM_FORMULA;
  if (formula === undefined) {
    throw new Error("TINYSAM_FORMULA must name the formula checkpoint's file: `cargo xtask test` makes it and sets this");
  }
  const folder = mkdtempSync(join(tmpdir(), "tinysam-browser-"));
  const apps = await buildApps(folder);
  const server = await serve({ ...apps.mounts, "/models/formula.safetensors": formula });
  process.env.TINYSAM_BASE = server.address;
  process.env.TINYSAM_INSTALLED = apps.installed;
  process.env.TINYSAM_PAGE = apps.mounts["/page/"];
  return async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
}
