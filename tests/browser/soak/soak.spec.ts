import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { rendererMemory } from "../memory.ts";

const PICTURES = 200;
const PROMPTS = 10;
/** An engine dies in the middle of the work on every so many pictures. */
const DEATH_EVERY = 4;
const TABS = 4;
const AT_ONCE = 5;

/** What a page can be asked, once {@link prepare} has run there. */
interface Soak {
  /** The masks of picture `seed`, one for each of its prompts, as COCO's text. */
  masks(seed: number): Promise<string[]>;
}

/** Loads an engine in a page, and what makes pictures and prompts of numbers. */
function prepare(page: Page): Promise<void> {
  return page.evaluate(async (prompts) => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const random = (seed: number) => () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return seed / 2 ** 32;
    };
    const picture = (seed: number): ImageData => {
      const next = random(seed);
      const canvas = new OffscreenCanvas(100 + (seed % 7) * 30, 90 + (seed % 5) * 40);
      const context = canvas.getContext("2d")!;
      for (let i = 0; i < 12; i++) {
        context.fillStyle = `rgb(${next() * 255} ${next() * 255} ${next() * 255})`;
        context.fillRect(next() * canvas.width, next() * canvas.height, next() * canvas.width, next() * canvas.height);
      }
      return context.getImageData(0, 0, canvas.width, canvas.height);
    };
    const masks = async (seed: number): Promise<string[]> => {
      const photo = picture(seed);
      const next = random(seed + 1_000_000);
      const image = await sam.embed(photo);
      try {
        const found: string[] = [];
        for (let i = 0; i < prompts; i++) {
          const [mask] = await image.segment({ points: [[next() * photo.width, next() * photo.height]] });
          found.push((await mask!.toRle()).counts);
          mask!.free();
        }
        return found;
      } finally {
        image.free();
      }
    };
    Object.assign(globalThis, { soak: { masks } satisfies Soak });
  }, PROMPTS);
}

const masks = (page: Page, seed: number) => page.evaluate((n) => (globalThis as never as { soak: Soak }).soak.masks(n), seed);

/** Asks for masks and ends the engine meanwhile, as a panic would: what was asked fails, and nothing waits for ever. */
async function die(page: Page, seed: number): Promise<void> {
  const [worker] = page.workers();
  const outcome = page.evaluate(
    (n) => (globalThis as never as { soak: Soak }).soak.masks(n).then(() => "done", (error) => error.code as string),
    seed,
  );
  await worker!.evaluate(() => {
    setTimeout(() => {
      throw new Error("the end of this worker");
    });
  });
  // It may have been quicker; then the next call meets the death.
  expect(["crashed", "done"]).toContain(await outcome);
  await expect.poll(() => page.workers().includes(worker!)).toBe(false);
}

test("200 pictures, 2000 prompts, 50 deaths, and 20 pictures at once in four tabs", async ({ app, page, errors }) => {
  errors.expectError(/the end of this worker/);
  await app.open();
  await prepare(page);
  const first = new Map<number, string[]>();
  const table: string[] = ["pictures  prompts  deaths  memory"];
  let deaths = 0;
  const memory: number[] = [];
  for (let seed = 1; seed <= PICTURES; seed++) {
    if (seed % DEATH_EVERY === 0) {
      await die(page, seed);
      deaths += 1;
      // The first call to an engine that died elsewhere may be told so.
      await masks(page, seed).catch(() => undefined);
    }
    first.set(seed, await masks(page, seed));
    if (seed % 25 === 0) {
      memory.push(await rendererMemory(page));
      table.push([seed, seed * PROMPTS, deaths, `${memory.at(-1)!.toFixed(0)} MB`].map((cell) => String(cell).padStart(8)).join(" "));
    }
  }
  console.log(table.join("\n"));
  expect(deaths).toBe(PICTURES / DEATH_EVERY);
  // Two hundred of these pictures and their embeddings, forgotten, would be 100 MB.
  expect(memory.at(-1)! - memory[1]!).toBeLessThan(50);

  // A fresh engine, from the last to the first.
  await app.open();
  await prepare(page);
  let wrong = 0;
  for (let seed = PICTURES; seed >= 1; seed--) {
    const again = await masks(page, seed);
    wrong += again.filter((mask, i) => mask !== first.get(seed)![i]).length;
  }
  expect(wrong).toBe(0);

  // Several tabs, each with several calls that do not wait for each other.
  const tabs = await Promise.all(Array.from({ length: TABS }, () => page.context().newPage()));
  for (const tab of tabs) {
    await tab.goto(page.url());
    await tab.waitForFunction(() => "tinysam" in globalThis);
    await prepare(tab);
  }
  const together = tabs.flatMap((tab, t) => Array.from({ length: AT_ONCE }, (_, i) => ({ tab, seed: 1 + t * AT_ONCE + i })));
  const found = await Promise.all(together.map(({ tab, seed }) => masks(tab, seed)));
  found.forEach((texts, i) => expect(texts).toEqual(first.get(together[i]!.seed)));
  console.log(`${together.length} at once in ${TABS} tabs, ${PICTURES * PROMPTS} masks by a fresh engine: ${wrong} wrong`);
});
