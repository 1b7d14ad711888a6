import { difference, goldenClick, synth } from "../golden.ts";
import { expect, test } from "../fixtures.ts";

/** What f32 on a CPU can hold: tests/fixtures/goldens/README.md. */
const PIXELS = 1e-4;
const SCORE = 1e-4;
const KINDS = ["vite", "webpack", "bare"] as const;

for (const kind of KINDS) {
  test(`a click gives the reference's mask: ${kind}`, async ({ app }) => {
    const golden = goldenClick("golden_256_synth");
    const page = await app.open(kind);
    const run = await page.evaluate(
      async ({ pixels, point }) => {
        const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256 });
        const data = Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0));
        const image = await sam.embed(new ImageData(data, 640, 480));
        const masks = await image.segment({ points: [point], labels: [1], multimask: true });
        const [best] = await image.segment({ points: [point] });
        const rgba = (await best!.toImageData()).data;
        return {
          device: sam.device,
          sides: [image.width, image.height, image.size],
          scores: masks.map(({ score }) => score),
          areas: masks.map(({ area }) => area),
          score: best!.score,
          area: best!.area,
          bits: [...(await best!.toBits())],
          opaque: rgba.reduce((sum, byte, i) => sum + (i % 4 === 3 && byte === 255 ? 1 : 0), 0),
          logits: (await best!.logits()).length,
          png: [...new Uint8Array(await (await best!.toBlob()).slice(0, 4).arrayBuffer())],
          rle: (await best!.toRle()).size,
          runs: (await best!.toRuns()).reduce((sum, run) => sum + run, 0),
          stability: best!.stability,
          bbox: best!.bbox,
        };
      },
      { pixels: Buffer.from(synth(640, 480)).toString("base64"), point: golden.point },
    );

    expect(run.device.kind).toBe("cpu");
    expect(run.device.reason).toMatch(/WebGPU/);
    expect(run.sides).toEqual([640, 480, 256]);
    // The golden has all four tokens; the first is dropped.
    const scores = golden.iou.slice(1);
    expect(run.scores).toHaveLength(3);
    run.scores.forEach((score, i) => expect(Math.abs(score - scores[i]!)).toBeLessThan(SCORE));
    run.areas.forEach((area, i) => expect(Math.abs(area - golden.areas[i]!)).toBeLessThan(PIXELS * 640 * 480));
    expect(run.score).toBe(Math.max(...run.scores));
    expect(difference(Uint8Array.from(run.bits), golden.bits, 640 * 480)).toBeLessThanOrEqual(PIXELS);
    expect(run.opaque).toBe(run.area);
    expect(run.logits).toBe(64 * 64);
    expect(run.png).toEqual([0x89, 0x50, 0x4e, 0x47]);
    expect(run.rle).toEqual([480, 640]);
    expect(run.runs).toBe(640 * 480);
    expect(run.stability).toBeGreaterThan(0);
    expect(run.stability).toBeLessThanOrEqual(1);
    // The smallest box around the bits, as in COCO.
    const inside = Array.from({ length: 640 * 480 }, (_, i) => i).filter((i) => (run.bits[i >> 3]! >> (7 - (i & 7))) & 1);
    const extent = (places: number[]) => places.reduce(([low, high], at) => [Math.min(low!, at), Math.max(high!, at)], [640, 0]);
    const [left, right] = extent(inside.map((i) => i % 640));
    const [top, bottom] = extent(inside.map((i) => Math.floor(i / 640)));
    expect(run.bbox).toEqual([left, top, right! - left! + 1, bottom! - top! + 1]);
  });
}

test("a photo at full size gives the reference's mask", async ({ app }) => {
  const golden = goldenClick("golden_1024_coffee");
  const page = await app.open();
  const run = await page.evaluate(async (point) => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", device: "cpu" });
    const image = await sam.embed("/photos/coffee.png");
    const [mask] = await image.segment({ points: [point] });
    return { bits: [...(await mask!.toBits())], score: mask!.score };
  }, golden.point);
  expect(difference(Uint8Array.from(run.bits), golden.bits, 600 * 400)).toBeLessThanOrEqual(PIXELS);
  expect(Math.abs(run.score - Math.max(...golden.iou.slice(1)))).toBeLessThan(SCORE);
});

for (const kind of KINDS) {
  test(`the main thread's engine gives what the worker's gives: ${kind}`, async ({ app }) => {
    const page = await app.open(kind);
    const [inWorker, here] = await page.evaluate(async () => {
      const masks = [];
      for (const worker of [true, false]) {
        const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, worker });
        const image = await sam.embed("/photos/chelsea.png");
        const [mask] = await image.segment({ box: [100, 40, 200, 180], points: [[200, 120]] });
        masks.push({ score: mask!.score, area: mask!.area, rle: await mask!.toRle() });
        for (const handle of [mask!, image, sam]) handle[Symbol.dispose]();
      }
      return masks;
    });
    expect(here).toEqual(inWorker);
  });
}

