import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, dragPhoto, everything, openPage, saved, score } from "../page.ts";

/** A PNG's sides, its first colours and all its alphas, by the browser's own decoder. */
async function pixels(page: Page, png: Buffer): Promise<{ width: number; height: number; rgba: string[]; alphas: number[] }> {
  return page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const kinds = new Set<string>();
    const alphas = new Set<number>();
    for (let i = 0; i < data.length; i += 4) {
      if (kinds.size < 50) kinds.add(String(data.slice(i, i + 4)));
      alphas.add(data[i + 3]!);
    }
    return { width: bitmap.width, height: bitmap.height, rgba: [...kinds].sort(), alphas: [...alphas].sort((a, b) => a - b) };
  }, png.toString("base64"));
}

test("a mask that was refined stays as other boxes come and go", async ({ page, address }) => {
  await openPage(page, address, 64);
  const masks = page.locator("#mask-list button");
  const facts = () => page.locator("#mask-facts").innerText();
  await dragPhoto(page, [0.1, 0.2], [0.4, 0.5]);
  await expect(score(page)).toBeVisible();
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  await expect(masks).toHaveCount(2);
  await masks.nth(1).click();
  const found = await facts();
  await page.locator("#refine").click();
  await clickPhoto(page, 0.6, 0.4);
  await expect.poll(facts).not.toBe(found);
  await page.locator("#refine").click();
  const refined = await facts();
  await dragPhoto(page, [0.3, 0.6], [0.6, 0.9], "Shift");
  await expect(masks).toHaveCount(3);
  expect(await facts()).toBe(refined);
  await page.locator("#undo").click();
  await expect(masks).toHaveCount(2);
  expect(await facts()).toBe(refined);
});

