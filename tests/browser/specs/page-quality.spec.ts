import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, everything, openPage, openTab, score } from "../page.ts";

/** The page's own code, without the engine's modules, after gzip. */
const BUDGET = 120_000;

for (const [width, height] of [[360, 740], [1440, 900], [3840, 2160]] as const) {
  test(`axe finds nothing serious, in either scheme: ${width} px`, async ({ page, address }, info) => {
    await page.setViewportSize({ width, height });
    await openPage(page, address, 64);
    const check = async (state: string) => {
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), state).toBeLessThanOrEqual(0);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        // Artefacts, for people to look at.
        await page.screenshot({ path: info.outputPath(`${state}-${width}-${colorScheme}.png`), fullPage: true });
        const { violations } = await new AxeBuilder({ page }).analyze();
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), `${state}, ${colorScheme}`).toEqual([]);
      }
    };
    await check("begin");
    await clickPhoto(page, 0.5, 0.5);
    await expect(score(page)).toBeVisible();
    await page.mouse.move(0, 0);
    await check("mask");
    await everything(page);
    await expect(page.locator("#announce")).toHaveText(/^\d+ masks found\.$/, { timeout: 60_000 });
    await page.locator("#mask-list button").nth(2).click();
    await expect(score(page)).toBeVisible();
    await page.locator("#refine").click();
    await check("refine");
    await page.locator("#clear").click();
    await page.locator("#clear").click();
    await page.locator("#least-stability").fill("1");
    await page.locator("#everything").click();
    await expect(page.locator("#mask-hint [data-mode=none]")).toBeVisible({ timeout: 60_000 });
    await check("none");
    await clickPhoto(page, 0.5, 0.5);
    await openTab(page, "fal");
    await page.locator("#fal-run").click();
    await expect(page.locator("#fal-picture")).toBeVisible({ timeout: 60_000 });
    await check("fal");
    await openTab(page, "Model");
    await page.locator("#benchmark").click();
    await expect(page.locator("#benchmark-result")).toBeVisible({ timeout: 60_000 });
    await page.locator("#photo-file").setInputFiles({ name: "notes.png", mimeType: "image/png", buffer: Buffer.from("no photo") });
    await expect(page.locator("#error")).toBeVisible();
    await check("model-and-error");
  });
}

test("the page's code is small", async ({ page, address }) => {
  const names = new Set<string>();
  page.context().on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/page/") && /(\/|\.html|\.js|\.css)$/.test(pathname)) names.add(pathname);
  });
  await openPage(page, address, 64);
  for (const part of [/\/page\/$/, /\.css$/, /\/index-.*\.js$/, /\/worker-cpu-/]) expect([...names].some((name) => part.test(name)), String(part)).toBe(true);
  const sizes = [...names].map(async (name) => gzipSync(Buffer.from(await (await fetch(address + name)).arrayBuffer())).length);
  const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(total).toBeGreaterThan(40_000);
  expect(total).toBeLessThanOrEqual(BUDGET);
  console.log(`the page's code: ${(total / 1000).toFixed(1)} kB after gzip`);
});
