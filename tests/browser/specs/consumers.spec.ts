/** The package in what people build with. (Vite 8, webpack and no bundler are what the other specs run in.) */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { createServer } from "vite-7";
import { expect, test } from "../fixtures.ts";

const installed = () => process.env.TINYSAM_INSTALLED ?? "";

/** The area of a mask, with a worker and without. */
function areas(page: Page, host: string): Promise<number[]> {
  return page.evaluate(async (host) => {
    const found: number[] = [];
    for (const worker of [true, false]) {
      const sam = await tinysam.TinySam.load({ weights: `${host}/models/formula.safetensors`, device: "cpu", size: 64, worker });
      const image = await sam.embed(new ImageData(64, 64));
      const [mask] = await image.segment({ points: [[20, 20]] });
      found.push(mask!.area);
      sam.free();
    }
    return found;
  }, host);
}

test("a bundler emits each module once", () => {
  for (const bundler of ["vite", "webpack"]) {
    const files = readdirSync(join(installed(), "../../..", bundler), { recursive: true, encoding: "utf8" });
    expect(files.filter((name) => name.endsWith(".wasm")), bundler).toHaveLength(2);
  }
});

test("esbuild, with the files copied beside the bundle", async ({ app, address }) => {
  const found = await areas(await app.open("esbuild"), address);
  expect(found[0]).toBeGreaterThan(0);
  expect(found[1]).toBe(found[0]);
});

test("Vite 7 in development, whose cache holds the scripts alone; in a cache of another name it says what to set", async ({ page, address, errors }) => {
  errors.expectError(/404|wasm|MIME/);
  const root = join(installed(), "../..");
  for (const cacheDir of ["node_modules/.vite", "cache"]) {
    const server = await createServer({ root, cacheDir, configFile: false, logLevel: "error", server: { host: "127.0.0.1", port: 0 } });
    try {
      await server.listen();
      // What the server has yet to bundle it learns from the first page, which it then loads again.
      let found: number[] | string = "";
      await expect(async () => {
        await page.goto(server.resolvedUrls?.local[0] ?? "");
        await page.waitForFunction(() => "tinysam" in globalThis);
        found = await areas(page, `${address}/under/shared`).catch(String);
        expect(String(found)).not.toContain("navigation");
      }).toPass();
      if (cacheDir === "cache") expect(found).toContain('optimizeDeps: { exclude: ["tinysam"] }');
      else expect(found).toEqual([expect.any(Number), expect.any(Number)]);
    } finally {
      await server.close();
    }
  }
});
