import { readFileSync } from "node:fs";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage, score } from "../page.ts";

test("click, exclude, box, undo, clear, save", async ({ page, address }) => {
  await openPage(page, address);
  await expect(page.locator("#device-chip")).toHaveText("CPU");
  await expect(page.locator("#machine-facts")).toContainText("the CPU was asked for");
  await expect(page.locator("#machine-facts")).toContainText(/Load.*prepare.*Memory.*MB of WebAssembly/s);
  await expect(page.locator("#checkpoint-note")).toContainText("formula.safetensors");
  await expect(page.locator("#status")).toContainText(/formula\.safetensors \(random: .*\) · CPU · size 256 · encode/);

  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toHaveText(/^[01]\.\d{3}$/);
  const one = await page.locator("#mask-facts").innerText();
  await expect(page.locator("#machine-facts")).toContainText("Decode");

  await clickPhoto(page, 0.3, 0.6, { button: "right" });
  await expect(page.locator("#mask-facts")).not.toHaveText(one);
  await clickPhoto(page, 0.6, 0.3, { modifiers: ["Alt"] });
  await page.locator("#undo").click();
  await page.locator("#undo").click();
  await expect.poll(() => page.locator("#mask-facts").innerText()).toBe(one);

  const saving = page.waitForEvent("download");
  await page.locator("#save-mask").click();
  const file = readFileSync(await (await saving).path());
  expect([...file.subarray(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);

  const stage = (await page.locator("#canvas").boundingBox())!;
  await page.mouse.move(stage.x + stage.width * 0.3, stage.y + stage.height * 0.35);
  await page.mouse.down();
  await page.mouse.move(stage.x + stage.width * 0.6, stage.y + stage.height * 0.6, { steps: 4 });
  await page.mouse.up();
  await expect.poll(() => page.locator("#mask-facts").innerText()).not.toBe(one);
  await page.locator("#clear").click();
  await expect(page.locator("#mask-facts")).toBeHidden();
});

test("a photo and a checkpoint of one's own, and what is neither", async ({ page, address }) => {
  await openPage(page, address);
  await page.locator("#photo-file").setInputFiles({ name: "notes.png", mimeType: "image/png", buffer: Buffer.from("no photo") });
  await expect(page.locator("#error")).toContainText("notes.png");

  const chelsea = await (await fetch(`${address}/photos/chelsea.png`)).arrayBuffer();
  await page.locator("#photo-file").setInputFiles({ name: "cat.png", mimeType: "image/png", buffer: Buffer.from(chelsea) });
  await expect(page.locator("#error")).toBeHidden();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();

  await page.locator("#checkpoint-file").setInputFiles({ name: "broken.pth", mimeType: "", buffer: Buffer.from("PK, but no more") });
  await expect(page.locator("#error")).toHaveAttribute("data-code", /^checkpoint_/);
  const formula = await (await fetch(`${address}/models/formula.safetensors`)).arrayBuffer();
  await page.locator("#checkpoint-file").setInputFiles({ name: "mine.safetensors", mimeType: "", buffer: Buffer.from(formula) });
  await expect(page.locator("#checkpoint-note")).toContainText("a file of yours");
  await expect(page.locator("#error")).toBeHidden();
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });
});

test("loading is honest about bytes, and a click before its end is not lost", async ({ page, address, errors }) => {
  errors.expectError(/ERR_/);
  // Half of the weights come, and then next to no more: silence would be an error after ten seconds.
  await page.goto(`${address}/page/?weights=../faulty/trickle/models/formula.safetensors&device=cpu&size=64`);
  const { size } = await (await fetch(`${address}/models/formula.safetensors`)).blob();
  await expect(page.locator("#busy-text")).toHaveText(/^Downloading the weights: [\d.]+ of [\d.]+ MB(, [\d.]+ MB\/s)?$/, { timeout: 30_000 });
  const part = async () => {
    const [, loaded, total] = /: ([\d.]+) of ([\d.]+) MB/.exec((await page.locator("#busy-text").textContent()) ?? "") ?? [];
    expect(Number(total)).toBeCloseTo(size / 1e6, 1);
    return Number(loaded) / Number(total);
  };
  await expect.poll(part).toBeCloseTo(0.5, 1);
  await expect.poll(() => page.locator("#progress").evaluate((bar: HTMLProgressElement) => bar.value)).toBeCloseTo(0.5, 1);
  await expect(page.locator("#progress")).toBeVisible();
  await expect(page.locator("#everything")).toBeDisabled();
  await clickPhoto(page, 0.45, 0.45);
  await expect(page.locator("#clear")).toBeEnabled();

  await page.locator("#model-tab").click();
  const formula = await (await fetch(`${address}/models/formula.safetensors`)).arrayBuffer();
  await page.locator("#checkpoint-file").setInputFiles({ name: "mine.safetensors", mimeType: "", buffer: Buffer.from(formula) });
  await page.locator("#mask-tab").click();
  await expect(score(page)).toBeVisible({ timeout: 60_000 });
});
