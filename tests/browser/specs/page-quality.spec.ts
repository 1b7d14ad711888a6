import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, everything, openPage, score } from "../page.ts";

/** The page's own code, without the engine's modules, after gzip. */
const BUDGET = 120_000;

for (const [width, height] of [[360, 740], [1440, 900]] as const) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`axe finds nothing serious: ${width} px, ${colorScheme}`, async ({ page, address }, info) => {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme });
      await openPage(page, address, 64);
      const check = async (state: string) => {
        expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), state).toBeLessThanOrEqual(0);
        await page.screenshot({ path: info.outputPath(`${state}-${width}-${colorScheme}.png`), fullPage: true });
        const { violations } = await new AxeBuilder({ page }).analyze();
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), state).toEqual([]);
      };
      await clickPhoto(page, 0.5, 0.5);
      await expect(score(page)).toBeVisible();
      await check("mask");
      await everything(page);
      await expect(page.locator("#mask-list")).toBeVisible();
      await expect(page.locator("#everything")).toHaveText("Everything", { timeout: 60_000 });
      await page.locator("#mask-list button").nth(2).click();
      await expect(score(page)).toBeVisible();
      await check("everything");
      await page.getByRole("tab", { name: "fal" }).click();
      await check("fal");
    });
  }
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
