import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect } from "./fixtures.ts";

/** The page on the CPU, small and with the test weights, ready for a click. */
export async function openPage(page: Page, address: string, size = 256): Promise<void> {
  await page.goto(`${address}/page/?weights=../models/formula.safetensors&device=cpu&size=${size}`);
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });
}

/** Clicks on the stage at a part of its width and height. */
export async function clickPhoto(page: Page, x: number, y: number, options: { button?: "right"; modifiers?: ["Alt" | "Control"] } = {}): Promise<void> {
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.locator("#canvas").click({ position: { x: box.width * x, y: box.height * y }, ...options });
}

/** Drags over the stage, from and to parts of its width and height. */
export async function dragPhoto(page: Page, from: readonly [number, number], to: readonly [number, number], key?: "Shift"): Promise<void> {
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.mouse.move(box.x + box.width * from[0], box.y + box.height * from[1]);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * to[0], box.y + box.height * to[1], { steps: 4 });
  if (key !== undefined) await page.keyboard.down(key);
  await page.mouse.up();
  if (key !== undefined) await page.keyboard.up(key);
}

/** The picked mask's score. */
export const score = (page: Page) => page.locator("#mask-facts dd").first();

/** Everything mode with thresholds that random weights pass. */
export async function everything(page: Page, grid = "8"): Promise<void> {
  await page.locator(".more summary").click();
  await page.locator("#points-per-side").selectOption(grid);
  await page.locator("#least-score").fill("0");
  await page.locator("#least-stability").fill("0");
  await page.locator("#most-overlap").fill("1");
  await page.locator("#everything").click();
}

/** Opens a tab of the panel. */
export async function openTab(page: Page, name: "Masks" | "fal" | "Model"): Promise<void> {
  await page.getByRole("tab", { name }).click();
}

/** What code the page copies, by this button. */
export async function copied(page: Page, button: string): Promise<string> {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await page.locator(button).click();
  await expect(page.locator("#toast")).toBeVisible();
  let text = "";
  await expect.poll(async () => (text = await page.evaluate(() => navigator.clipboard.readText()))).not.toBe("");
  return text;
}

/** What a button hands to the user. */
export async function saved(page: Page, id: string): Promise<{ name: string; bytes: Buffer }> {
  const saving = page.waitForEvent("download");
  await page.locator(id).click();
  const download = await saving;
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}
