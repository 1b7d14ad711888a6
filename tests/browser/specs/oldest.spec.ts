/**
 * The oldest browsers that the README names, as far as a new one can be made to look old: what came after them is taken away,
 * in the page and in its worker.
 */
import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";
import { clickPhoto, everything, openPage, score } from "../page.ts";

/** Names that Chrome 100, Firefox 105 or Safari 16.4 lacks, by where they stand. */
const YOUNGER = `
  const typed = Object.getPrototypeOf(Uint8Array);
  const younger = [
    [globalThis, "VideoFrame ImageDecoder Iterator CompressionStream DecompressionStream DisposableStack AsyncDisposableStack SuppressedError scheduler trustedTypes Float16Array"],
    [Object.getPrototypeOf(navigator), "gpu"],
    [AbortSignal, "any timeout"],
    [Array, "fromAsync"],
    [Array.prototype, "toSorted toReversed toSpliced with"],
    [typed.prototype, "toSorted toReversed with"],
    [Uint8Array, "fromBase64 fromHex"],
    [Uint8Array.prototype, "toBase64 toHex setFromBase64 setFromHex"],
    [ArrayBuffer.prototype, "transfer transferToFixedLength resize resizable maxByteLength detached"],
    [String.prototype, "isWellFormed toWellFormed"],
    [Object, "groupBy"],
    [Map, "groupBy"],
    [Map.prototype, "getOrInsert getOrInsertComputed"],
    [Set.prototype, "union intersection difference symmetricDifference isSubsetOf isSupersetOf isDisjointFrom"],
    [Promise, "withResolvers try"],
    [URL, "canParse parse"],
    [RegExp, "escape"],
    [Error, "isError"],
    [Math, "f16round sumPrecise"],
    [Blob.prototype, "bytes"],
    [Response, "json"],
    [Response.prototype, "bytes"],
    [Request.prototype, "bytes"],
    [ReadableStream, "from"],
    [ReadableStream.prototype, "values"],
  ];
  for (const [holder, names] of younger) for (const name of names.split(" ")) delete holder[name];
  delete ReadableStream.prototype[Symbol.asyncIterator];`;

/** Runs a script before all others, in the page and in the workers of the package. */
async function before(page: Page, script: string): Promise<void> {
  await page.addInitScript(script);
  await page.context().route(/\/worker-cpu[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `{${script}}\n${await response.text()}` });
  });
}

for (const worker of [true, false]) {
  test(`nothing younger is used by the package, ${worker ? "in a worker" : "on the page's thread"}`, async ({ app, page }) => {
    await before(page, YOUNGER);
    await app.open();
    const found = await page.evaluate(async (worker) => {
      const response = await fetch("/models/formula.safetensors");
      const sam = await tinysam.TinySam.load({ weights: response, size: 64, worker, signal: new AbortController().signal });
      const image = await sam.embed("/photos/coffee.png");
      const [mask] = await image.segment({ boxes: [[72, 60, 258, 220]] });
      const [better] = await mask!.refine({ points: [[180, 160]] });
      const { signal } = new AbortController();
      const all = await image.everything({ pointsPerSide: 4, predIouThresh: 0, stabilityScoreThresh: 0, signal }).masks;
      const stop = new AbortController();
      const stopped = image.everything({ signal: stop.signal }).masks.then(() => "not stopped", (error) => (error as { code: string }).code);
      stop.abort();
      await better!.toBlob();
      await better!.toPolygons();
      tinysam.configure({ weights: "/models/formula.safetensors", fallback: false });
      const input = { image_url: new URL("/photos/coffee.png", location.href).href, size: 64 };
      const { data } = await tinysam.fal.subscribe("fal-ai/tiny-sam", { input: { ...input, point_prompt: [[180, 160]] } });
      const found = { any: "any" in AbortSignal, masks: all.length > 0, stopped: await stopped, fal: data.image.width };
      sam.free();
      // Kept by its address, and asked about when it is loaded again.
      const again = { weights: "/models/formula.safetensors", size: 64, worker };
      (await tinysam.TinySam.load(again)).free();
      (await tinysam.TinySam.load(again)).free();
      return found;
    }, worker);
    expect(found).toEqual({ any: false, masks: true, stopped: "aborted", fal: 600 });
  });
}

test("nor by the page", async ({ page, address }) => {
  await before(page, YOUNGER);
  await openPage(page, address, 64);
  await clickPhoto(page, 0.45, 0.45);
  await expect(score(page)).toHaveText(/^[01]\.\d{3}$/);
  await everything(page);
  await expect(page.locator("#announce")).toHaveText(/^\d+ masks? found\.$/, { timeout: 60_000 });
  await expect(page.locator("#error")).toBeHidden();
});

test("an older browser gets a sentence", async ({ app, page }) => {
  await before(page, "WebAssembly.validate = () => false;");
  await app.open();
  const failure = await page.evaluate(() => tinysam.TinySam.load().catch(({ code, message }) => ({ code, message })));
  expect(failure).toEqual({ code: "unsupported", message: expect.stringMatching(/SIMD.*Chrome and Edge 100, Firefox 105, Safari 16\.4/) });
});

test("without OffscreenCanvas pixels are segmented, and pictures get a sentence", async ({ app, page }) => {
  await before(page, "delete globalThis.OffscreenCanvas; delete globalThis.FinalizationRegistry;");
  await app.open();
  const found = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed(new ImageData(64, 64));
    const failure = await sam.embed("/photos/coffee.png").catch(({ code, message }) => ({ code, message }));
    return { masks: (await image.segment({ points: [[20, 20]] })).length, failure };
  });
  expect(found).toEqual({ masks: 1, failure: { code: "unsupported", message: expect.stringMatching(/Firefox 105.*give an ImageData/) } });
});
