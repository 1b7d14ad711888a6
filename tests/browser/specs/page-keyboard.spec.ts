import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { openPage, score } from "../page.ts";

/** Goes to an element as people without a pointer do. */
async function tabTo(page: Page, id: string): Promise<void> {
  for (let i = 0; i < 80; i++) {
    if (await page.evaluate((id) => document.activeElement?.id === id, id)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab never came to #${id}`);
}

test("a box that is half drawn ends with Escape, and with another photo; masks stay", async ({ page, address }) => {
  await openPage(page, address, 64);
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await page.locator("#canvas").focus();
  await press("ArrowLeft", "Enter");
  await expect(score(page)).toBeVisible();
  await press("b", "Shift+ArrowRight", "Escape");
  await expect(score(page)).toBeVisible();
  // In an alphabet of its own the key for undo is the one at its place.
  await page.locator("#canvas").dispatchEvent("keydown", { key: "я", code: "KeyZ", ctrlKey: true, bubbles: true });
  await expect(page.locator("#mask-facts")).toBeHidden();
  await expect(page.locator("#redo")).toBeEnabled();
});

test("every tool by the keyboard alone, and what is found is said", async ({ page, address }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await openPage(page, address, 64);
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const facts = () => page.locator("#mask-facts").innerText();
  const said = page.locator("#announce");
  const masks = page.locator("#mask-list button");
  await expect(said).toHaveText("The photo is encoded. Click on it.");

  // A point, one that excludes, undo and redo, on the photo itself.
  await tabTo(page, "canvas");
  await expect(page.locator(".keys")).toBeVisible();
  await press("ArrowLeft", "Enter");
  await expect(score(page)).toBeVisible();
  await expect(said).toHaveText(/^Mask found: score -?\d\.\d\d, \d+ percent of the photo\.$/);
  const one = await facts();
  await press("Shift+ArrowDown", "Alt+Enter");
  await expect.poll(facts).not.toBe(one);
  const two = await facts();
  await press("Control+z");
  await expect.poll(facts).toBe(one);
  await press("Control+y");
  await expect.poll(facts).toBe(two);
  await press("Escape");
  await expect(page.locator("#mask-facts")).toBeHidden();

  // The same by the tools' buttons. What is excluded alone is of nothing.
  await tabTo(page, "tool-exclude");
  await press("Space");
  await tabTo(page, "canvas");
  await press("Enter");
  await expect(said).toHaveText(/^Exclude takes away from a mask: first click/);
  await expect(page.locator("#undo")).toBeEnabled();
  await expect(page.locator("#fal-code")).not.toContainText("point_label");
  await tabTo(page, "tool-add");
  await press("Enter");
  await tabTo(page, "canvas");
  await press("Enter");
  await tabTo(page, "tool-exclude");
  await press("Space");
  await tabTo(page, "canvas");
  await press("Shift+ArrowUp", "Enter");
  await expect(page.locator("#fal-code")).toContainText("point_label: [1, 0]");
  await press("Escape");
  await tabTo(page, "tool-add");
  await press("Enter");
  await expect(page.locator("#tool-add")).toHaveAttribute("aria-pressed", "true");

  // A box, and one more; one of the masks picked in the list, and refined in the photo.
  await tabTo(page, "canvas");
  await press("b");
  await expect(said).toHaveText("Box started: move to the opposite corner and press B.");
  await press("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown", "b");
  await expect(score(page)).toBeVisible();
  await press("Shift+ArrowLeft", "b", "Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowUp", "Shift+ArrowUp", "Shift+b");
  await expect(masks).toHaveCount(2);
  await tabTo(page, "mask-tab");
  await press("Tab", "ArrowRight", "Enter");
  await expect(masks.nth(1)).toBeFocused();
  await expect(masks.nth(1)).toHaveAttribute("aria-pressed", "true");
  const picked = await facts();
  await tabTo(page, "canvas");
  await press("r", "ArrowRight", "Enter");
  await expect.poll(facts).not.toBe(picked);
  await press("r");
  await expect(page.locator("#refine")).toHaveText("Refine");
  await tabTo(page, "copy-code");
  await press("Enter");
  await expect(said).toHaveText("The code is in the clipboard.");
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("masks[1].refine(");

  // Everything, with settings of one's own.
  await tabTo(page, "everything-summary");
  await press("Enter");
  await tabTo(page, "points-per-side");
  await press("8");
  for (const [id, value] of [["least-score", "0"], ["least-stability", "0"], ["most-overlap", "1"]] as const) {
    await tabTo(page, id);
    await page.keyboard.type(value);
  }
  await tabTo(page, "canvas");
  await press("e");
  await expect(said).toHaveText(/^\d+ masks found\.$/, { timeout: 60_000 });
  expect(await masks.count()).toBeGreaterThan(2);
  await press("Escape");
  await expect(page.locator("#mask-list")).toBeHidden();

  // fal's call, and the machine.
  await tabTo(page, "mask-tab");
  await press("ArrowRight");
  await expect(page.getByRole("tab", { name: "fal" })).toBeFocused();
  await expect(page.locator("#mask-panel")).toBeHidden();
  await press("ArrowRight");
  await tabTo(page, "benchmark");
  await press("Enter");
  await expect(said).toHaveText("The benchmark is done.", { timeout: 60_000 });

  // Nothing without a name.
  const tree = await page.locator("body").ariaSnapshot();
  expect(tree).not.toMatch(/^\s*- (button|textbox|combobox|checkbox|tab|link)(:| \[|$)/m);
});
