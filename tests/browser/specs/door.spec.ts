/** The engine's door: what it shares and lets go, which names it knows, and pictures by what they are. */
import type { Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";

test("loads of the same settings share an engine, which ends with the last that holds it", async ({ app }) => {
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const weights = "/models/formula.safetensors";
    const code = (promise: Promise<unknown>) => promise.then(() => "answered", (error) => error.code as string);
    const phases: string[][] = [[], []];
    const load = (size: number, of?: string[]) => tinysam.TinySam.load({ weights, size, workers: 1, onProgress: ({ phase }) => of?.push(phase) });
    // As a framework does that mounts twice: the first is let go while the second is asked for.
    const stop = new AbortController();
    const stopped = code(tinysam.TinySam.load({ weights, workers: 1, signal: stop.signal }));
    const both = Promise.all([load(64, phases[0]), load(128, phases[1])]);
    stop.abort();
    const [first, second] = await both;
    const image = await first.embed("/photos/coffee.png");
    const other = await second.embed("/photos/coffee.png");
    const masks = await image.segment([{ points: [[1, 1]] }, { points: [[90, 90]] }]);
    masks[0]![0]!.free();
    const freed: string[] = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message: object, ...rest: [never]) {
      freed.push(...Object.keys(message).filter((name) => name.startsWith("free")));
      return post.call(this, message, ...rest);
    };
    first.free();
    first.free();
    Worker.prototype.postMessage = post;
    const result = {
      stopped: await stopped,
      phases: phases.map((seen) => seen.includes("prepare")),
      sizes: [image.size, other.size],
      freed: [await code(first.embed("/photos/coffee.png")), await code(image.segment({ points: [[1, 1]] })), await code(first.memory())],
      frees: freed.sort(),
      kept: await code(other.segment({ points: [[1, 1]] })),
      apart: (await tinysam.TinySam.load({ weights, size: 64, worker: false })) !== undefined,
    };
    Object.assign(globalThis, { second });
    return result;
  });
  expect(run).toEqual({
    stopped: "aborted",
    phases: [true, true],
    sizes: [64, 128],
    freed: ["released", "released", "released"],
    // What the first had of the shared engine; the second's stays.
    frees: ["freeEmbedding", "freeMask"],
    kept: "answered",
    apart: true,
  });
  expect(page.workers()).toHaveLength(1);
  await page.evaluate(() => (globalThis as never as { second: import("tinysam").TinySam }).second.free());
  await expect.poll(() => page.workers().length).toBe(0);
  // What comes then starts anew.
  const again = await page.evaluate(async () => (await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 })).device.kind);
  expect(again).toBe("cpu");
});

test("of two loads that give the same function the one that goes on is heard", async ({ app }) => {
  const page = await app.open();
  const phases = await page.evaluate(async () => {
    const seen: string[] = [];
    const stop = new AbortController();
    const onProgress = ({ phase }: { phase: string }) => void seen.push(phase);
    const load = (signal?: AbortSignal) => tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, onProgress, ...(signal && { signal }) });
    const stopped = load(stop.signal).catch(() => undefined);
    stop.abort();
    const second = load();
    await stopped;
    seen.length = 0;
    await second;
    return seen;
  });
  expect(phases).toContain("prepare");
});

test("an image element that is turned to another picture is not taken for it", async ({ app }) => {
  const page = await app.open();
  const said = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const element = Object.assign(new Image(), { src: "/photos/coffee.png" });
    await element.decode();
    const early = sam.embed(element).then((image) => `${image.width}`, (error) => `${error.code}: ${error.message}`);
    element.src = "/photos/coffee.png?another";
    const told = await early;
    element.src = "/photos/coffee.png";
    return [told, await sam.embed(element).then((image) => image.width)];
  });
  expect(said).toEqual([expect.stringMatching(/^image_invalid: the image element was given another picture/), 600]);
});

