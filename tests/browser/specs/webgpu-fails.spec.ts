/**
 * GPUs that fail: each failure is an answer with a code and words, and where the choice of device was ours the CPU goes on.
 * The GPU here is a program; it is made to look like a real one, so that `auto` takes it.
 */
import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";

/** An adapter that says of itself what a real one says. */
const REAL = `
  const { get: told } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "info");
  const real = { vendor: "acme", architecture: "one", device: "", description: "", isFallbackAdapter: false };
  Object.defineProperty(GPUAdapter.prototype, "info", {
    get() {
      const info = told.call(this);
      return new Proxy(info, { get: (_, name) => (name in real ? real[name] : Reflect.get(info, name, info)) });
    },
  });
  const { requestDevice } = GPUAdapter.prototype;
  let device;
  GPUAdapter.prototype.requestDevice = async function (...how) {
    return (device = await requestDevice.apply(this, how));
  };
  let embedding = false;
  addEventListener("message", ({ data }) => (embedding ||= data?.name === "embed"));`;

/** Has the worker's GPU sabotaged by a script of its own. */
async function sabotage(page: Page, script: string): Promise<void> {
  await page.addInitScript(REAL);
  await page.context().route(/\/worker-webgpu[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `{${REAL}${script}}\n${await response.text()}` });
  });
}

/** Loads under `auto`, embeds at `sizes` in turn, and tells what came of each. */
async function run(page: Page, sizes: number[]): Promise<{ devices: string[]; reasons: string[]; outcomes: string[] }> {
  return page.evaluate(async (sizes) => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const devices = [sam.device.kind];
    const reasons = [sam.device.reason];
    const outcomes: string[] = [];
    for (const size of sizes) {
      const outcome = await sam.embed("/photos/coffee.png", { size }).then(
        async (image) => `${(await image.segment({ points: [[180, 160]] })).length} mask`,
        (error) => error.code as string,
      );
      outcomes.push(outcome);
      devices.push(sam.device.kind);
      reasons.push(sam.device.reason);
    }
    sam.free();
    return { devices, reasons, outcomes };
  }, sizes);
}

test("a GPU that works serves, without timestamp queries, and says so", async ({ app, page }) => {
  await sabotage(page, `Object.defineProperty(GPUAdapter.prototype, "features", { get: () => new Set() });`);
  const { devices, reasons, outcomes } = await run(await app.open(), [64]);
  expect(outcomes).toEqual(["1 mask"]);
  expect(devices).toEqual(["webgpu", "webgpu"]);
  expect(reasons[0]).toMatch(/acme one/);
});

test("a GPU without memory for a large picture answers, and is left for the CPU once", async ({ app, page }) => {
  // It has none for buffers over 128 KiB once it encodes: an embedding at 64 takes less, one at 256 more.
  await sabotage(
    page,
    `const { createBuffer } = GPUDevice.prototype;
     GPUDevice.prototype.createBuffer = function (how) {
       if (embedding && how.size > 1 << 17) {
         const error = new GPUOutOfMemoryError("no memory");
         this.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
       }
       return createBuffer.call(this, how);
     };`,
  );
  const { devices, reasons, outcomes } = await run(await app.open(), [64, 256, 64]);
  expect(outcomes).toEqual(["1 mask", "out_of_memory", "1 mask"]);
  expect(devices).toEqual(["webgpu", "webgpu", "webgpu", "cpu"]);
  expect(reasons.at(-1)).toMatch(/GPU failed.*memory/);
});

test("a driver's complaint that nobody waits for is the answer of the call it came in", async ({ app, page }) => {
  await sabotage(
    page,
    `const { submit } = GPUQueue.prototype;
     GPUQueue.prototype.submit = function (...buffers) {
       if (embedding) {
         const error = new GPUInternalError("the driver gave up");
         device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
       }
       return submit.apply(this, buffers);
     };`,
  );
  const { devices, reasons, outcomes } = await run(await app.open(), [64, 64]);
  expect(outcomes).toEqual(["internal", "1 mask"]);
  expect(devices.at(-1)).toBe("cpu");
  expect(reasons.at(-1)).toMatch(/the driver gave up/);
});

test("a GPU that is lost in a call is left for the CPU", async ({ app, page, errors }) => {
  errors.expectError(/lost|destroyed/i);
  await sabotage(
    page,
    `const { submit } = GPUQueue.prototype;
     GPUQueue.prototype.submit = function (...buffers) {
       if (embedding) device.destroy();
       return submit.apply(this, buffers);
     };`,
  );
  const { devices, reasons, outcomes } = await run(await app.open(), [64, 64, 64]);
  expect(outcomes).toEqual(["device_lost", "1 mask", "1 mask"]);
  expect(devices).toEqual(["webgpu", "webgpu", "cpu", "cpu"]);
  expect(reasons.at(-1)).toMatch(/GPU failed.*lost/);
});

test("a kernel that a driver refuses is found when the model is loaded", async ({ app, page, errors }) => {
  errors.expectError(/WGSL compilation failed|shader/i);
  await sabotage(
    page,
    `const { createShaderModule } = GPUDevice.prototype;
     GPUDevice.prototype.createShaderModule = function (how) {
       const code = how.code.includes("fn heads(") ? how.code + "refused" : how.code;
       return createShaderModule.call(this, { ...how, code });
     };`,
  );
  const { devices, reasons, outcomes } = await run(await app.open(), [64]);
  expect(devices).toEqual(["cpu", "cpu"]);
  expect(reasons[0]).toMatch(/WebGPU did not start.*driver/);
  expect(outcomes).toEqual(["1 mask"]);
});

test("a GPU that computes wrong numbers is refused, with the reason", async ({ app, page }) => {
  await sabotage(
    page,
    `const { createShaderModule } = GPUDevice.prototype;
     GPUDevice.prototype.createShaderModule = function (how) {
       const code = how.code.replace("0.5 + t * p / q", "0.501 + t * p / q");
       return createShaderModule.call(this, { ...how, code });
     };`,
  );
  const { devices, reasons, outcomes } = await run(await app.open(), [64]);
  expect(devices).toEqual(["cpu", "cpu"]);
  expect(reasons[0]).toMatch(/wrong numbers/);
  expect(outcomes).toEqual(["1 mask"]);
});

test("two loads at once share a device", async ({ app, page }) => {
  await page.addInitScript(REAL);
  const areas = await (await app.open()).evaluate(async () => {
    const load = () => tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, device: "webgpu", worker: false });
    const models = await Promise.all([load(), load()]);
    const masks = await Promise.all(
      models.map(async (sam) => (await (await sam.embed("/photos/coffee.png")).segment({ points: [[180, 160]] }))[0]!.area),
    );
    return masks;
  });
  expect(areas[0]).toBe(areas[1]);
});
