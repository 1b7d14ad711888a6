import { difference } from "../golden.ts";
import { expect, test } from "../fixtures.ts";

// Parity with the goldens on WebGPU is `cargo xtask verify`'s; here it is the package around it, at a size that a
// software adapter can bear.

test("a software adapter counts as none, unless it is asked for", async ({ app }) => {
  const page = await app.open();
  const [auto, forced] = await page.evaluate(async () => [await tinysam.chooseDevice(), await tinysam.chooseDevice("webgpu")]);
  expect(auto).toMatchObject({ kind: "cpu", software: false, reason: expect.stringMatching(/software/) });
  expect(forced).toMatchObject({ kind: "webgpu", software: true, adapter: expect.stringMatching(/swiftshader/i) });
});

test("a device of the default limits suffices, without any feature that computes", async ({ app, page }) => {
  // Every WebGPU device has these limits. The adapter is made to know no others and no feature at all; the device is asked
  // for without a word about limits or features, and what was granted is looked at.
  await page.addInitScript(() => {
    const request = GPUAdapter.prototype.requestDevice;
    const granted: object[] = [];
    Object.assign(globalThis, { granted });
    let defaults: GPUSupportedLimits | undefined;
    Object.defineProperty(GPUAdapter.prototype, "features", { get: () => new Set() });
    const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "limits")!;
    Object.defineProperty(GPUAdapter.prototype, "limits", {
      get(this: GPUAdapter) {
        return defaults ?? (get!.call(this) as GPUSupportedLimits);
      },
    });
    GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter) {
      const device = await request.call(this);
      defaults ??= device.limits;
      const { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage } = device.limits;
      granted.push({ maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage, features: [...device.features] });
      return device;
    };
  });
  await app.open();
  const run = await page.evaluate(async () => {
    const masks = [];
    for (const device of ["cpu", "webgpu"] as const) {
      const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 128, device, worker: false });
      const image = await sam.embed("/photos/coffee.png");
      const [mask] = await image.segment({ points: [[180, 160]] });
      masks.push({ score: mask!.score, bits: [...(await mask!.toBits())] });
    }
    return { masks, granted: (globalThis as never as { granted: object[] }).granted };
  });
  expect(run.granted.at(-1)).toMatchObject({
    maxStorageBufferBindingSize: 128 << 20,
    maxBufferSize: 256 << 20,
    maxStorageBuffersPerShaderStage: 8,
  });
  const [cpu, gpu] = run.masks;
  expect(Math.abs(gpu!.score - cpu!.score)).toBeLessThan(1e-4);
  expect(difference(Uint8Array.from(gpu!.bits), Uint8Array.from(cpu!.bits), 600 * 400)).toBeLessThanOrEqual(1e-3);
});

test("an adapter that says nothing of itself is no error", async ({ app, page }) => {
  await page.addInitScript(() => Object.defineProperty(GPUAdapter.prototype, "info", { get: () => undefined }));
  await app.open();
  expect(await page.evaluate(() => tinysam.chooseDevice())).toMatchObject({ kind: "webgpu", adapter: "unnamed" });
});

test("WebGPU gives the CPU's mask, and a lost GPU is got again", async ({ app, errors }) => {
  errors.expectError(/device was lost/);
  const page = await app.open();
  const run = () =>
    page.evaluate(async () => {
      const masks = [];
      for (const device of ["cpu", "webgpu"] as const) {
        const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, device });
        const image = await sam.embed("/photos/coffee.png");
        const [mask] = await image.segment({ points: [[180, 160]] });
        masks.push({ device: sam.device.kind, score: mask!.score, bits: [...(await mask!.toBits())] });
        Object.assign(globalThis, { held: { sam, image } });
      }
      return masks;
    });
  const [cpu, gpu] = await run();
  expect([cpu!.device, gpu!.device]).toEqual(["cpu", "webgpu"]);
  expect(Math.abs(gpu!.score - cpu!.score)).toBeLessThan(1e-4);
  expect(difference(Uint8Array.from(gpu!.bits), Uint8Array.from(cpu!.bits), 600 * 400)).toBeLessThanOrEqual(1e-3);

  const session = await page.context().browser()!.newBrowserCDPSession();
  await session.send("Browser.crashGpuProcess");
  await session.detach();
  const again = await page.evaluate(async () => {
    const { sam, image } = (globalThis as never as { held: { sam: import("tinysam").TinySam; image: import("tinysam").SamImage } }).held;
    const code = () => image.segment({ points: [[180, 160]] }).then(() => "done", (error) => error.code as string);
    const lost = [await code(), await code()];
    const fresh = await sam.embed("/photos/coffee.png");
    const [mask] = await fresh.segment({ points: [[180, 160]] });
    return { lost, device: sam.device.kind, score: mask!.score };
  });
  expect(again).toEqual({ lost: ["device_lost", "device_lost"], device: "webgpu", score: gpu!.score });
});
