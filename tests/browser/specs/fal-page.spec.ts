import { expect, test } from "../fixtures.ts";
import { clickPhoto, dragPhoto, openPage, openTab } from "../page.ts";

test("the page's fal tab shows the request of the marks, and runs it, with word of how it goes", async ({ page, address }) => {
  const elsewhere: string[] = [];
  page.context().on("request", (request) => {
    if (!request.url().startsWith(address) && !/^(blob|data):/.test(request.url())) elsewhere.push(request.url());
  });
  await openPage(page, address);
  await clickPhoto(page, 0.45, 0.45);

  await page.getByRole("tab", { name: "Masks" }).focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("tab", { name: "fal" })).toBeFocused();
  await expect(page.locator("#mask-panel")).toBeHidden();
  const code = page.locator("#fal-code");
  await expect(code).toHaveText(/size: 256,\s+point_prompt: \[\[[\d.]+, [\d.]+\]\],\s+point_label: \[1\],/);

  const status = page.locator("#fal-status");
  // Every state that it shows, as it shows it.
  await status.evaluate((line) => {
    const states: string[] = [];
    Object.assign(globalThis, { states });
    new MutationObserver(() => states.push(line.textContent ?? "")).observe(line, { childList: true });
  });
  await page.locator("#fal-run").click();
  await expect(status).toHaveText(/^1 mask on 600 × 400, \d+ kB, in [\d.]+ s$/, { timeout: 60_000 });
  expect(await page.evaluate(() => (globalThis as unknown as { states: string[] }).states)).toEqual(
    expect.arrayContaining([expect.stringMatching(/IN_PROGRESS$/), expect.stringMatching(/IN_PROGRESS → COMPLETED$/)]),
  );
  await expect(page.locator("#fal-picture")).toBeVisible();
  expect(await page.locator("#fal-picture").evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(600);
  const log = await page.locator("#fal-log li").allInnerTexts();
  const order = [/IN_PROGRESS$/, /running on cpu: /, /loading the model$/, /COMPLETED$/, /request 74696e79-/].map((words) => log.findIndex((line) => words.test(line)));
  expect(order).not.toContain(-1);
  expect(order).toEqual([...order].sort((a, b) => a - b));

  // Two boxes at once.
  await dragPhoto(page, [0.1, 0.2], [0.4, 0.5]);
  await dragPhoto(page, [0.5, 0.3], [0.9, 0.8], "Shift");
  await expect(code).toHaveText(/box_prompt: \[\[[\d., ]+\], \[[\d., ]+\]\]/);
  await page.locator("#fal-run").click();
  await expect(status).toHaveText(/^2 masks on 600 × 400/, { timeout: 60_000 });

  // Without marks everything, which takes long enough to be stopped.
  await page.locator("#clear").click();
  await expect(code).not.toContainText(/point_prompt|box_prompt/);
  await page.locator("#fal-run").click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(status).toHaveText("Stopped.");
  await openTab(page, "Masks");
  await page.locator(".more summary").click();
  await page.locator("#points-per-side").selectOption("8");
  await page.locator("#least-score").fill("0");
  await page.locator("#least-stability").fill("0");
  await openTab(page, "fal");
  await expect(code).toHaveText(/points_per_side: 8,\s+pred_iou_thresh: 0,\s+stability_score_thresh: 0/);
  await page.locator("#fal-run").click();
  await expect(status).toHaveText(/^\d+ masks? on 600 × 400/, { timeout: 60_000 });
  expect(elsewhere).toEqual([]);
});
