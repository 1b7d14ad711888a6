/** The package in pages that are unlike its own host: another origin, a frame without one, and strict policies. */
import type { Frame, Page } from "@playwright/test";
import { expect, test } from "../fixtures.ts";

type Options = { worker?: boolean; workers?: number; assets?: string };

/** Loads with the package of a page or frame, and segments; the mask's area, or the error. */
function segment(page: Page | Frame, host: string, options: Options = {}): Promise<{ area?: number; code?: string; message?: string }> {
  return page.evaluate(
    async ([host, options]) => {
      try {
        const sam = await tinysam.TinySam.load({ weights: `${host}/models/formula.safetensors`, device: "cpu", size: 64, ...options });
        const image = await sam.embed(new ImageData(64, 64));
        const [mask] = await image.segment({ points: [[20, 20]] });
        const { area } = mask!;
        sam.free();
        return { area };
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        return { code, message };
      }
    },
    [host, options] as const,
  );
}

async function open(page: Page, address: string): Promise<Page> {
  await page.goto(address);
  await page.waitForFunction(() => "tinysam" in globalThis);
  return page;
}

const DONE = { area: expect.any(Number) };

test("the package of another origin works by itself, in its worker", async ({ page, address, errors }) => {
  errors.expectError(/404/); // the photo's page has no icon
  const other = `${address.replace("127.0.0.1", "localhost")}/under/shared`;
  await page.goto(`${address}/photos/coffee.png`);
  await page.evaluate(async (entry) => Object.assign(globalThis, { tinysam: await import(entry) }), `${other}/bare/tinysam/index.js`);
  const workers: string[] = [];
  page.on("worker", (worker) => workers.push(worker.url()));
  expect(await segment(page, other, { workers: 1 })).toEqual(DONE);
  expect(workers.filter((url) => url.startsWith("blob:"))).toHaveLength(1);
  expect(await segment(page, other, { worker: false })).toEqual(DONE);
});

test("so does one that is not to be read from there, up to its module, which says so", async ({ page, address, errors }) => {
  errors.expectError(/CORS|ERR_FAILED/);
  const other = address.replace("127.0.0.1", "localhost");
  const own = await open(page, `${address}/bare/`);
  const failure = await segment(own, address, { assets: `${other}/bare/tinysam` });
  expect(failure).toEqual({ code: "module_unreachable", message: expect.stringContaining("CORS") });
});

test("in a sandboxed frame it works by itself", async ({ page, address }) => {
  await page.goto(`${address}/bare/`);
  const source = `${address}/under/shared`;
  await page.evaluate((url) => {
    const frame = Object.assign(document.createElement("iframe"), { src: url });
    frame.setAttribute("sandbox", "allow-scripts");
    document.body.append(frame);
  }, `${source}/bare/`);
  await expect.poll(() => page.frames().length).toBe(2);
  const frame = page.frames()[1]!;
  await frame.waitForFunction(() => "tinysam" in globalThis);
  expect(await frame.evaluate(() => globalThis.origin)).toBe("null");
  expect(await segment(frame, source)).toEqual(DONE);
});

test("isolated by its HTML alone, a page starts the worker all the same", async ({ page, address, errors }) => {
  errors.expectError(/ERR_BLOCKED_BY_RESPONSE/);
  await open(page, `${address}/under/isolation/bare/`);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(await segment(page, address)).toEqual(DONE);
});

test("without 'wasm-unsafe-eval' the error names it", async ({ page, address, errors }) => {
  errors.expectError(/Content Security Policy/);
  await open(page, `${address}/under/no-wasm/bare/`);
  const failure = await segment(page, address, { worker: false });
  expect(failure).toEqual({ code: "unsupported", message: expect.stringContaining("add 'wasm-unsafe-eval' to its script-src") });
});