test("several boxes are a batch, of which a click picks one; all of it can be saved and copied", async ({ page, address }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await openPage(page, address, 64);
  await dragPhoto(page, [0.1, 0.2], [0.4, 0.5]);
  await expect(score(page)).toBeVisible();
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  const masks = page.locator("#mask-list button");
  await expect(masks).toHaveCount(2);
  await expect(page.locator("#mask-facts")).toBeHidden();

  const coco = JSON.parse((await saved(page, "#save-coco")).bytes.toString("utf8"));
  expect(coco.annotations).toHaveLength(2);
  expect(coco.images[0]).toMatchObject({ width: 600, height: 400 });
  expect(coco.annotations[0].segmentation).toMatchObject({ size: [400, 600], counts: expect.any(String) });
  const svg = (await saved(page, "#save-svg")).bytes.toString("utf8");
  expect(svg.match(/<path fill="hsl\(/g)).toHaveLength(2);
  expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 600 400"/);

  const mask = await pixels(page, (await saved(page, "#save-mask")).bytes);
  expect(mask).toMatchObject({ width: 600, height: 400 });
  expect(mask.rgba).toEqual(["0,0,0,255", "255,255,255,255"]);
  const cutout = await saved(page, "#save-cutout");
  expect(cutout.name).toBe("A cup of coffee-cutout.png");
  const cut = await pixels(page, cutout.bytes);
  expect(cut.alphas).toEqual([0, 255]);
  const overlay = await pixels(page, (await saved(page, "#save-overlay")).bytes);
  expect(overlay.alphas).toEqual([255]);

  await masks.nth(1).click();
  await page.locator("#copy-code").click();
  await expect(page.locator("#announce")).toHaveText("The code is in the clipboard.");
  const code = await page.evaluate(() => navigator.clipboard.readText());
  expect(code).toContain(`const sam = await TinySam.load({ weights: "${address}/models/formula.safetensors", device: "cpu", size: 64 });`);
  expect(code).toMatch(/const masks = await image\.segment\({ boxes: \[\[[\d., ]+\], \[[\d., ]+\]\] }\);\nconst mask = masks\[1\];/);
  await page.locator("#copy-cutout").click();
  await expect(page.locator("#announce")).toHaveText("The cut-out is in the clipboard.");
  expect(await page.evaluate(async () => (await navigator.clipboard.read())[0]!.types)).toContain("image/png");

  await page.locator("#undo").click();
  await expect(page.locator("#mask-list")).toBeHidden();
  await expect(score(page)).toBeVisible();
});

test("everything is undone and done again, with its masks", async ({ page, address }) => {
  await openPage(page, address, 64);
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible();
  const one = await page.locator("#mask-facts").innerText();
  await everything(page);
  await expect(page.locator("#announce")).toHaveText(/^\d+ masks found\.$/, { timeout: 60_000 });
  const masks = page.locator("#mask-list button");
  const titles = () => masks.evaluateAll((buttons) => buttons.map((button) => (button as HTMLElement).title));
  const found = await titles();
  expect(found.length).toBeGreaterThan(2);

  await page.locator("#undo").click();
  await expect.poll(() => page.locator("#mask-facts").innerText()).toBe(one);
  await expect(page.locator("#mask-list")).toBeHidden();
  // They were kept: no run begins.
  await page.evaluate(() => {
    const { postMessage } = Worker.prototype;
    Object.assign(globalThis, { runs: 0 });
    Object.assign(Worker.prototype, {
      postMessage(this: Worker, message: { name?: string }, ...rest: unknown[]) {
        if (message.name === "everything") (globalThis as unknown as { runs: number }).runs += 1;
        Reflect.apply(postMessage, this, [message, ...rest]);
      },
    });
  });
  const runs = () => page.evaluate(() => (globalThis as unknown as { runs: number }).runs);
  await page.locator("#redo").click();
  await expect.poll(titles).toEqual(found);
  await page.locator("#clear").click();
  await expect(page.locator("#mask-list")).toBeHidden();
  await page.locator("#undo").click();
  await expect.poll(titles).toEqual(found);
  await masks.nth(1).click();
  await expect(score(page)).toBeVisible();
  expect(await runs()).toBe(0);

  // A second run takes the place of the first, of which it is known how it was made.
  await page.locator("#most-overlap").fill("0.7");
  await page.locator("#everything").click();
  await expect(page.locator("#everything")).toHaveText("Stop");
  await expect(page.locator("#everything")).toHaveText("Everything", { timeout: 60_000 });
  await page.locator("#undo").click();
  await expect.poll(titles, { timeout: 60_000 }).toEqual(found);
  expect(await runs()).toBe(2);

  // A run that still goes on.
  await page.locator("#redo").click();
  await expect(page.locator("#everything")).toHaveText("Stop");
  await page.locator("#undo").click();
  await expect.poll(titles).toEqual(found);
  await page.locator("#undo").click();
  await expect.poll(() => page.locator("#mask-facts").innerText()).toBe(one);
  await page.locator("#undo").click();
  await expect(page.locator("#mask-facts")).toBeHidden();
});

test("what is excluded alone is of nothing, and the page says what to do", async ({ page, address }) => {
  await openPage(page, address, 64);
  await page.locator("#tool-exclude").click();
  await clickPhoto(page, 0.5, 0.5);
  await expect(page.locator("#toast")).toHaveText("Exclude takes away from a mask: first click what belongs to the object, or drag a box around it.");
  await expect(page.locator("#undo")).toBeDisabled();
  await page.locator("#tool-add").click();
  await clickPhoto(page, 0.5, 0.5, { button: "right" });
  await expect(page.locator("#undo")).toBeDisabled();
  // Of a box, and of a mask that is refined, something can be taken away.
  await dragPhoto(page, [0.2, 0.2], [0.7, 0.7]);
  await expect(score(page)).toBeVisible();
  await clickPhoto(page, 0.3, 0.3, { button: "right" });
  await expect(page.locator("#fal-code")).toContainText("point_label: [0]");
  // Beside all masks a click picks none.
  await page.locator("#clear").click();
  await dragPhoto(page, [0.1, 0.2], [0.3, 0.4]);
  await dragPhoto(page, [0.5, 0.3], [0.7, 0.5], "Shift");
  await expect(page.locator("#mask-list button")).toHaveCount(2);
});

test("another size needs no other engine, and the masks are asked for again", async ({ page, address }) => {
  await openPage(page, address, 64);
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible();
  const one = await page.locator("#mask-facts").innerText();
  const asked: string[] = [];
  // What the service worker keeps for a day without a network is not asked for by the engine.
  page.context().on("request", (request) => request.serviceWorker() === null && asked.push(request.url()));
  const workers: unknown[] = [];
  page.on("worker", (worker) => workers.push(worker));
  await page.locator("#model-tab").click();
  await page.locator("#size").selectOption("256");
  await expect(page.locator("#status")).toContainText("size 256", { timeout: 60_000 });
  await page.locator("#mask-tab").click();
  await expect.poll(async () => (await page.locator("#mask-facts").innerText()) || one).not.toBe(one);
  expect([asked, workers]).toEqual([[], []]);
});

test("the mask under a resting pointer is shown before the click, unless that is switched off", async ({ page, address }) => {
  await openPage(page, address, 64);
  const canvas = page.locator("#canvas");
  const box = (await canvas.boundingBox())!;
  const rest = async () => page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 5 });
  // What comes by itself goes as soon as a pointer has been there.
  const shown = await canvas.screenshot();
  await page.mouse.move(box.x + box.width / 2, box.y - 20);
  await canvas.dispatchEvent("pointerleave");
  await expect.poll(async () => (await canvas.screenshot()).equals(shown)).toBe(false);
  const bare = await canvas.screenshot();
  await rest();
  await expect.poll(async () => (await canvas.screenshot()).equals(bare)).toBe(false);
  await expect(score(page)).toBeHidden();
  await page.mouse.move(box.x + box.width / 2, box.y - 20);
  await expect.poll(async () => (await canvas.screenshot()).equals(bare)).toBe(true);

  await page.locator("#hover-preview").uncheck();
  await rest();
  await page.waitForTimeout(500);
  expect((await canvas.screenshot()).equals(bare)).toBe(true);
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});