test("a load that fails is no engine to share, and one that is stopped ends its worker", async ({ app, errors }) => {
  errors.expectError(/404/);
  const page = await app.open();
  const codes = await page.evaluate(async () => {
    const code = (promise: Promise<unknown>) => promise.then(() => "loaded", (error) => error.code as string);
    const none = () => code(tinysam.TinySam.load({ weights: "/models/none.safetensors" }));
    const stop = new AbortController();
    const stalled = code(tinysam.TinySam.load({ weights: "/faulty/stall/models/formula.safetensors", signal: stop.signal, onProgress: ({ phase }) => phase === "download" && stop.abort() }));
    return [...(await Promise.all([none(), none()])), await none(), await stalled];
  });
  expect(codes).toEqual(["checkpoint_unreachable", "checkpoint_unreachable", "checkpoint_unreachable", "aborted"]);
  await expect.poll(() => page.workers().length).toBe(0);
});

/** Has the page's garbage collected. */
async function collect(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  await session.detach();
}

test("a forgotten engine is collected, one of which an image is held is not", async ({ app }) => {
  const page = await app.open();
  await page.evaluate(async () => {
    const image = await (await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, workers: 1 })).embed("/photos/coffee.png");
    Object.assign(globalThis, { image });
  });
  await collect(page);
  const area = () =>
    page.evaluate(async () => {
      const [mask] = await (globalThis as never as { image: import("tinysam").SamImage }).image.segment({ points: [[180, 160]] });
      return mask!.area;
    });
  expect(await area()).toBeGreaterThan(0);
  await collect(page);
  expect(await area()).toBeGreaterThan(0);
  expect(page.workers()).toHaveLength(1);
  await page.evaluate(() => Reflect.deleteProperty(globalThis, "image"));
  await expect
    .poll(async () => {
      await collect(page);
      return page.workers().length;
    })
    .toBe(0);
});

test("names that mean nothing are told", async ({ app }) => {
  const page = await app.open();
  const said = await page.evaluate(async () => {
    const attempt = async (call: () => unknown) => {
      try {
        await call();
        return "answered";
      } catch (error) {
        return error instanceof tinysam.TinySamError ? `${error.code}: ${error.message}` : `not ours: ${String(error)}`;
      }
    };
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const [mask] = await image.segment({ points: [[1, 1]] });
    const odd = (options: object) => options as never;
    return {
      load: await attempt(() => tinysam.TinySam.load(odd({ wieghts: "/models/formula.safetensors" }))),
      embed: await attempt(() => sam.embed("/photos/coffee.png", odd({ sise: 64 }))),
      segment: await attempt(() => image.segment({ points: [[1, 1]] }, odd({ latets: true }))),
      refine: await attempt(() => mask!.refine(odd({ points: [[1, 1]], label: [1] }))),
      everything: await attempt(() => image.everything(odd({ points_per_side: 8 }))),
      count: await attempt(() => image.everything({ minMaskRegionArea: 60.7 }).masks),
      text: await attempt(() => image.everything({ pointsPerSide: "32" as never }).masks),
      configure: await attempt(() => tinysam.configure(odd({ fallbak: false }))),
      null: await attempt(() => tinysam.TinySam.load(null as never)),
      undefined: await attempt(() => image.segment({ points: [[1, 1]], box: undefined } as never, undefined)),
    };
  });
  const { undefined: fine, refine, ...refused } = said;
  expect(fine).toBe("answered");
  expect(refine).toMatch(/^prompt_invalid: a refinement has no "label"; there is points, labels, multimask/);
  for (const [name, words] of Object.entries(refused)) expect(words, name).toMatch(/^option_invalid: /);
  expect(said.load).toContain('no "wieghts"; there is weights, sha256');
  expect(said.count).toContain("minMaskRegionArea: invalid type: floating point `60.7`, expected a whole number from 0 on");
  expect(said.text).toContain('pointsPerSide: invalid type: string "32", expected a whole number from 0 on');
  expect(said.everything).toContain('no "points_per_side"; there is signal, onProgress, pointsPerSide');
});

