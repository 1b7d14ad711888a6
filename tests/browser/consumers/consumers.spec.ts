/** Each consumer, built and in development, opened in a browser: what of it the table has. */
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { serve } from "../setup/serve.ts";
import { Project, consumers, modulesIn } from "./project.ts";
import { writeRow } from "./table.ts";

declare global {
  /** What `shared/check.ts` leaves in a page. */
  var found: { areas: number[] } | { error: string } | undefined;
}

for (const name of consumers()) {
  test(name, async ({ page }) => {
    const folder = process.env.TINYSAM_CONSUMERS ?? "";
    const project = new Project(folder, name);
    const row = { consumer: project.facts.name, version: "", build: "–", dev: "–", modules: "–", needs: project.facts.needs ?? "nothing" };
    try {
      await project.npm("ci", "--no-audit", "--no-fund");
      row.version = project.version;
      row.build = await verdict(async () => {
        await project.npm("run", "build");
        row.modules = modulesIn(project.out);
        const served = project.has("start") ? await project.serve("start") : await serveStatic(project.out);
        try {
          await opened(page, served.address);
        } finally {
          await served.close();
        }
        if (project.facts.says !== undefined) await withoutFiles(page, project.out, project.facts.says);
      });
      if (project.has("dev")) {
        row.dev = await verdict(async () => {
          const served = await project.serve("dev");
          try {
            await opened(page, served.address);
          } finally {
            served.close();
          }
        });
      }
    } finally {
      writeRow(join(folder, "rows"), name, row);
    }
    expect(row.build, "the build").toBe("ok");
    expect(row.dev, "in development").toMatch(/^(ok|–)$/);
  });
}

async function verdict(attempt: () => Promise<void>): Promise<string> {
  try {
    await attempt();
    return "ok";
  } catch (error) {
    return String(error instanceof Error ? error.message : error);
  }
}

/** Opens a page and reads what its check found. */
async function found(page: Page, address: string): Promise<{ areas: number[] } | { error: string }> {
  await page.goto(`${address}/?weights=${process.env.TINYSAM_WEIGHTS}/formula.safetensors`, { timeout: 300_000 });
  const found = await page.waitForFunction(() => globalThis.found, undefined, { timeout: 300_000 });
  return (await found.jsonValue())!;
}

/** Holds what a page found to what is right, and its console to silence. */
async function opened(page: Page, address: string): Promise<void> {
  const errors: string[] = [];
  const hear = (message: { type(): string; text(): string }) => message.type() === "error" && errors.push(message.text());
  page.on("console", hear);
  try {
    const outcome = await found(page, address);
    expect(outcome).toEqual({ areas: [expect.any(Number), expect.any(Number)] });
    const [withWorker, without] = "areas" in outcome ? outcome.areas : [];
    expect(withWorker).toBeGreaterThan(0);
    expect(without).toBe(withWorker);
    expect(errors).toEqual([]);
  } finally {
    page.off("console", hear);
  }
}

/** The same build without the files that were copied for the package's sake: what the error tells its reader to do. */
async function withoutFiles(page: Page, out: string, says: string): Promise<void> {
  const served = await serveStatic(out);
  try {
    await page.route(/-(cpu|webgpu)\.(js|wasm)$/, (route) => route.fulfill({ status: 404 }));
    expect(await found(page, served.address)).toEqual({ error: expect.stringContaining(says) });
  } finally {
    await page.unrouteAll();
    await served.close();
  }
}

function serveStatic(folder: string): Promise<{ address: string; close(): Promise<void> }> {
  return serve({ "/": `${folder}/` });
}