test("every source of pixels gives the same mask, and keeps what is the caller's", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const blob = await (await fetch("/photos/coffee.png")).blob();
    const bitmap = await createImageBitmap(blob);
    const element = Object.assign(new Image(), { src: "/photos/coffee.png" });
    await element.decode();
    // It is shown, and its browser declines to decode it all the same.
    const shown = Object.assign(new Image(), { src: "/photos/coffee.png", decode: () => Promise.reject(new DOMException("", "EncodingError")) });
    const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
    const context = canvas.getContext("2d")!;
    context.drawImage(bitmap, 0, 0);
    const offscreen = new OffscreenCanvas(bitmap.width, bitmap.height);
    offscreen.getContext("2d")!.drawImage(bitmap, 0, 0);
    const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const sources = {
      url: "/photos/coffee.png",
      absolute: new URL("/photos/coffee.png", location.href),
      blob,
      file: new File([blob], "coffee.png"),
      bitmap,
      element,
      shown,
      canvas,
      offscreen,
      pixels,
      frame: new VideoFrame(bitmap, { timestamp: 0 }),
    };
    const masks: Record<string, string> = {};
    for (const [name, source] of Object.entries(sources)) {
      const image = await sam.embed(source);
      const [mask] = await image.segment({ points: [[180, 160]] });
      masks[name] = `${mask!.area} ${mask!.score} ${(await mask!.toRle()).counts}`;
      mask!.free();
      image.free();
    }
    const kept = [bitmap.width, sources.frame.codedWidth, pixels.data.length, canvas.width];
    sources.frame.close();
    return { masks, kept };
  });
  const [first, ...rest] = Object.entries(run.masks);
  // A video frame may pass through another colour format; all the others are the same pixels.
  for (const [name, mask] of rest.filter(([name]) => name !== "frame")) expect(mask, name).toBe(first![1]);
  expect(run.kept).toEqual([600, 600, 600 * 400 * 4, 600]);
});

test("boxes are a batch, masks can be refined, and prompts by mask are one", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256 });
    const image = await sam.embed("/photos/coffee.png");
    const boxes: [number, number, number, number][] = [
      [72, 60, 258, 220],
      [0, 0, 100, 100],
      [300, 200, 200, 150],
    ];
    const batch = await image.segment({ boxes });
    const single = [];
    for (const box of boxes) single.push(...(await image.segment({ box })));
    const [first] = await image.segment({ points: [[180, 160]] });
    const [refined] = await first!.refine({ points: [[300, 300]], labels: [0] });
    const [byHand] = await image.segment({ points: [[180, 160], [300, 300]], labels: [1, 0], mask: await first!.logits() });
    const [refinedBox] = await batch[1]!.refine({ points: [[50, 50]] });
    const [boxByHand] = await image.segment({ box: boxes[1]!, points: [[50, 50]], mask: await batch[1]!.logits() });
    const facts = (mask: typeof first) => ({ score: mask!.score, area: mask!.area });
    return {
      batch: batch.map(facts),
      single: single.map(facts),
      refined: facts(refined),
      byHand: facts(byHand),
      refinedBox: facts(refinedBox),
      boxByHand: facts(boxByHand),
    };
  });
  expect(run.batch).toHaveLength(3);
  run.batch.forEach(({ score }, i) => expect(Math.abs(score - run.single[i]!.score)).toBeLessThan(1e-5));
  expect(run.refined).toEqual(run.byHand);
  expect(run.refinedBox).toEqual(run.boxByHand);
});

test("several masks as a label map and as one picture", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 128 });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const image = await sam.embed(photo);
    const masks = await image.segment({ points: [[180, 160]], multimask: true });
    const labels = await image.toLabelMap(masks);
    // The same from the masks one by one: the smallest that covers a pixel.
    const images = await Promise.all(masks.map((mask) => mask.toImageData()));
    const order = masks.map((_, index) => index).sort((a, b) => masks[a]!.area - masks[b]!.area || b - a);
    let wrong = 0;
    for (let pixel = 0; pixel < labels.length; pixel++) {
      const top = order.find((index) => images[index]!.data[4 * pixel + 3]! > 0);
      if (labels[pixel] !== (top === undefined ? 0 : top + 1)) wrong += 1;
    }
    const bitmap = await createImageBitmap(await image.toBlob(masks));
    const grey = await image.toBlob(masks, "labels");
    const again = await image.toBlob(masks, "labels");
    const bytes = async (blob: Blob) => Array.from(new Uint8Array(await blob.arrayBuffer()));
    // A PNG's header: depth and colour type lie at 24 and 25.
    const header = (await bytes(grey)).slice(24, 26);
    const same = JSON.stringify(await bytes(grey)) === JSON.stringify(await bytes(again));
    const refused: string[] = [];
    const other = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, worker: false });
    const foreign = await other.embed(photo);
    for (const attempt of [() => foreign.toLabelMap(masks), () => image.toBlob(masks, "nonsense" as never)]) {
      refused.push(await attempt().then(() => "answered", (error) => error.code));
    }
    masks[0]!.free();
    refused.push(await image.toLabelMap(masks).then(() => "answered", (error) => error.code));
    image.free();
    refused.push(await image.toBlob([masks[1]!]).then(() => "answered", (error) => error.code));
    return { wrong, used: new Set(labels).size, sides: [bitmap.width, bitmap.height], area: labels.length, header, same, refused };
  });
  expect(run.wrong).toBe(0);
  expect(run.used).toBeGreaterThan(1);
  expect(run.area).toBe(run.sides[0]! * run.sides[1]!);
  expect(run.header).toEqual([16, 0]);
  expect(run.same).toBe(true);
  expect(run.refused).toEqual(["option_invalid", "option_invalid", "released", "released"]);
});
