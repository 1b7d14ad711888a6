/** Weights of MobileSAM's that no hash tells: their boxes are answered by the decoder's first mask. */
import { goldenBox, synth } from "../golden.ts";
import { expect, test } from "../fixtures.ts";

test("a box is answered as the named model's own code does, by either door", async ({ app }) => {
  const { box, iou } = goldenBox("golden_256_synth");
  const page = await app.open();
  const run = await page.evaluate(
    async ({ box, pixels }) => {
      const photo = new ImageData(Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0)), 640, 480);
      const load = (options: object) => tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256, ...options });
      const engines = [await load({}), await load({ model: "tinysam" }), await load({ model: "mobilesam" }), await load({ model: "mobilesam" })];
      const boxes: number[] = [];
      const points: string[] = [];
      for (const sam of engines) {
        const image = await sam.embed(photo);
        const [boxed] = await image.segment({ box });
        const [pointed] = await image.segment({ points: [[192, 192]] });
        boxes.push(boxed!.score);
        points.push((await pointed!.toRle()).counts);
      }
      const three = await (await engines[2]!.embed(photo)).segment({ box, multimask: true });
      // A saved image says nothing of prompts: it is the same in both.
      const saved = await (await engines[0]!.embed(photo)).toBytes({ precision: "f32" });
      const [restored] = await (await engines[2]!.restore(saved)).segment({ box });
      const canvas = new OffscreenCanvas(640, 480);
      canvas.getContext("2d")!.putImageData(photo, 0, 0);
      const input = { image_url: await canvas.convertToBlob(), size: 256, box_prompt: [box], return_masks: true };
      tinysam.configure({ weights: "/models/formula.safetensors", device: "cpu", fallback: false });
      const scores = [];
      for (const model of ["tinysam", "mobilesam"] as const) {
        tinysam.configure({ model });
        const { data } = await tinysam.fal.run("fal-ai/tiny-sam", { input });
        scores.push(data.masks![0]!.score);
      }
      return { boxes, points: new Set(points).size, three: three.map(({ score }) => score), restored: restored!.score, scores };
    },
    { box: [...box] as [number, number, number, number], pixels: Buffer.from(synth(640, 480)).toString("base64") },
  );
  const [first, ...others] = iou as [number, ...number[]];
  const best = Math.max(...others);
  const near = (scores: number[], expected: number[]) => {
    expect(scores).toHaveLength(expected.length);
    scores.forEach((score, i) => expect(Math.abs(score - expected[i]!), `${i}: ${score}`).toBeLessThan(1e-4));
  };
  expect(Math.abs(first - best)).toBeGreaterThan(1e-2);
  near(run.boxes, [best, best, first, first]);
  expect(run.points).toBe(1);
  near(run.three, others);
  near([run.restored], [first]);
  near(run.scores, [best, first]);
});

test("loads that differ in it alone share no engine, and another name is refused", async ({ app }) => {
  const page = await app.open();
  const engines = (models: (string | undefined)[]) =>
    page.evaluate(async (models) => {
      const load = (model: string | null) => tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, workers: 1, ...(model === null ? {} : { model: model as never }) });
      const held = await Promise.all(models.map((model) => load(model ?? null)));
      Object.assign(globalThis, { held });
    }, models);
  await engines(["mobilesam", "mobilesam"]);
  expect(page.workers()).toHaveLength(1);
  await engines(["mobilesam", undefined]);
  expect(page.workers()).toHaveLength(2);
  const refused = await page.evaluate(() =>
    Promise.all(["mobileSAM", "", null].map((model) => tinysam.TinySam.load({ model: model as never }).then(() => "loaded", (error) => `${error.code}: ${error.message}`))),
  );
  for (const said of refused) expect(said).toMatch(/^option_invalid: model must be "tinysam" or "mobilesam"/);
});
