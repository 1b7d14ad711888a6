import { expect, test } from "../fixtures.ts";

interface Held {
  sam: import("tinysam").TinySam;
}

test("however many workers, every bit is the same", async ({ app }) => {
  const page = await app.open();
  const requests: string[] = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  const seen = await page.evaluate(async () => {
    const hex = async (bytes: ArrayBuffer | ArrayBufferView<ArrayBuffer>) =>
      Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const results: unknown[] = [];
    for (const workers of [1, 2, 3]) {
      const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", cache: false, workers });
      const of: unknown[] = [];
      // 256 and 448 are two windows high, 512 is three; a crop, and a photo that is mostly padding.
      for (const [size, crop] of [[256, undefined], [448, [100, 50, 300, 60]], [512, undefined]] as const) {
        const image = await sam.embed("/photos/coffee.png", { size, ...(crop && { crop }) });
        const [mask] = await image.segment({ points: [[180, 80]] });
        of.push(await hex(await image.toBytes({ precision: "f32" })), await hex(await mask!.logits()), mask!.score);
        image.free();
      }
      const image = await sam.embed("/photos/coffee.png", { size: 256 });
      const points = Array.from({ length: 30 }, (_, i) => ({ points: [[20 * i, 13 * i]] as [number, number][] }));
      const boxes = { boxes: Array.from({ length: 7 }, (_, i) => [40 * i, 20 * i, 90, 70] as [number, number, number, number]) };
      const each = (await image.segment([...points, boxes])).flat();
      const all = await image.everything({ pointsPerSide: 16, predIouThresh: 0, stabilityScoreThresh: 0, boxNmsThresh: 1 }).masks;
      for (const mask of [...each, ...all]) of.push((await mask.toRle()).counts, mask.score);
      results.push({ workers: sam.device.workers, masks: each.length + all.length, of: await hex(new TextEncoder().encode(JSON.stringify(of))) });
      sam.free();
    }
    return results as { workers: number; masks: number; of: string }[];
  });
  expect(seen.map(({ workers }) => workers)).toEqual([1, 2, 3]);
  expect(new Set(seen.map(({ of }) => of)).size).toBe(1);
  expect(seen[0]!.masks).toBeGreaterThan(100);
  // Both are fetched once for all workers of an engine.
  expect(requests.filter((path) => path.endsWith("formula.safetensors"))).toHaveLength(3);
  expect(requests.filter((path) => path.endsWith(".wasm"))).toHaveLength(3);
});

test("an address that serves something else costs no worker", async ({ app }) => {
  const page = await app.open();
  const seen = await page.evaluate(async () => {
    const weights = ["/photos/coffee.png", "/models/formula.safetensors"];
    const sam = await tinysam.TinySam.load({ weights, device: "cpu", size: 256, workers: 2 });
    const image = await sam.embed("/photos/coffee.png");
    return { workers: sam.device.workers, width: image.width };
  });
  expect(seen).toEqual({ workers: 2, width: 600 });
});

test("as many workers as the machine is good for, unless the application says it", async ({ app }) => {
  const page = await app.open();
  const seen = await page.evaluate(async () => {
    const load = (options: import("tinysam").LoadOptions) =>
      tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, ...options }).then(
        async (sam) => {
          const told = [sam.device.workers, sam.device.instructions];
          sam.free();
          return told;
        },
        (error) => error.code as string,
      );
    const machine = (hardwareConcurrency: number, deviceMemory: number | undefined) => {
      Object.defineProperty(navigator, "hardwareConcurrency", { configurable: true, get: () => hardwareConcurrency });
      Object.defineProperty(navigator, "deviceMemory", { configurable: true, get: () => deviceMemory });
    };
    const counts: unknown[] = [];
    for (const [cores, memory] of [[1, 8], [2, 8], [3, 0.5], [6, 2]] as const) {
      machine(cores, memory);
      counts.push((await load({}))[0]);
    }
    const [, instructions] = await load({ worker: false, workers: 3 });
    return { counts, instructions, alone: (await load({ worker: false }))[0], odd: [await load({ workers: 0 }), await load({ workers: 1.5 }), await load({ workers: 17 })] };
  });
  expect(seen).toEqual({ counts: [1, 2, 1, 2], instructions: "relaxed-simd", alone: 1, odd: ["option_invalid", "option_invalid", "option_invalid"] });
});

/** Ends a worker by an exception that nobody catches, at the next message that it sends to another worker. */
const dieAtNextMessage = () => {
  MessagePort.prototype.postMessage = () => {
    setTimeout(() => {
      throw new Error("the end of this worker");
    });
  };
};