test("pictures and weights of another window are what they are here, and plain pixels are pixels", async ({ app, errors }) => {
  errors.expectError(/CORS|ERR_/);
  const page = await app.open();
  const run = await page.evaluate(async () => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    const other = frame.contentWindow as never as typeof globalThis & Window;
    const bytes = await (await fetch("/photos/coffee.png")).arrayBuffer();
    const blob = new other.Blob([bytes]);
    const bitmap = await other.createImageBitmap(blob);
    const element = Object.assign(other.document.createElement("img"), { src: "/photos/coffee.png" });
    const canvas = Object.assign(other.document.createElement("canvas"), { width: 600, height: 400 });
    canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
    const offscreen = new other.OffscreenCanvas(600, 400);
    offscreen.getContext("2d")!.drawImage(bitmap, 0, 0);
    const pixels = canvas.getContext("2d")!.getImageData(0, 0, 600, 400);
    const sam = await tinysam.TinySam.load({ weights: new other.URL("/models/formula.safetensors", location.href), size: 64 });
    const sources = {
      "the file": new Blob([bytes]),
      blob,
      file: new other.File([bytes], "coffee.png"),
      url: new other.URL("/photos/coffee.png", location.href),
      bitmap,
      element,
      canvas,
      offscreen,
      pixels,
      plain: { width: 600, height: 400, data: pixels.data },
      bytes: { width: 600, height: 400, data: new Uint8Array(pixels.data) },
      proxy: new Proxy({ width: 600, height: 400, data: pixels.data }, {}),
    };
    const facts: Record<string, string> = {};
    const area = async (source: unknown) => {
      const image = await sam.embed(source as never);
      const [mask] = await image.segment({ points: [[180, 160]] });
      return `${mask!.area} ${mask!.score}`;
    };
    for (const [name, source] of Object.entries(sources)) facts[name] = await area(source).catch((error) => `${error.code}: ${error.message}`);
    // What happens to the caller's pixels afterwards is not seen.
    const changing = { width: 600, height: 400, data: pixels.data.slice() };
    const early = area(changing);
    changing.data.fill(0);
    facts["changed after"] = await early;
    const frameOf = new other.VideoFrame(bitmap, { timestamp: 0 });
    const code = (promise: Promise<unknown>) => promise.then(() => "answered", (error) => `${error.code}: ${error.message}`);
    const refused = {
      short: await code(sam.embed({ width: 600, height: 400, data: new Uint8ClampedArray(7) })),
      fraction: await code(sam.embed({ width: 1.5, height: 2, data: new Uint8ClampedArray(12) })),
      empty: await code(sam.embed({ width: 0, height: 0, data: new Uint8ClampedArray() })),
      floats: await code(sam.embed({ width: 1, height: 1, data: new Float32Array(4) } as never)),
      buffer: await code(sam.embed(bytes as never)),
      proxy: await code(sam.embed(new Proxy(pixels, {}))),
      null: await code(sam.embed(null as never)),
      response: await code(sam.embed(new Response() as never)),
      weights: await code(tinysam.TinySam.load({ weights: { url: "/models" } as never })),
    };
    const videoFrame = await code(sam.embed(frameOf));
    frameOf.close();
    const weights: string[] = [];
    for (const from of [await other.fetch("/models/formula.safetensors"), new other.Blob([await (await fetch("/models/formula.safetensors")).arrayBuffer()])]) {
      weights.push(await code(tinysam.TinySam.load({ weights: from as never, size: 64 })));
    }
    return { facts, refused, videoFrame, weights };
  });
  const { "the file": expected, ...others } = run.facts;
  for (const [name, found] of Object.entries(others)) expect(found, name).toBe(expected);
  expect(run.videoFrame).toBe("answered");
  expect(run.weights).toEqual(["answered", "answered"]);
  const { weights, ...pictures } = run.refused;
  expect(weights).toMatch(/^option_invalid: weights must be a URL/);
  for (const [name, words] of Object.entries(pictures)) expect(words, name).toMatch(/^image_invalid: /);
  expect(pictures.buffer).toContain("new Blob([bytes])");
  expect(pictures.proxy).toContain("toRaw");
});

