import { expect, test } from "../fixtures.ts";
import { clickPhoto, everything, openPage, score } from "../page.ts";

test("everything: masks in a list and in the photo; pick one, refine it, clear", async ({ page, address }) => {
  await openPage(page, address, 64);
  await everything(page);
  const masks = page.locator("#mask-list button");
  await expect(page.locator("#everything")).toHaveText("Everything", { timeout: 60_000 });
  await expect(page.locator("#mask-facts")).toBeHidden();
  expect(await masks.count()).toBeGreaterThan(1);

  await masks.nth(1).click();
  await expect(masks.nth(1)).toHaveAttribute("aria-pressed", "true");
  await masks.nth(1).click();
  await expect(page.locator("#mask-facts")).toBeHidden();

  // In the photo: what is under the pointer is lit in the list, and a click picks it.
  await clickPhoto(page, 0.6, 0.55);
  const pressed = page.locator("#mask-list [aria-pressed=true]");
  await expect(pressed).toHaveCount(1);
  await expect(page.locator("#mask-list li.is-lit [aria-pressed=true]")).toHaveCount(1);
  const picked = await page.locator("#mask-facts").innerText();

  await page.locator("#refine").click();
  await clickPhoto(page, 0.4, 0.4);
  await expect.poll(() => page.locator("#mask-facts").innerText()).not.toBe(picked);
  await page.locator("#undo").click();
  await expect.poll(() => page.locator("#mask-facts").innerText()).toBe(picked);
  await page.locator("#redo").click();
  await expect.poll(() => page.locator("#mask-facts").innerText()).not.toBe(picked);
  const refined = await page.locator("#mask-facts").innerText();
  await page.locator("#refine").click();
  await expect(page.locator("#refine")).toHaveText("Refine");
  expect(await page.locator("#mask-facts").innerText()).toBe(refined);

  await page.locator("#clear").click();
  await expect(page.locator("#mask-list")).toBeHidden();
  await expect(score(page)).toBeHidden();
});

test("masks arrive while the run goes on, and stay when it is stopped; keys do it, too", async ({ page, address }) => {
  await openPage(page, address, 64);
  await everything(page, "32");
  const masks = page.locator("#mask-list button");
  await expect.poll(() => masks.count(), { timeout: 60_000 }).toBeGreaterThan(2);
  await expect(page.locator("#everything")).toHaveText("Stop");
  await expect(page.locator("#busy-text")).toHaveText(/^\d+ of \d+ points, \d+ masks?$/);
  await page.locator("#canvas").focus();
  await page.keyboard.press("e");
  await expect(page.locator("#everything")).toHaveText("Everything");
  const found = await masks.count();
  expect(found).toBeGreaterThan(2);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await expect(score(page)).toBeVisible();
  await page.keyboard.press("r");
  await expect(page.locator("#refine")).toHaveText("Done");
  await page.keyboard.press("Escape");
  expect(await masks.count()).toBe(found);
  await page.keyboard.press("Escape");
  await expect(page.locator("#mask-list")).toBeHidden();

  // A photo of one's own ends the run of the one before.
  await page.keyboard.press("e");
  await expect.poll(() => masks.count()).toBeGreaterThan(2);
  await page.locator("#samples button").nth(1).click();
  await expect(page.locator("#everything")).toHaveText("Everything");
  await expect(page.locator("#mask-list")).toBeHidden();
  await expect(page.locator("#busy")).toBeHidden();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});

test("a run that was stopped before it found anything says nothing of thresholds", async ({ page, address }) => {
  await openPage(page, address, 64);
  const none = page.locator('#mask-hint [data-mode="none"]');
  await everything(page, "32");
  await page.locator("#everything").click();
  await expect(page.locator("#everything")).toHaveText("Everything");
  if ((await page.locator("#mask-list button").count()) === 0) await expect(none).toBeHidden();
  await page.locator("#clear").click();
  await page.locator("#least-score").fill("5");
  await page.locator("#points-per-side").selectOption("8");
  await page.locator("#everything").click();
  await expect(page.locator("#everything")).toHaveText("Everything", { timeout: 60_000 });
  await expect(none).toBeVisible();
});

test("an engine that dies in a run is started again", async ({ page, address, errors }) => {
  errors.expectError(/the end of this worker/);
  await openPage(page, address, 64);
  await everything(page, "32");
  await expect(page.locator("#busy-text")).toHaveText(/^\d+ of \d+ points/, { timeout: 60_000 });
  await page.workers()[0]!.evaluate(() => {
    setTimeout(() => {
      throw new Error("the end of this worker");
    });
  });
  await expect(page.locator("#toast")).toHaveText("The engine was started again, and the photo is encoded.", { timeout: 60_000 });
  await expect(page.locator("#alert")).toBeHidden();
  await expect(page.locator("#everything")).toHaveText("Everything");
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});
