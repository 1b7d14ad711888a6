import { createHash } from "node:crypto";
import type { Page } from "@playwright/test";
import type { Rle } from "tinysam";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, copied, dragPhoto, everything, openPage, openTab, saved, score } from "../page.ts";

// The code that the page copies is run in an application that has nothing else of the page, and must give the very
// masks that the page saves.

/** A mask's run lengths in few characters. */
const short = ({ size, counts }: Rle) => `${size} ${createHash("sha256").update(counts).digest("hex").slice(0, 12)}`;

/** The masks that the page would save now. */
async function shown(page: Page): Promise<string[]> {
  const coco = JSON.parse((await saved(page, "#save-coco")).bytes.toString("utf8"));
  return coco.annotations.map(({ segmentation }: { segmentation: Rle }) => short(segmentation));
}

/** Runs the page's code on its photo; `result` is what of its variables is wanted. */
async function run(app: Page, code: string, result: string): Promise<string[]> {
  const body = code.replace(/^import (\{.*\}) from "tinysam";/, "const $1 = tinysam;");
  expect(body).toMatch(/^const \{.*\} = tinysam;\n/);
  const masks = await app.evaluate(
    async ({ body, result }) => {
      const photo = await (await fetch("/photos/coffee.png")).blob();
      const AsyncFunction = (async () => {}).constructor as new (...text: string[]) => (...values: unknown[]) => Promise<unknown>;
      return new AsyncFunction("tinysam", "photo", `${body}\nreturn ${result};`)(tinysam, photo);
    },
    { body, result },
  );
  return (masks as Rle[]).map(short);
}

const ALL = "Promise.all(masks.map((mask) => mask.toRle()))";
const ONE = "[await mask.toRle()]";
const FAL = "result.data.masks.map(({ rle }) => rle)";

/** The page at its work, and beside it the application that runs the code. */
async function openBoth(page: Page, address: string): Promise<Page> {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const app = await page.context().newPage();
  await app.goto(`${address}/vite/`);
  await app.waitForFunction(() => "tinysam" in globalThis);
  await page.bringToFront();
  await openPage(page, address, 64);
  return app;
}

const facts = (page: Page) => page.locator("#mask-facts").innerText();

async function mark(page: Page, x: number, y: number, options?: { button: "right" }): Promise<void> {
  const before = await facts(page);
  await clickPhoto(page, x, y, options);
  await expect.poll(() => facts(page)).not.toBe(before);
}

test("the engine's code: points, boxes, everything, stopped or not, and refinements", async ({ page, address }) => {
  const app = await openBoth(page, address);
  const masks = page.locator("#mask-list button");

  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible();
  await mark(page, 0.3, 0.6, { button: "right" });
  expect(await run(app, await copied(page, "#copy-code"), ALL)).toEqual(await shown(page));

  // Two boxes, the second refined twice, by two rounds.
  await dragPhoto(page, [0.1, 0.2], [0.4, 0.5]);
  await expect(page.locator("#fal-code")).toContainText("box_prompt");
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  await expect(masks).toHaveCount(2);
  await masks.nth(1).click();
  await page.locator("#refine").click();
  await mark(page, 0.7, 0.5);
  await mark(page, 0.2, 0.3, { button: "right" });
  await page.locator("#refine").click();
  await page.locator("#refine").click();
  await mark(page, 0.55, 0.75, { button: "right" });
  const during = await copied(page, "#copy-code");
  await page.locator("#refine").click();
  const after = await copied(page, "#copy-code");
  expect(after).toBe(during);
  expect(after.match(/\[masks\[1\]\] = await masks\[1\]\.refine/g)).toHaveLength(2);
  expect(await run(app, after, ONE)).toEqual(await shown(page));
  await masks.nth(1).click();
  await expect(page.locator("#mask-facts")).toBeHidden();
  const both = await shown(page);
  expect(both).toHaveLength(2);
  expect(await run(app, await copied(page, "#copy-code"), ALL)).toEqual(both);

  // Everything, of which one is refined.
  await everything(page);
  await expect(page.locator("#everything")).toHaveText("Everything", { timeout: 60_000 });
  expect(await run(app, await copied(page, "#copy-code"), ALL)).toEqual(await shown(page));
  await masks.nth(2).click();
  await page.locator("#refine").click();
  await mark(page, 0.4, 0.4);
  await page.locator("#refine").click();
  const refined = await copied(page, "#copy-code");
  expect(refined).toMatch(/image\.everything\(\{ pointsPerSide: 8, predIouThresh: 0, stabilityScoreThresh: 0, boxNmsThresh: 1 \}\)\.masks;\n\[masks\[2\]\] = /);
  expect(await run(app, refined, ONE)).toEqual(await shown(page));
  await page.locator("#clear").click();

  // Stopped before its end: the first candidates, in their order.
  await page.locator("#points-per-side").selectOption("32");
  await page.locator("#everything").click();
  await expect.poll(() => masks.count(), { timeout: 60_000 }).toBeGreaterThan(2);
  await page.locator("#everything").click();
  await expect(page.locator("#everything")).toHaveText("Everything");
  expect(await run(app, await copied(page, "#copy-code"), ALL)).toEqual(await shown(page));
});

test("fal's code: points, a box with them, several boxes, everything", async ({ page, address }) => {
  const app = await openBoth(page, address);
  const falCode = async () => {
    await openTab(page, "fal");
    const code = await copied(page, "#fal-copy");
    expect(code).toBe(await page.locator("#fal-code").textContent());
    await openTab(page, "Masks");
    return code;
  };
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible();
  await mark(page, 0.3, 0.6, { button: "right" });
  expect(await run(app, await falCode(), FAL)).toEqual(await shown(page));

  await dragPhoto(page, [0.1, 0.2], [0.6, 0.7]);
  await expect(page.locator("#fal-code")).toContainText("box_prompt");
  await mark(page, 0.5, 0.6);
  const joint = await falCode();
  expect(joint).toContain('combine: "joint"');
  expect(await run(app, joint, FAL)).toEqual(await shown(page));

  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  await expect(page.locator("#mask-list button")).toHaveCount(2);
  expect(await run(app, await falCode(), FAL)).toEqual(await shown(page));

  // With fal's own overlap, the only one that its call has.
  await everything(page, "8");
  await expect(page.locator("#everything")).toHaveText("Everything", { timeout: 60_000 });
  await expect(page.locator("#fal-note")).toContainText("0.7");
  await page.locator("#clear").click();
  await page.locator("#most-overlap").fill("0.7");
  await page.locator("#everything").click();
  await expect(page.locator("#announce")).toHaveText(/^1 mask found\.$/, { timeout: 60_000 });
  // Random weights find the same thing everywhere; it is picked by itself.
  const all = await falCode();
  expect(all).toContain("points_per_side: 8");
  await expect(page.locator("#fal-note")).toBeHidden();
  expect(await run(app, all, FAL)).toEqual(await shown(page));

  // What fal's call cannot say is said.
  await page.locator("#refine").click();
  await mark(page, 0.4, 0.4);
  await openTab(page, "fal");
  await expect(page.locator("#fal-note")).toContainText("no mask prompts");
});
