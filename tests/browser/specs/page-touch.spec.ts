import type { CDPSession, Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { openPage, score } from "../page.ts";

test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });

type At = readonly [x: number, y: number];

/** Fingers on the glass, by the protocol: Playwright's own touchscreen can tap and no more. */
class Fingers {
  readonly #session: CDPSession;

  constructor(session: CDPSession) {
    this.#session = session;
  }

  async down(...fingers: At[]): Promise<void> {
    await this.#send("touchStart", fingers);
  }

  /** Down and up are sent together: on a busy machine half a second can pass before an answer, and that is a long press. */
  async tap(...at: At): Promise<void> {
    await Promise.all([this.#send("touchStart", [at]), this.#send("touchEnd", [])]);
  }

  /** Moves all of them, in steps, from where they are said to be. */
  async move(from: readonly At[], to: readonly At[], steps = 6): Promise<void> {
    const moves = Array.from({ length: steps }, (_, i) => (i + 1) / steps).map((part) =>
      this.#send("touchMove", from.map(([x, y], i) => [x + (to[i]![0] - x) * part, y + (to[i]![1] - y) * part])),
    );
    await Promise.all(moves);
  }

  /** And rests, as people do: what follows at once is taken for a part of the same gesture. */
  async up(): Promise<void> {
    await this.#send("touchEnd", []);
    await new Promise((resolve) => setTimeout(resolve, 350));
  }

  async #send(type: "touchStart" | "touchMove" | "touchEnd", fingers: readonly At[]): Promise<void> {
    await this.#session.send("Input.dispatchTouchEvent", { type, touchPoints: fingers.map(([x, y], id) => ({ x, y, id })) });
  }
}

/** The marks, as fal's call says them: in the photo's pixels. */
async function points(page: Page): Promise<number[][]> {
  const code = (await page.locator("#fal-code").textContent()) ?? "";
  return JSON.parse(/point_prompt: (.*),/.exec(code)?.[1] ?? "[]");
}

test("a phone: tap, long press, boxes, everything, pick, pinch and pan", async ({ page, address }) => {
  const fingers = new Fingers(await page.context().newCDPSession(page));
  await openPage(page, address, 64);
  const box = (await page.locator("#canvas").boundingBox())!;
  const at = (x: number, y: number): At => [box.x + box.width * x, box.y + box.height * y];
  const facts = () => page.locator("#mask-facts").innerText();

  // Buttons are clicked here: what makes a click of a tap is the browser's own, and gives up on a busy machine.
  // Every button can be hit by a thumb, and nothing sticks out.
  for (const button of await page.locator("button:visible, label.button:visible").all()) {
    const { width, height } = (await button.boundingBox())!;
    expect(Math.min(width, height), await button.innerText()).toBeGreaterThanOrEqual(32);
    expect(Math.max(width, height), await button.innerText()).toBeGreaterThanOrEqual(44);
  }
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);

  await fingers.tap(...at(0.5, 0.5));
  await expect(score(page)).toBeVisible();
  const one = await facts();
  // The finger rests: what is under it does not belong.
  await fingers.down(at(0.3, 0.4));
  await expect.poll(() => page.locator("#fal-code").textContent()).toContain("point_label: [1, 0]");
  await fingers.up();
  await expect.poll(facts).not.toBe(one);
  expect(await points(page)).toHaveLength(2);

  // A tap with the tool that excludes does so, too.
  await page.locator("#undo").click();
  await page.locator("#tool-exclude").click();
  await fingers.tap(...at(0.6, 0.6));
  await expect.poll(() => page.locator("#fal-code").textContent()).toContain("point_label: [1, 0]");
  await page.locator("#clear").click();

  // Two boxes, without a Shift key.
  await page.locator("#tool-boxes").click();
  for (const [from, to] of [[at(0.2, 0.3), at(0.45, 0.6)], [at(0.5, 0.4), at(0.8, 0.7)]] as const) {
    await Promise.all([fingers.down(from), fingers.move([from], [to])]);
    await fingers.up();
  }
  const masks = page.locator("#mask-list button");
  await expect(masks).toHaveCount(2);
  await masks.nth(1).click();
  await expect(masks.nth(1)).toHaveAttribute("aria-pressed", "true");
  await page.locator("#clear").click();
  await page.locator("#tool-add").click();

  // Two fingers apart, to twice their distance: the middle stays where it is.
  const [middle, left, right] = [at(0.5, 0.5), at(0.4, 0.5), at(0.6, 0.5)];
  await fingers.tap(...middle);
  await fingers.tap(...right);
  await expect.poll(() => points(page)).toHaveLength(2);
  const [[x0, y0], [x1]] = (await points(page)) as [[number, number], [number, number]];
  await page.locator("#clear").click();
  await fingers.down(left, right);
  await fingers.move([left, right], [at(0.3, 0.5), at(0.7, 0.5)]);
  await fingers.up();
  expect(await points(page)).toEqual([]);
  await fingers.tap(...middle);
  await fingers.tap(...at(0.7, 0.5));
  await expect.poll(() => points(page)).toHaveLength(2);
  const [[x2, y2], [x3]] = (await points(page)) as [[number, number], [number, number]];
  // Half a pixel of the screen is one of the photo's.
  expect(Math.abs(x2 - x0)).toBeLessThan(1.5);
  expect(Math.abs(y2 - y0)).toBeLessThan(1.5);
  expect(Math.abs(x3 - x1)).toBeLessThan(1.5);
  await page.locator("#clear").click();

  // Both fingers to the left: the photo goes with them.
  await fingers.down(middle, right);
  await fingers.move([middle, right], [at(0.4, 0.5), at(0.5, 0.5)]);
  await fingers.up();
  await fingers.tap(...at(0.4, 0.5));
  await expect.poll(() => points(page)).toHaveLength(1);
  expect(Math.abs((await points(page))[0]![0]! - x0)).toBeLessThan(1.5);

  await page.locator("#zoom-fit").click();
  await page.locator("#everything").click();
  await expect(page.locator("#mask-hint [data-mode=none]")).toBeVisible({ timeout: 60_000 });
  await expect(page.locator("#least-score")).toBeVisible();
});

test("a phone: an error comes into sight, and the photo has the whole width, upright or not", async ({ page, address }) => {
  await openPage(page, address, 64);
  await page.locator("#copy-install").scrollIntoViewIfNeeded();
  await page.locator("#photo-file").setInputFiles({ name: "notes.png", mimeType: "image/png", buffer: Buffer.from("no photo") });
  await expect(page.locator("#error")).toBeInViewport();
  for (const [width, height] of [[390, 844], [844, 390]] as const) {
    await page.setViewportSize({ width, height });
    const [view, stage] = await page.evaluate(() => [".view", "#stage"].map((selector) => document.querySelector(selector)!.clientWidth));
    expect(view).toBe(stage);
  }
});