test("a canvas that gives back noise, or nothing, is told from a picture", async ({ app, page, errors }) => {
  errors.expectError(/pixels_protected|noise/);
  await app.open();
  const said = await page.evaluate(async () => {
    const truly = OffscreenCanvasRenderingContext2D.prototype.getImageData;
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64, worker: false });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const answer = (source: import("tinysam").ImageSource) =>
      sam.embed(source).then(
        (image) => (image.free(), "embedded"),
        (error) => `${error.code}: ${error.message}`,
      );
    const said: Record<string, string> = {};
    // As browsers do that protect their users: every read is other noise, or the same nothing.
    const protections: Record<string, (data: Uint8ClampedArray<ArrayBuffer>) => void> = {
      noise: (data) => crypto.getRandomValues(data.subarray(0, 65_536)),
      white: (data) => void data.fill(255),
      transparent: (data) => void data.fill(0),
      "lowest bits": (data) => data.forEach((value, i) => (data[i] = i % 4 === 3 ? value : value ^ (i & 1))),
    };
    for (const [name, change] of Object.entries(protections)) {
      OffscreenCanvasRenderingContext2D.prototype.getImageData = function (...args: [number, number, number, number]) {
        const read = truly.apply(this, args);
        change(read.data);
        return read;
      };
      said[name] = await answer(photo);
      if (name === "transparent") said["pixels of one's own"] = await answer(new ImageData(64, 64));
    }
    OffscreenCanvasRenderingContext2D.prototype.getImageData = truly;
    said.allowed = await answer(photo);
    return said;
  });
  for (const name of ["noise", "white", "transparent"]) expect(said[name], name).toMatch(/^pixels_protected: .*allow this site to read canvas data, or give an ImageData/);
  for (const name of ["lowest bits", "pixels of one's own", "allowed"]) expect(said[name], name).toBe("embedded");
});

test("the doors have entries of their own", async ({ app, page }) => {
  await app.open("bare");
  const run = await page.evaluate(async () => {
    const [engine, fal, both] = await Promise.all(["engine", "fal", "index"].map((name) => import(`${location.href}tinysam/${name}.js`) as Promise<Record<string, unknown>>));
    return {
      engine: ["TinySam", "Mask", "fal"].map((name) => name in engine!),
      fal: ["fal", "configure", "TinySam"].map((name) => name in fal!),
      same: both!.TinySam === engine!.TinySam && both!.fal === fal!.fal,
    };
  });
  expect(run).toEqual({ engine: [true, true, false], fal: [true, true, false], same: true });
});

test("frameworks keep the handles as they are", async ({ app }) => {
  const page = await app.open();
  const kinds = await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    const image = await sam.embed("/photos/coffee.png");
    const [mask] = await image.segment({ points: [[180, 160]] });
    const run = image.everything({ pointsPerSide: 4 });
    await run.masks;
    // Vue makes proxies of what is an Object, Array, Map or Set by this name; private fields are out of a proxy's reach.
    return [sam, image, mask, run].map((handle) => Object.prototype.toString.call(handle));
  });
  expect(kinds).toEqual(["[object TinySam]", "[object SamImage]", "[object Mask]", "[object Everything]"]);
});

test("both doors share an engine on the CPU, and a hash is of the weights that it was named with", async ({ app }) => {
  const page = await app.open();
  const open = () => page.workers().length;
  await page.evaluate(async () => {
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", size: 64 });
    Object.assign(globalThis, { sam });
  });
  const before = open();
  const served = await page.evaluate(async () => {
    const first = await tinysam.configure({ weights: "/models/formula.safetensors", fallback: false }).preload();
    return [first, (globalThis as never as { sam: import("tinysam").TinySam }).sam.checkpointSha256] as const;
  });
  expect(served[0]).toBe("cpu");
  expect(open()).toBe(before);
  const after = await page.evaluate(async (sha256) => {
    const { sam } = globalThis as never as { sam: import("tinysam").TinySam };
    await tinysam.configure({ sha256: "00".repeat(32) }).preload().catch((error) => error);
    const told = await tinysam.configure({ weights: new URL("/models/formula.safetensors", location.href) }).preload();
    return [told, sam.checkpointSha256 === sha256];
  }, served[1]);
  expect(after).toEqual(["cpu", true]);
});
