import { expect, test } from "../fixtures.ts";
import { clickPhoto, openPage, openTab, score } from "../page.ts";

// Each error in words with the next step, and the page goes on. A photo that its host forbids is in page-photo.spec.ts,
// a checkpoint that is none in page.spec.ts, one that cannot be had in page-first.spec.ts, a lost GPU in page-webgpu.spec.ts.

test("an engine that dies is started again, and the page says so", async ({ page, address, errors }) => {
  errors.expectError(/the end of this worker/);
  await openPage(page, address, 64);
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
  const before = await page.locator("#mask-facts").innerText();
  await page.evaluate(() => {
    const said: string[] = [];
    Object.assign(globalThis, { said });
    const line = document.getElementById("error")!;
    new MutationObserver(() => said.push(line.textContent ?? "")).observe(line, { childList: true });
  });
  await page.workers()[0]!.evaluate(() => {
    setTimeout(() => {
      throw new Error("the end of this worker");
    });
  });
  await clickPhoto(page, 0.3, 0.3);
  await expect(page.locator("#toast")).toHaveText("The engine was started again, and the photo is encoded.", { timeout: 60_000 });
  expect(await page.evaluate(() => (globalThis as unknown as { said: string[] }).said)).toContainEqual(
    expect.stringMatching(/crashed .*the end of this worker.*It is being started again\.$/),
  );
  await expect(page.locator("#alert")).toBeHidden();
  // The marks stayed.
  await expect(score(page)).toBeVisible();
  await page.locator("#undo").click();
  await expect.poll(() => page.locator("#mask-facts").innerText()).toBe(before);
});

test("no memory, no WebGPU: what to do next, and it works when it is done", async ({ page, address }) => {
  await openPage(page, address, 64);
  // What a browser says that has no room for the pixels.
  await page.workers()[0]!.evaluate(() => {
    const prototype = OffscreenCanvasRenderingContext2D.prototype;
    const { getImageData } = prototype;
    prototype.getImageData = () => {
      prototype.getImageData = getImageData;
      throw new RangeError("Out of memory at ImageData creation");
    };
  });
  await page.locator("#samples button").nth(1).click();
  await expect(page.locator("#error")).toHaveAttribute("data-code", "out_of_memory");
  await expect(page.locator("#error")).toContainText("Choose a smaller size under “Model”, open a smaller photo, or close other tabs.");
  await page.locator("#error-close").click();
  await expect(page.locator("#error")).toBeHidden();
  await page.locator("#samples button").nth(2).click();
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();

  await openTab(page, "Model");
  await page.locator("#device").selectOption("webgpu");
  await expect(page.locator("#error")).toHaveAttribute("data-code", "device_unavailable");
  await expect(page.locator("#error")).toContainText(/no (WebGPU|adapter).*Choose another device under “Model”\./);
  await page.locator("#device").selectOption("auto");
  await expect(page.locator("#error")).toBeHidden();
  await expect(page.locator("#machine-facts")).toContainText("so the CPU is used", { timeout: 60_000 });
  await openTab(page, "Masks");
  await clickPhoto(page, 0.5, 0.5);
  await expect(score(page)).toBeVisible();
});

test("the machine is measured, and the result can be pasted", async ({ page, address }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await openPage(page, address, 64);
  await openTab(page, "Model");
  await page.locator("#benchmark-everything").check();
  await page.locator("#benchmark").click();
  await expect(page.locator("#busy")).toContainText("Benchmark: ");
  await expect(page.locator("#benchmark-copy")).toBeVisible({ timeout: 60_000 });
  await page.locator("#benchmark-copy").click();
  await expect(page.locator("#announce")).toHaveText("The result is in the clipboard.");
  const table = await page.evaluate(() => navigator.clipboard.readText());
  const rows = new Map(table.trim().split("\n").slice(2).map((line) => [line.split(" | ")[0]!.slice(2), line.split(" | ")[1]!.slice(0, -2)]));
  expect(table).toMatch(/^\| \| \|\n\|---\|---\|\n/);
  const time = String.raw`(\d+ ms|[\d.]+ s)`;
  for (const [name, words] of Object.entries({
    Version: /^tinysam \d+\.\d+\.\d+$/,
    Device: /^CPU: the CPU was asked for$/,
    Computes: /^relaxed SIMD on (one worker|\d workers)$/,
    Checkpoint: /^formula\.safetensors, SHA-256 [0-9a-f]{12}…$/,
    Photo: /^600 × 400$/,
    Size: /^64$/,
    Load: new RegExp(`^${time} \\(.*prepare ${time}`),
    Encode: new RegExp(`^${time}, median of 3 \\(${time} to ${time}\\)$`),
    "Decode one point": new RegExp(`^${time}, median of 7 \\(`),
    Everything: new RegExp(`^${time}, 16 points a side, \\d+ masks?$`),
    Memory: /^[\d.]+ MB of WebAssembly, [\d.]+ MB of JavaScript$/,
    Machine: /^\d+ threads, /,
    Browser: /Chrome/,
  })) {
    expect(rows.get(name), name).toMatch(words);
  }
  expect(rows.size).toBe(13);

  // Another photo stops it.
  await page.locator("#benchmark").click();
  await expect(page.locator("#benchmark")).toHaveText("Stop");
  await page.locator("#samples button").nth(1).click();
  await expect(page.locator("#benchmark")).toHaveText("Benchmark");
  await expect(page.locator("#benchmark")).toBeEnabled();
  await expect(page.locator("#alert")).toBeHidden();
});
