/** Several prompts in one call, and what prompts may be made of. */
import { expect, test } from "../fixtures.ts";

test("each of several prompts gets what it alone would get", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 128 });
    const image = await sam.embed("/photos/coffee.png");
    const [earlier] = await image.segment({ points: [[180, 160]] });
    const mask = await earlier!.logits();
    // Of every kind, in an order in which no two neighbours are decoded together.
    const prompts: import("tinysam").Prompt[] = [
      { points: [[180, 160]] },
      { box: [72, 60, 258, 220] },
      { points: [[300, 300], [20, 20]], labels: [1, 0] },
      { points: [[400, 100]], multimask: true },
      { points: [[500, 350]] },
      { boxes: [[0, 0, 100, 100], [300, 200, 200, 150]] },
      { boxes: [] },
      { points: [[180, 160]], box: [72, 60, 258, 220] },
      { points: [[180, 160]], mask },
      { box: [10, 10, 90, 80], multimask: true },
      { points: [[90, 90], [400, 200]] },
    ];
    const facts = (masks: import("tinysam").Mask[]) => masks.map(({ score, area, bbox }) => ({ score, area, bbox }));
    const together = (await image.segment(prompts)).map(facts);
    const alone = [];
    for (const prompt of prompts) alone.push(facts(await image.segment(prompt)));
    const [[first], , [third]] = await image.segment([prompts[0]!, prompts[1]!, prompts[2]!]);
    const refined = facts(await third!.refine({ points: [[100, 200]], labels: [0] }));
    const byHand = facts(await image.segment({ points: [[300, 300], [20, 20], [100, 200]], labels: [1, 0, 0], mask: await third!.logits() }));
    return { together, alone, none: await image.segment([]), noBoxes: await image.segment({ boxes: [] }), first: first!.area, refined, byHand };
  });
  expect(run.together.map((masks) => masks.length)).toEqual([1, 1, 1, 3, 1, 2, 0, 1, 1, 3, 1]);
  run.together.forEach((masks, i) =>
    masks.forEach(({ score, area }, j) => {
      const alone = run.alone[i]![j]!;
      expect(Math.abs(score - alone.score), `prompt ${i}`).toBeLessThan(1e-5);
      expect(Math.abs(area - alone.area), `prompt ${i}`).toBeLessThan(20);
    }),
  );
  expect(run.none).toEqual([]);
  expect(run.noBoxes).toEqual([]);
  expect(run.first).toBe(run.together[0]![0]!.area);
  expect(run.refined).toEqual(run.byHand);
});

test("a thousand prompts in one call, and an end to them", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const prompts = Array.from({ length: 1000 }, (_, i) => ({ points: [[(i * 7) % 600, (i * 13) % 400] as const] }));
    const all = await image.segment(prompts);
    const few = await image.segment([prompts[0]!, prompts[999]!]);
    const stop = new AbortController();
    const stopped = image.segment(prompts, { signal: stop.signal }).catch(({ code }) => code);
    // When the engine is at it: it answers what came before.
    await sam.memory();
    stop.abort();
    const begun = performance.now();
    const code = await stopped;
    // What comes after waits for no more than the batch that was on its way.
    const [next] = await image.segment({ points: [[10, 10]] });
    return { count: all.length, ends: [all[0]![0]!.area, all[999]![0]!.area], few: few.map(([mask]) => mask!.area), code, next: next!.area > 0, waited: performance.now() - begun };
  });
  expect(run).toMatchObject({ count: 1000, code: "aborted", next: true });
  expect(run.ends).toEqual(run.few);
});

