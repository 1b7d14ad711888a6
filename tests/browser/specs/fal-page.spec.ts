import { expect, test } from "../fixtures.ts";

test("the page's fal tab shows the request of the marks, and runs it", async ({ page, address }) => {
  const elsewhere: string[] = [];
  page.context().on("request", (request) => {
    if (!request.url().startsWith(address) && !/^(blob|data):/.test(request.url())) elsewhere.push(request.url());
  });
  await page.goto(`${address}/page/?weights=../models/formula.safetensors&device=cpu&size=256`);
  await expect(page.locator("#machine-facts")).toContainText("Encode", { timeout: 60_000 });
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.locator("#canvas").click({ position: { x: box.width * 0.45, y: box.height * 0.45 } });

  await page.getByRole("tab", { name: "Mask" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "fal" })).toBeFocused();
  await expect(page.locator("#mask-panel")).toBeHidden();
  await expect(page.locator("#fal-code")).toHaveText(/size: 256,\s+point_prompt: \[\[\d+,\d+\]\],\s+point_label: \[1\],/);

  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.locator("#fal-status")).toHaveText(/^\d+ × \d+, \d+ kB, in [\d.]+ s \(request tinysam-/, { timeout: 60_000 });
  await expect(page.locator("#fal-picture")).toBeVisible();
  expect(await page.locator("#fal-picture").evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  expect(await page.locator("#fal-log li").allInnerTexts()).toEqual(expect.arrayContaining([expect.stringMatching(/^running on cpu: /)]));

  await page.locator("#clear").click();
  await expect(page.locator("#fal-code")).not.toContainText("point_prompt");
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.locator("#fal-status")).toHaveText("Stopped.");
  expect(elsewhere).toEqual([]);
});