test("a worker that dies is done without, and what was asked for comes all the same", async ({ app, errors }) => {
  errors.expectError(/the end of this worker/);
  const page = await app.open();
  await page.evaluate(async () => {
    Object.assign(globalThis, { sam: await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 512, workers: 3 }) });
  });
  const [, second, third] = page.workers();
  const embed = () =>
    page.evaluate(async () => {
      const { sam } = globalThis as never as Held;
      const image = await sam.embed("/photos/coffee.png");
      const bytes = await image.toBytes({ precision: "f32" });
      const digest = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))).join();
      Object.assign(globalThis, { image });
      return { digest, workers: sam.device.workers };
    });
  const whole = await embed();
  expect(whole.workers).toBe(3);
  await second!.evaluate(dieAtNextMessage);
  expect(await embed()).toEqual({ digest: whole.digest, workers: 2 });
  // In the middle of everything.
  await third!.evaluate(dieAtNextMessage);
  const outcome = await page.evaluate(async () => {
    const { sam, image } = globalThis as never as Held & { image: import("tinysam").SamImage };
    const options = { pointsPerSide: 16, predIouThresh: 0, stabilityScoreThresh: 0 };
    const rles = async (masks: readonly import("tinysam").Mask[]) => JSON.stringify(await Promise.all(masks.map((mask) => mask.toRle())));
    const broken = await rles(await image.everything(options).masks);
    const workers = sam.device.workers;
    return { workers, same: broken === (await rles(await image.everything(options).masks)), some: broken.length > 1000 };
  });
  expect(outcome).toEqual({ workers: 1, same: true, some: true });
  await expect.poll(() => page.workers().length).toBe(1);
});

test("when the first worker dies, the next engine has one less", async ({ app, errors }) => {
  errors.expectError(/the end of this worker/);
  const page = await app.open();
  await page.evaluate(async () => {
    Object.assign(globalThis, { sam: await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 512, workers: 3 }) });
  });
  await page.workers()[0]!.evaluate(dieAtNextMessage);
  const seen = await page.evaluate(async () => {
    const { sam } = globalThis as never as Held;
    const first = await sam.embed("/photos/coffee.png").then(() => "done", (error) => error.code as string);
    const image = await sam.embed("/photos/coffee.png");
    return [first, image.width, sam.device.workers];
  });
  expect(seen).toEqual(["crashed", 600, 2]);
  // Its others went with it.
  await expect.poll(() => page.workers().length).toBe(2);
});

test("an encode that is stopped is stopped everywhere, and the next one is right", async ({ app }) => {
  const page = await app.open();
  const seen = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 512, workers: 3 });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const digest = async (image: import("tinysam").SamImage) =>
      Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", await image.toBytes({ precision: "f32" })))).join();
    const expected = await digest(await sam.embed(photo));
    const codes = new Set<string>();
    const outcomes: boolean[] = [];
    for (let wait = 0; wait < 320; wait += 40) {
      const stop = new AbortController();
      const stopped = sam.embed(photo, { signal: stop.signal }).then(() => "done", (error) => error.code as string);
      setTimeout(() => stop.abort(), wait);
      const next = sam.embed(photo);
      codes.add(await stopped);
      outcomes.push((await digest(await next)) === expected);
    }
    return { aborted: codes.has("aborted"), outcomes, workers: sam.device.workers };
  });
  expect(seen).toEqual({ aborted: true, outcomes: Array(8).fill(true), workers: 3 });
});

test("a worker that cannot be started is done without", async ({ app }) => {
  const page = await app.open();
  const seen = await page.evaluate(async () => {
    const { Worker } = globalThis;
    let made = 0;
    // As where a policy, or what a machine has, allows one and no more.
    globalThis.Worker = class extends Worker {
      constructor(...how: ConstructorParameters<typeof Worker>) {
        if (++made > 1) throw new Error("no more workers");
        super(...how);
      }
    };
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 512, workers: 3 });
    const image = await sam.embed("/photos/coffee.png");
    return { workers: sam.device.workers, width: image.width };
  });
  expect(seen).toEqual({ workers: 1, width: 600 });
});

test("memory is that of all workers", async ({ app }) => {
  const page = await app.open();
  const [one, three] = await page.evaluate(async () => {
    const memory = async (workers: number) => {
      const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, workers });
      const bytes = await sam.memory();
      sam.free();
      return bytes;
    };
    return [await memory(1), await memory(3)];
  });
  expect(three).toBeGreaterThan(2.5 * one!);
});
