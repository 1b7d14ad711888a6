import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { openPage } from "../page.ts";

/** A page whose own thread encodes or decodes waits for the whole of it; here a frame may take this part of an encode. */
const OF_AN_ENCODE = 1 / 8;

/** Notes how long each interaction takes to the frame after it, each mask to the frame that shows it, and each decode. */
async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const seen = { frames: [] as { type: string; ms: number; encoding: boolean }[], masks: [] as number[], decodes: [] as number[], encodes: [] as number[], shifts: [] as { value: number; input: boolean }[] };
    Object.assign(globalThis, { seen });
    const drawn = (then: () => void) =>
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = then;
        port2.postMessage(undefined);
      });
    // From the request's way to the worker to its answer.
    const asked = new Map<number, { times: number[]; begun: number }>();
    const heard = new WeakSet<Worker>();
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (this: Worker, message: { id?: number; name?: string }, transfer: never) {
      if (!heard.has(this)) this.addEventListener("message", ({ data }) => {
        const request = "value" in data ? asked.get(data.id) : undefined;
        request?.times.push(performance.now() - request.begun);
        asked.delete(data.id);
      });
      heard.add(this);
      const times = { embed: seen.encodes, segment: seen.decodes }[message.name ?? ""];
      if (times) asked.set(message.id!, { times, begun: performance.now() });
      post.call(this, message, transfer);
    };
    let clicked = 0;
    for (const type of ["pointerdown", "pointermove", "pointerup", "wheel", "keydown", "click"]) {
      const note = (event: Event) => {
        if (type === "pointerup") clicked = event.timeStamp;
        const encoding = /Encoding/.test(document.getElementById("busy")?.textContent ?? "");
        drawn(() => seen.frames.push({ type, ms: performance.now() - event.timeStamp, encoding }));
      };
      addEventListener(type, note, { capture: true, passive: true });
    }
    addEventListener("DOMContentLoaded", () =>
      new MutationObserver(() => drawn(() => seen.masks.push(performance.now() - clicked))).observe(document.getElementById("mask-facts")!, { childList: true }),
    );
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        seen.shifts.push({ value: entry.value, input: entry.hadRecentInput });
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
}

interface Seen {
  frames: { type: string; ms: number; encoding: boolean }[];
  masks: number[];
  decodes: number[];
  encodes: number[];
  shifts: { value: number; input: boolean }[];
}

const seen = (page: Page) => page.evaluate(() => (globalThis as unknown as { seen: Seen }).seen);

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** Clicks where the pointer is; until the mask is there. */
async function click(page: Page): Promise<void> {
  await page.mouse.down();
  await page.mouse.up();
  await page.locator("#mask-facts").waitFor();
}

async function clear(page: Page): Promise<void> {
  await page.keyboard.press("Escape");
  await page.locator("#mask-facts").waitFor({ state: "hidden" });
}

test("the page answers while the worker encodes, draws masks at once, and does not jump", async ({ page, address }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await watch(page);
  // Masks as smooth as those of photos: random weights make ones of ten thousand corners, which take long to draw.
  await page.goto(`${address}/page/?weights=./models/tinysam-photos.safetensors&device=cpu&size=1024`);
  await expect(page.locator("#busy")).toContainText("Encoding", { timeout: 60_000 });
  await page.locator("#hover-preview").uncheck();
  const box = (await page.locator("#canvas").boundingBox())!;
  const at = (x: number, y: number) => [box.x + box.width * x, box.y + box.height * y] as const;

  // As much as goes into one encode: pointing, zooming, dragging, keys, tools.
  for (let i = 0; i < 40 && (await page.locator("#busy").isVisible()); i++) {
    await page.mouse.move(...at(0.3 + 0.01 * i, 0.5));
    await page.mouse.wheel(0, i % 2 === 0 ? -240 : 240);
    await page.locator(i % 2 === 0 ? "#tool-boxes" : "#tool-add").click();
    await page.locator("#canvas").focus();
    await page.keyboard.press("ArrowLeft");
  }
  const { frames } = await seen(page);
  const busy = frames.filter(({ encoding }) => encoding).map(({ ms }) => ms).sort((a, b) => a - b);
  expect(busy.length).toBeGreaterThan(20);
  const late = busy[Math.floor(0.95 * busy.length)] ?? NaN;
  await expect(page.locator("#busy")).toBeHidden({ timeout: 60_000 });
  const encode = (await seen(page)).encodes[0] ?? NaN;
  await page.locator("#zoom-fit").click();
  await page.locator("#tool-add").click();

  // A click, from the finger's rise to the frame that shows the mask; after it the pointer goes elsewhere.
  await page.locator("#canvas").focus();
  for (let i = 0; i < 9; i++) {
    await page.mouse.move(...at(0.25 + 0.05 * i, 0.4 + 0.02 * i), { steps: 3 });
    await click(page);
    await page.mouse.move(...at(0.1, 0.1));
    await clear(page);
  }
  const { masks, decodes } = await seen(page);
  expect([masks.length, decodes.length]).toEqual([9, 9]);
  const overhead = median(masks.map((value, i) => value - decodes[i]!));

  const { shifts } = await seen(page);
  const unexpected = shifts.filter(({ input }) => !input).reduce((sum, { value }) => sum + value, 0);
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  console.log(
    `to the next frame while encoding: median ${ms(median(busy))}, 95 % under ${ms(late)}, at most ${ms(busy.at(-1) ?? NaN)}, of ${busy.length}, at an encode of ${ms(encode)}; ` +
      `click to mask: ${ms(median(masks))}, ${ms(overhead)} of it beyond a decode of ${ms(median(decodes))}; layout shift ${unexpected.toFixed(4)}`,
  );
  expect(late).toBeLessThan(encode * OF_AN_ENCODE);
  expect(overhead).toBeLessThan(encode * OF_AN_ENCODE);
  expect(unexpected).toBeLessThan(0.01);
});

test("a click where the pointer rested takes the preview's mask and decodes nothing again", async ({ page, address }) => {
  await watch(page);
  // Small, so that previews are never found too slow for the machine.
  await openPage(page, address, 64);
  const box = (await page.locator("#canvas").boundingBox())!;
  await page.locator("#canvas").focus();
  // The first comes by itself.
  await expect.poll(async () => (await seen(page)).decodes.length, "the first mask").toBe(1);
  for (let i = 2; i <= 6; i++) {
    await page.mouse.move(box.x + box.width * (0.1 + 0.1 * i), box.y + box.height * 0.5);
    await expect.poll(async () => (await seen(page)).decodes.length, "the preview").toBe(i);
    await click(page);
    expect((await seen(page)).decodes.length, "the click").toBe(i);
    await clear(page);
  }
});