test("a picture that the page's own policy forbids to read is told as that", async ({ page, address, errors }) => {
  errors.expectError(/Content Security Policy/);
  await open(page, `${address}/under/own-only/bare/`);
  const failures = await page.evaluate(async () => {
    // On the page's own thread: a worker is under the policy that its own file comes with.
    const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", device: "cpu", size: 64, worker: false });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const failed = ({ code, message }: { code: string; message: string }) => `${code}: ${message}`;
    const addresses = ["data:image/png;base64,AAAA", URL.createObjectURL(photo), "https://photos.example/cat.png"];
    const failures = await Promise.all(addresses.map((address) => sam.embed(address).then(() => "read", failed)));
    return [...failures, (await sam.embed(photo)).width];
  });
  expect(failures).toEqual([
    expect.stringMatching(/^image_unreachable: .*add data: to its connect-src/),
    expect.stringMatching(/^image_unreachable: .*add blob: to its connect-src/),
    expect.stringMatching(/^image_unreachable: .*Content-Security-Policy forbids it \(connect-src\)/),
    600,
  ]);
});

test("without `worker-src` the error names it, and `worker: false` works", async ({ page, address, errors }) => {
  errors.expectError(/Content Security Policy/);
  await open(page, `${address}/under/no-worker/bare/`);
  const failure = await segment(page, address);
  expect(failure).toEqual({ code: "unsupported", message: expect.stringMatching(/worker-src 'self'.*`worker: false`/) });
  expect(await segment(page, address, { worker: false })).toEqual(DONE);
});

test("where Trusted Types are required, the policy `tinysam` is enough, on every start and from another origin", async ({ page, address }) => {
  await open(page, `${address}/under/trusted-types/bare/`);
  expect(await segment(page, address)).toEqual(DONE);
  expect(await segment(page, address)).toEqual(DONE);
  const other = `${address.replace("127.0.0.1", "localhost")}/under/shared`;
  expect(await segment(page, address, { assets: `${other}/bare/tinysam/` })).toEqual(DONE);
});

test("and where that policy is not allowed, the error names it", async ({ page, address, errors }) => {
  errors.expectError(/Trusted ?(Type|Script)|trusted-types/i);
  await open(page, `${address}/under/other-trusted-types/bare/`);
  const failure = await segment(page, address);
  expect(failure).toEqual({ code: "unsupported", message: expect.stringContaining("add tinysam to `trusted-types`") });
  expect(await segment(page, address, { worker: false })).toEqual(DONE);
});

test("an application names the folder of the files, or makes the worker itself", async ({ app, address, errors }) => {
  errors.expectError(/404/);
  const page = await app.open("vite");
  await page.context().route(/\/vite\/assets\/.*(worker-cpu|tinysam-cpu)/, (route) => route.fulfill({ status: 404 }));
  expect(await segment(page, address)).toEqual({ code: "unsupported", message: expect.stringMatching(/status 404: copy .*`assets: /) });
  expect(await segment(page, address, { assets: "../bare/tinysam" })).toEqual(DONE);
  expect(await segment(page, address, { assets: "../bare" })).toEqual({ code: "unsupported", message: expect.stringMatching(/status 404: does the folder/) });
  const outcomes = await page.evaluate(async () => {
    const asked: string[] = [];
    const load = async (script: string) => {
      const worker = (device: string) => {
        asked.push(device);
        return new Worker(`/bare/tinysam/${script}`);
      };
      const sam = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", device: "cpu", size: 64, assets: "/bare/tinysam/", worker, workers: 1 });
      sam.free();
      return "loaded";
    };
    const failed = (error: { code: string; message: string }) => `${error.code}: ${error.message}`;
    return [await load("worker-cpu.js"), await load("worker-webgpu.js").catch(failed), await load("none.js").catch(failed), asked.join()];
  });
  expect(outcomes).toEqual([
    "loaded",
    "unsupported: the worker runs worker-webgpu.js, not the package's worker-cpu.js",
    expect.stringMatching(/^unsupported: the worker that `worker` makes did not start.*worker-cpu\.js$/),
    "cpu,cpu,cpu",
  ]);
});
