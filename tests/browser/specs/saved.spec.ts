/** Images saved, restored and made of a part of a photo. */
import { expect, test } from "../fixtures.ts";

test("what is restored answers as what was saved, also in another engine, and without its photo", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const load = (options: object) => tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 128, ...options });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const sam = await load({});
    const image = await sam.embed(photo, { crop: [50.5, 40, 400, 300] });
    const facts = async (of: import("tinysam").SamImage) => {
      const [mask] = await of.segment({ points: [[180, 160]] });
      const [refined] = await mask!.refine({ points: [[300, 250]], labels: [0] });
      return { sides: [of.width, of.height, of.size, ...of.crop], score: mask!.score, area: mask!.area, rle: (await mask!.toRle()).counts, refined: refined!.area };
    };
    const exact = await image.toBytes({ precision: "f32" });
    const half = await image.toBytes();
    const other = await load({ worker: false, size: 64 });
    const restored = await other.restore(exact, { photo });
    const bare = await other.restore(new Blob([half]));
    const [cut] = await restored.segment({ points: [[180, 160]] });
    const [whole] = await image.segment({ points: [[180, 160]] });
    const bytes = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer()).join();
    const [blind] = await bare.segment({ points: [[180, 160]] });
    const code = (promise: Promise<unknown>) => promise.then(() => "answered", (error) => `${error.code}: ${error.message}`);
    const result = {
      lengths: [exact.length, half.length],
      saved: await facts(image),
      restored: await facts(restored),
      bare: await facts(bare),
      sameCutout: (await bytes(await cut!.toBlob("cutout"))) === (await bytes(await whole!.toBlob("cutout"))),
      mask: (await blind!.toBlob("mask")).size > 0,
      labels: new Set(await bare.toLabelMap([blind!])).size,
      cutout: await code(blind!.toBlob("cutout")),
      overlay: await code(bare.toBlob([blind!])),
      united: (await bare.toBlob([blind!], "mask")).size > 0,
      again: (await restored.toBytes({ precision: "f32" })).join() === exact.join(),
    };
    // What was given is not taken away.
    return { ...result, kept: exact.length };
  });
  expect(run.lengths).toEqual([108 + 64 * 256 * 4 + 32, 108 + 64 * 256 * 2 + 32]);
  expect(run.kept).toBe(run.lengths[0]);
  expect(run.saved.sides).toEqual([600, 400, 128, 50, 40, 401, 300]);
  expect(run.restored).toEqual(run.saved);
  expect(run.bare.sides).toEqual(run.saved.sides);
  expect(Math.abs(run.bare.area - run.saved.area)).toBeLessThan(0.01 * 600 * 400);
  expect(run).toMatchObject({ sameCutout: true, mask: true, labels: 2, united: true, again: true });
  for (const said of [run.cutout, run.overlay]) expect(said).toMatch(/^option_invalid: .*give `photo` to restore/);
});

test("bytes that are no image of this checkpoint are told apart", async ({ app }) => {
  const page = await app.open();
  const said = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const image = await sam.embed(photo);
    const bytes = await image.toBytes();
    const attempt = async (restoring: Promise<unknown>) => restoring.then(() => "restored", (error) => `${error.code}: ${error.message}`);
    const changed = (at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const restore = (from: unknown, options?: object) => attempt(sam.restore(from as never, options));
    const failures: Record<string, string> = {
      nothing: await restore(new Uint8Array()),
      photo: await restore(photo),
      cut: await restore(bytes.slice(0, 500)),
      flipped: await restore(changed(400)),
      flippedSide: await restore(changed(17)),
      text: await restore("bytes"),
      null: await restore(null),
      otherPhoto: await restore(bytes, { photo: new ImageData(10, 10) }),
      noPhoto: await restore(bytes, { photo: new Blob(["none"]) }),
      unknown: await restore(bytes, { image: photo }),
      precision: await attempt(image.toBytes({ precision: "f64" as never })),
      unknownSave: await attempt(image.toBytes({ format: "f16" } as never)),
      aborted: await restore(bytes, { signal: AbortSignal.abort() }),
    };
    // A checkpoint with another hash: one byte of a counter that the network does not use.
    const weights = new Uint8Array(await (await fetch("/models/formula.safetensors")).arrayBuffer());
    const header = Number(new DataView(weights.buffer).getBigUint64(0, true));
    const names = JSON.parse(new TextDecoder().decode(weights.subarray(8, 8 + header)));
    const counter = Object.keys(names).find((name) => name.endsWith("num_batches_tracked"))!;
    weights[8 + header + names[counter].data_offsets[0]]! ^= 1;
    const other = await tinysam.TinySam.load({ weights, size: 64 });
    failures.otherCheckpoint = await attempt(other.restore(bytes));
    image.free();
    failures.freed = await attempt(image.toBytes());
    const restored = await sam.restore(bytes.buffer);
    sam.free();
    failures.engineGone = await attempt(restored.toBytes());
    failures.modelGone = await restore(bytes);
    return failures;
  });
  const expected: Record<string, RegExp> = {
    nothing: /^embedding_invalid: .*no embedding of tinysam/,
    photo: /^embedding_invalid: .*no embedding of tinysam/,
    cut: /^embedding_invalid: .*cut off or damaged/,
    flipped: /^embedding_invalid: .*cut off or damaged/,
    flippedSide: /^embedding_invalid: .*cut off or damaged/,
    text: /^embedding_invalid: /,
    null: /^embedding_invalid: /,
    otherPhoto: /^embedding_mismatch: .*600×400.*10×10/,
    noPhoto: /^image_invalid: /,
    unknown: /^option_invalid: .*no "image"; there is photo, signal/,
    precision: /^option_invalid: .*f16 or f32/,
    unknownSave: /^option_invalid: .*no "format"/,
    aborted: /^aborted: /,
    otherCheckpoint: /^embedding_mismatch: .*[0-9a-f]{64}.*[0-9a-f]{64}/,
    freed: /^released: /,
    engineGone: /^released: /,
    modelGone: /^released: /,
  };
  for (const [name, words] of Object.entries(expected)) expect(said[name], name).toMatch(words);
});

