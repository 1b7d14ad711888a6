import { expect, test } from "../fixtures.ts";

test("everything streams candidates, and promises the final set", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const options = { pointsPerSide: 8, predIouThresh: 0, stabilityScoreThresh: 0, boxNmsThresh: 1 };
    const seen: { done: number; total: number }[] = [];
    const everything = image.everything({ ...options, onProgress: (progress) => seen.push(progress) });
    let candidates = 0;
    let batchesToTheFirst = 0;
    for await (const mask of everything) {
      if (candidates === 0) batchesToTheFirst = seen.length;
      candidates += 1;
      mask.free();
    }
    const final = await everything.masks;
    const again = await image.everything(options).masks;
    return {
      seen,
      batchesToTheFirst,
      candidates,
      final: final.map(({ score, area, point }) => ({ score, area, point })),
      again: again.map(({ score, area, point }) => ({ score, area, point })),
    };
  });
  expect(run.seen.length).toBeGreaterThan(0);
  expect(run.seen.at(-1)!.done).toBe(run.seen.at(-1)!.total);
  expect(run.candidates).toBeGreaterThan(0);
  expect(run.batchesToTheFirst).toBeLessThanOrEqual(2);
  expect(run.final.length).toBeGreaterThan(0);
  expect(run.final.every(({ point }) => point !== undefined)).toBe(true);
  expect(run.again).toEqual(run.final);
});

test("a run is no promise: it comes through async functions as it is", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const begin = async () => image.everything({ pointsPerSide: 4, predIouThresh: 0, stabilityScoreThresh: 0 });
    const everything = await begin();
    let candidates = 0;
    for await (const mask of everything) {
      mask.free();
      candidates += 1;
    }
    return { kind: String(everything), candidates, final: (await everything.masks).length };
  });
  expect(run.kind).toBe("[object Everything]");
  expect(run.candidates).toBeGreaterThan(0);
  expect(run.final).toBeGreaterThan(0);
});

test("leaving the loop stops the run", async ({ app }) => {
  const page = await app.open();
  const code = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256 });
    const image = await sam.embed("/photos/coffee.png");
    const everything = image.everything({ predIouThresh: 0, stabilityScoreThresh: 0 });
    for await (const mask of everything) {
      mask.free();
      break;
    }
    const stopped = await everything.masks.then(() => "finished", (error) => error.code);
    // The engine is free again.
    const [mask] = await image.segment({ points: [[100, 100]] });
    return [stopped, mask!.area > 0];
  });
  expect(code).toEqual(["aborted", true]);
});
