import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage, score } from "../page.ts";

test("after the first visit the page works without a network", async ({ page, address, errors }) => {
  await openPage(page, address, 64);
  // Until the engine's file, the largest, is kept.
  await expect
    .poll(() => page.evaluate(async () => {
      const names = await caches.keys();
      const kept = await Promise.all(names.filter((name) => name.startsWith("tinysam-page-")).map(async (name) => (await caches.open(name)).keys()));
      return kept.flat().filter(({ url }) => url.endsWith(".wasm")).length;
    }), { timeout: 30_000 })
    // The other device's engine is not fetched.
    .toBe(1);
  await page.context().setOffline(true);
  errors.expectError(/ERR_INTERNET_DISCONNECTED/);
  await page.reload();
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  await page.locator("#samples button").nth(2).click();
  await expect(score(page)).toBeHidden();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});