test("a file whose bytes cannot be read is told, and its photo let go", async ({ app }) => {
  const page = await app.open();
  const outcome = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const gone = new File(["bytes"], "kept.tinysam");
    gone.arrayBuffer = () => Promise.reject(new DOMException("it was moved", "NotReadableError"));
    const code = (promise: Promise<unknown>) => promise.then(() => "done", ({ code, message }) => `${code}: ${message}`);
    // A File behind a proxy has its name, and cannot be sent.
    const proxied = new Proxy(new File(["bytes"], "photo.png"), { get: (file, name) => Reflect.get(file, name, file) });
    return [await code(sam.restore(gone)), await code(sam.embed(proxied)), (await sam.embed("/photos/coffee.png")).width];
  });
  expect(outcome).toEqual([expect.stringMatching(/^embedding_invalid: .*it was moved.*Choose it again/), expect.stringMatching(/^image_invalid: .*toRaw/), 600]);
});

test("a part of a photo is seen as a photo of its own, in the whole one's pixels", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 128 });
    const bitmap = await createImageBitmap(await (await fetch("/photos/coffee.png")).blob());
    const [x, y, width, height] = [150, 100, 200, 160] as const;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")!.drawImage(bitmap, -x, -y);
    const part = await sam.embed(canvas);
    const image = await sam.embed(bitmap, { crop: [x, y, width, height] });
    const pixels = async (mask: import("tinysam").Mask, left: number, top: number) => {
      const { data } = await mask.toImageData();
      const set: string[] = [];
      for (let i = 0; i < data.length / 4; i++) if (data[4 * i + 3] === 255) set.push(`${(i % mask.width) + left},${Math.floor(i / mask.width) + top}`);
      return set.join(" ");
    };
    const [own] = await part.segment({ points: [[80, 90]], box: [20, 20, 100, 100] });
    const [mask] = await image.segment({ points: [[80 + x, 90 + y]], box: [20 + x, 20 + y, 100, 100] });
    const same = (await pixels(own!, x, y)) === (await pixels(mask!, 0, 0));
    const options = { pointsPerSide: 8, predIouThresh: 0, stabilityScoreThresh: 0 };
    const [all, allOwn] = [await image.everything(options).masks, await part.everything(options).masks];
    const within = all.every(({ bbox: [left, top, w, h] }) => left >= x && top >= y && left + w <= x + width && top + h <= y + height);
    const code = (promise: Promise<unknown>) => promise.then(() => "answered", (error) => error.code);
    return {
      facts: [mask!.width, mask!.height, mask!.area > 0, mask!.area === own!.area, mask!.bbox.join() === own!.bbox.map((at, i) => at + ([x, y, 0, 0][i] ?? 0)).join(), same],
      everything: [all.length > 0, all.length === allOwn.length, within, all.every(({ point }, i) => point!.join() === [allOwn[i]!.point![0] + x, allOwn[i]!.point![1] + y].join())],
      outside: await code(image.segment({ points: [[10, 10]] })),
      clipped: (await sam.embed(bitmap, { crop: [500, 300, 1000, Infinity] })).crop,
      refused: await Promise.all(
        [[600, 0, 10, 10], [-10, 0, 10, 10], [0, 0, 0, 10], [0, 0, -5, 10], [NaN, 0, 10, 10], [0, 0, 10], ["0", 0, 10, 10], 7, null].map((crop) => code(sam.embed(bitmap, { crop: crop as never }))),
      ),
      tiny: await code((await sam.embed(bitmap, { crop: [10.2, 10.2, 0.1, 0.1] })).segment({ box: [10, 10, 1, 1] })),
      overlay: await createImageBitmap(await image.toBlob([mask!])).then((drawn) => [drawn.width, drawn.height]),
    };
  });
  expect(run.facts).toEqual([600, 400, true, true, true, true]);
  expect(run.everything).toEqual([true, true, true, true]);
  expect(run.outside).toBe("prompt_invalid");
  expect(run.clipped).toEqual([500, 300, 100, 100]);
  expect(run.refused).toEqual(Array.from({ length: 9 }, () => "option_invalid"));
  expect(run.tiny).toBe("answered");
  expect(run.overlay).toEqual([600, 400]);
});
