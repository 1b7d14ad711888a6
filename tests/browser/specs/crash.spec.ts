import { expect, test } from "../fixtures.ts";

test("a worker that dies is replaced, and nothing waits for ever", async ({ app, errors }) => {
  errors.expectError(/the end of this worker/);
  const page = await app.open();
  await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256, workers: 1 });
    const image = await sam.embed("/photos/coffee.png");
    const [mask] = await image.segment({ points: [[180, 160]] });
    Object.assign(globalThis, { held: { sam, image, mask, area: mask!.area } });
  });
  const [worker] = page.workers();
  // Everything that kills an engine, a panic above all, reaches the page as an uncaught error of its worker. In the middle
  // of the call, however busy the machine: the picture is being decoded.
  await worker!.evaluate(() => {
    globalThis.createImageBitmap = () => {
      setTimeout(() => {
        throw new Error("the end of this worker");
      });
      return new Promise(() => {});
    };
  });
  const pending = await page.evaluate(async () => {
    const { sam, image } = (globalThis as never as { held: Held }).held;
    const code = (promise: Promise<unknown>) => promise.then(() => "done", (error) => error.code as string);
    return Promise.all([code(sam.embed("/photos/coffee.png")), code(image.segment({ points: [[1, 1]] }))]);
  });
  expect(pending).toEqual(["crashed", "crashed"]);

  const after = await page.evaluate(async () => {
    const { sam, image, mask, area } = (globalThis as never as { held: Held }).held;
    const code = (promise: Promise<unknown>) => promise.then(() => "done", (error) => error.code as string);
    const old = [await code(image.segment({ points: [[1, 1]] })), await code(mask.logits())];
    image.free();
    mask.free();
    const fresh = await sam.embed("/photos/coffee.png");
    const [again] = await fresh.segment({ points: [[180, 160]] });
    return { old, same: again!.area === area, device: sam.device.kind };
  });
  expect(after).toEqual({ old: ["crashed", "crashed"], same: true, device: "cpu" });
  // A busy browser takes a while to end the one that was terminated.
  await expect.poll(() => page.workers().length).toBe(1);
  expect(page.workers()[0]).not.toBe(worker);
});

interface Held {
  sam: import("tinysam").TinySam;
  image: import("tinysam").SamImage;
  mask: import("tinysam").Mask;
  area: number;
}

test("a trap in the middle of a call is a crash", async ({ app, errors }) => {
  errors.expectError(/unreachable/);
  const page = await app.open();
  await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    Object.assign(globalThis, { sam });
  });
  // What the engine calls of the browser throws what a panic throws: it passes through its frames as a panic does.
  await page.workers()[0]!.evaluate(() => {
    Object.defineProperty(OffscreenCanvasRenderingContext2D.prototype, "imageSmoothingEnabled", {
      set: () => {
        throw new WebAssembly.RuntimeError("unreachable");
      },
    });
  });
  const outcome = await page.evaluate(async () => {
    const { sam } = globalThis as never as Held;
    const first = await sam.embed("/photos/coffee.png").then(() => "done", (error) => error.code as string);
    const image = await sam.embed("/photos/coffee.png");
    return [first, image.width];
  });
  expect(outcome).toEqual(["crashed", 600]);
});

test("on the page's own thread, too, nothing waits for ever, and what cannot go on says so", async ({ app, errors }) => {
  errors.expectError(/unreachable/);
  const page = await app.open();
  const outcome = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, worker: false });
    const told = (promise: Promise<unknown>) => promise.then(() => "done", ({ code, message }) => `${code}: ${message}`);
    await sam.embed("/photos/coffee.png");
    Object.defineProperty(OffscreenCanvasRenderingContext2D.prototype, "imageSmoothingEnabled", {
      set: () => {
        throw new WebAssembly.RuntimeError("unreachable, in tinysam");
      },
    });
    return [await told(sam.embed("/photos/coffee.png")), await told(sam.embed("/photos/coffee.png"))];
  });
  expect(outcome).toEqual([expect.stringMatching(/^crashed: the engine crashed/), expect.stringMatching(/^crashed: .*reload the page/)]);
});

test("on the page's own thread a trap in a call that answers at once is remembered, and ends every engine there", async ({ app }) => {
  const page = await app.open();
  const outcome = await page.evaluate(async () => {
    const options = { size: 64, worker: false };
    const sam = await tinysam.TinySam.load({ ...options, weights: "/models/formula.safetensors" });
    const other = await tinysam.TinySam.load({ ...options, weights: "/models/formula.safetensors?another" });
    const told = (promise: Promise<unknown>) => promise.then(() => "done", ({ code, message }) => `${code}: ${message}`);
    const [mask] = await (await sam.embed("/photos/coffee.png")).segment({ points: [[180, 160]] });
    const { Float32Array: real } = globalThis;
    // What the engine copies outlines into.
    globalThis.Float32Array = new Proxy(real, {
      construct() {
        throw new WebAssembly.RuntimeError("unreachable");
      },
    });
    const first = await told(mask!.toPolygons());
    globalThis.Float32Array = real;
    return [first, await told(other.embed("/photos/coffee.png")), await told(sam.embed("/photos/coffee.png"))];
  });
  expect(outcome[0]).toMatch(/^crashed: /);
  expect(outcome[1]).toMatch(/^crashed: /);
  expect(outcome[2]).toMatch(/^crashed: .*reload the page/);
});

test("on the page's own thread a model can be freed in the middle of a call", async ({ app }) => {
  const page = await app.open();
  const outcome = await page.evaluate(async () => {
    const load = () => tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 256, worker: false });
    const sam = await load();
    const call = sam.embed("/photos/coffee.png").then(() => "done", (error) => error.code as string);
    await new Promise((resolve) => setTimeout(resolve, 50));
    sam.free();
    const freed = await call;
    const image = await (await load()).embed("/photos/coffee.png");
    return [freed, image.width];
  });
  expect(outcome).toEqual(["released", 600]);
});