test("one bad prompt among several is named, and nothing is computed", async ({ app }) => {
  const page = await app.open();
  const said = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const good = { points: [[10, 10]] };
    const attempts: Record<string, unknown> = {
      outside: [good, { points: [[10, 1000]] }, good],
      nothing: [good, {}],
      notANumber: { points: [[NaN, 10]] },
      flat: { points: [300, 300] },
      flatBox: { boxes: [10, 10, 20, 20] },
      three: { points: [[1, 2, 3]] },
      text: { points: [["300", "300"]] },
      object: { points: [{ x: 1, y: 2 }] },
      noBox: { box: [1, 2, 3] },
      noLabels: { points: [[1, 2]], labels: ["1"] },
      negative: { points: [[1, 2]], labels: [-1] },
      alone: { mask: new Float32Array((image.size / 4) ** 2) },
      mixed: { points: [[1, 2]], boxes: [[0, 0, 10, 10]] },
      unknown: { point: [[1, 2]] },
      noMask: { points: [[1, 2]], mask: "mask" },
      null: null,
      number: 3,
    };
    const failures: Record<string, string> = {};
    for (const [name, prompt] of Object.entries(attempts)) {
      failures[name] = await image.segment(prompt as never).then(
        () => "answered",
        (error) => (error instanceof tinysam.TinySamError ? `${error.code}: ${error.message}` : `not ours: ${error}`),
      );
    }
    return failures;
  });
  const expected: Record<string, string> = {
    outside: "number 2 of 3: point (10, 1000) is not in the picture of 600×400",
    nothing: "number 2 of 2: it has neither a point nor a box",
    notANumber: "point (NaN, 10) is not in the picture",
    flat: "points must be a list of [x, y]: write [[x, y]]",
    flatBox: "boxes must be a list of [x, y, width, height]: write",
    three: "points[0] must be [x, y], 2 numbers, not [1, 2, 3]",
    text: 'points[0] must be [x, y], 2 numbers, not ["300", "300"]',
    object: "points[0] must be [x, y], 2 numbers, not another object",
    noBox: "box must be [x, y, width, height], 4 numbers, not [1, 2, 3]",
    noLabels: "labels must be a list of 1",
    negative: "labels: invalid type: floating point `-1.0`, expected a whole number from 0 on",
    alone: "a mask says nothing without one",
    mixed: "`boxes` are prompts of their own",
    unknown: 'a prompt has no "point"; there is points, labels, box, boxes, mask, multimask',
    noMask: "mask must be the Float32Array",
    null: "a prompt must be an object, not null",
    number: "a prompt must be an object, not number",
  };
  for (const [name, words] of Object.entries(expected)) {
    expect(said[name], name).toMatch(/^prompt_invalid: /);
    expect(said[name], name).toContain(words);
  }
});

test("state of frameworks, typed arrays and other lists are taken, and copied at once", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const found: Record<string, unknown> = {};
    for (const worker of [true, false]) {
      const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, worker });
      const image = await sam.embed("/photos/coffee.png");
      // As Vue, Svelte and MobX make them: every object that is read is another proxy.
      const deep = <T extends object>(target: T): T =>
        new Proxy(target, {
          get: (object, name, receiver) => {
            const value: unknown = Reflect.get(object, name, receiver);
            return typeof value === "object" && value !== null && !ArrayBuffer.isView(value) ? deep(value) : value;
          },
        });
      const points: [number, number][] = [[180, 160], [300, 300]];
      const labels: (0 | 1)[] = [1, 0];
      const box = [72, 60, 258, 220] as const;
      const plain = { points, labels, box };
      const [base] = await image.segment(plain);
      const mask = await base!.logits();
      const facts = (masks: import("tinysam").Mask[]) => masks.map(({ score, area }) => `${score} ${area}`).join();
      const frame = document.createElement("iframe");
      document.body.append(frame);
      const Other = (frame.contentWindow as never as typeof globalThis).Float32Array;
      found[`plain ${worker}`] = facts(await image.segment(plain));
      found[`deep ${worker}`] = facts(await image.segment(deep(plain)));
      found[`typed ${worker}`] = facts(await image.segment({ points: points.map((point) => Float64Array.from(point)), labels: Uint8Array.from(labels), box: Int32Array.from(box) }));
      found[`another window's ${worker}`] = facts(await image.segment({ points: points.map((point) => Other.from(point)), labels, box: Other.from(box) }));
      found[`set ${worker}`] = facts(await image.segment({ points: new Set(points) as never, labels: new Set(labels) as never, box }));
      const changing = { points: points.map((point) => [...point] as [number, number]), labels, box };
      const early = image.segment(changing);
      changing.points[0]![0] = 5;
      found[`changed after ${worker}`] = facts(await early);
      const refined = facts(await base!.refine({ points: [[100, 100]], labels: [0] }));
      found[`refined ${worker}`] = facts(await base!.refine(deep({ points: [[100, 100]] as [number, number][], labels: [0] as const }))) === refined;
      found[`refined by hand ${worker}`] = facts(await image.segment(deep({ points: [...points, [100, 100] as const], labels: [...labels, 0 as const], box, mask }))) === refined;
      found[`logits of another window ${worker}`] = facts(await image.segment({ points: [...points, [100, 100]], labels: [...labels, 0], box, mask: Other.from(mask) })) === refined;
      const everything = await image.everything(deep({ pointsPerSide: 4, predIouThresh: 0, stabilityScoreThresh: 0 })).masks;
      found[`everything ${worker}`] = everything.length > 0;
      sam.free();
    }
    return found;
  });
  for (const worker of [true, false]) {
    for (const name of ["deep", "typed", "another window's", "set", "changed after"]) {
      expect(run[`${name} ${worker}`], name).toBe(run[`plain ${worker}`]);
    }
    for (const name of ["refined", "refined by hand", "logits of another window", "everything"]) expect(run[`${name} ${worker}`], name).toBe(true);
  }
});
