import { difference, goldenClick, synth } from "../golden.ts";
import { expect, test } from "../fixtures.ts";

test("a software adapter counts as none, unless it is asked for", async ({ app }) => {
  const page = await app.open();
  const [auto, forced] = await page.evaluate(async () => [await tinysam.chooseDevice(), await tinysam.chooseDevice("webgpu")]);
  expect(auto).toMatchObject({ kind: "cpu", software: false, reason: expect.stringMatching(/software/) });
  expect(forced).toMatchObject({ kind: "webgpu", software: true, adapter: expect.stringMatching(/swiftshader/i) });
});

test("a click on WebGPU gives the reference's mask", async ({ app }) => {
  const golden = goldenClick("golden_256_synth");
  const page = await app.open();
  const run = await page.evaluate(
    async ({ pixels, point }) => {
      const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256, device: "webgpu" });
      const data = Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0));
      const image = await sam.embed(new ImageData(data, 640, 480));
      const [mask] = await image.segment({ points: [point] });
      return { device: sam.device.kind, score: mask!.score, bits: [...(await mask!.toBits())] };
    },
    { pixels: Buffer.from(synth(640, 480)).toString("base64"), point: golden.point },
  );
  expect(run.device).toBe("webgpu");
  expect(difference(Uint8Array.from(run.bits), golden.bits, 640 * 480)).toBeLessThanOrEqual(1e-3);
  expect(Math.abs(run.score - Math.max(...golden.iou.slice(1)))).toBeLessThan(1e-4);
});
