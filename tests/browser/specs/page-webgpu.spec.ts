import { expect, test } from "../fixtures.ts";
import { clickPhoto, dragPhoto, everything, score } from "../page.ts";

// On a software adapter, which is slow: once through the tools, at a small size.
test("the page on WebGPU: every tool, and a lost GPU is got again", async ({ page, address, errors }) => {
  errors.expectError(/device was lost/);
  await page.goto(`${address}/page/?weights=../models/formula.safetensors&device=webgpu&size=256`);
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 120_000 });
  await expect(page.locator("#device-chip")).toHaveText("WebGPU (software)");
  await expect(page.locator("#machine-facts")).toContainText(/swiftshader.* \(software\)/i);
  await expect(page.locator("#machine-facts")).toContainText(/MB of WebAssembly.*browsers do not tell the GPU’s/);
  const facts = () => page.locator("#mask-facts").innerText();
  const changed = async (act: () => Promise<void>) => {
    const before = await facts();
    await act();
    await expect.poll(facts, { timeout: 30_000 }).not.toBe(before);
  };

  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toHaveText(/^[01]\.\d{3}$/, { timeout: 30_000 });
  await changed(() => clickPhoto(page, 0.3, 0.6, { button: "right" }));
  await changed(() => dragPhoto(page, [0.1, 0.2], [0.4, 0.5]));
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  const masks = page.locator("#mask-list button");
  await expect(masks).toHaveCount(2, { timeout: 30_000 });
  await masks.nth(1).click();
  await page.locator("#refine").click();
  await changed(() => clickPhoto(page, 0.7, 0.5));
  await page.locator("#refine").click();

  await everything(page);
  await expect(page.locator("#announce")).toHaveText(/^\d+ masks? found\.$/, { timeout: 120_000 });
  expect(await masks.count()).toBeGreaterThan(1);
  await page.locator("#clear").click();

  // A pixel of the photo that the engine is asked about again after its GPU is gone.
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toBeVisible({ timeout: 30_000 });
  const before = await facts();
  const session = await page.context().browser()!.newBrowserCDPSession();
  await session.send("Browser.crashGpuProcess");
  await session.detach();
  await clickPhoto(page, 0.6, 0.3);
  await expect(page.locator("#error")).toContainText("It is being started again.", { timeout: 30_000 });
  await expect(page.locator("#error")).toHaveAttribute("data-code", "device_lost");
  await expect(page.locator("#toast")).toHaveText(/started again/, { timeout: 120_000 });
  await page.locator("#clear").click();
  await clickPhoto(page, 0.45, 0.45);
  await expect.poll(facts, { timeout: 60_000 }).toBe(before);
  await expect(page.locator("#alert")).toBeHidden();
});
