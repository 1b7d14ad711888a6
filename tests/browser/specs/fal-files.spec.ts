/** Files at fal's door, in a page of another origin than fal: what can be shown of them, and what the browser lets pass. */
import { KEY, expect, test } from "../fal.ts";

test("an upload can be shown, read by the engine, and is sent to another endpoint as a file", async ({ door, page, standIn, errors }) => {
  errors.expectError(/status of 404/); // the other endpoint's answer
  // What this page asks of fal goes to the stand-in, which is another origin than the page's.
  await page.context().route(/^https:\/\/([a-z]+\.)?fal\.(run|ai|example)\//, async (route) => {
    const request = route.request();
    if (request.method() === "OPTIONS") return route.fulfill({ status: 204, headers: { "access-control-allow-origin": "*", "access-control-allow-headers": "*, authorization", "access-control-allow-methods": "*" } });
    await route.fulfill({ response: await route.fetch({ url: `${standIn.origin}/${request.url().replace("://", "/")}` }) });
  });
  await door.open({ device: "cpu" });
  const told = await page.evaluate(async (key) => {
    const { fal } = tinysam;
    fal.config({ credentials: key, suppressLocalCredentialsWarning: true });
    const photo = await (await fetch("/photos/coffee.png")).blob();
    const url = await fal.storage.upload(new File([photo], "coffee.png", { type: "image/png" }), { lifecycle: { expiresIn: "1h" } });
    const shown = new Image();
    shown.src = url;
    await shown.decode();
    const { data } = await fal.subscribe("fal-ai/tiny-sam", { input: { image_url: url, size: 64, point_prompt: [[300, 200]], sync_mode: true } });
    const answer = new Image();
    answer.src = data.image.url;
    await answer.decode();
    const statuses = [];
    for (let i = 0; i < 2; i++) {
      const failed = await fal.run("fal-ai/other/model", { input: { image_urls: [url] } }).catch((error: { status: number }) => error);
      statuses.push((failed as { status: number }).status);
    }
    return { url, sides: [shown.naturalWidth, answer.naturalWidth], kind: data.image.url.slice(0, 22), size: photo.size, statuses };
  }, KEY);
  expect(told).toMatchObject({ url: expect.stringMatching(/^blob:/), sides: [600, 600], kind: "data:image/png;base64,", statuses: [404, 404] });
  const sent = standIn.arrivals.filter(({ method }) => method !== "OPTIONS");
  expect(sent.map(({ method, url }) => `${method} ${url.replace(/[0-9a-f-]{36}/g, "<id>")}`)).toEqual([
    "POST https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3",
    "PUT https://upload.fal.example/<id>?signature=1",
    "POST https://fal.run/fal-ai/other/model",
    "POST https://fal.run/fal-ai/other/model",
  ]);
  expect(sent[0]!.headers["x-fal-object-lifecycle"]).toBe('{"expiration_duration_seconds":3600}');
  expect(sent[1]!.headers.authorization).toBeUndefined();
  expect([...standIn.files.values()].map(({ length }) => length)).toEqual([told.size]);
  expect(sent[2]!.body.toString()).toMatch(/^\{"image_urls":\["https:\/\/v3\.fal\.example\/[^"]+\/coffee\.png"\]\}$/);
  expect(sent[3]!.body.toString()).toBe(sent[2]!.body.toString());
});

/** What an environment refuses: how that is forced, and what is said of it. */
const REFUSALS: Record<string, { force: (page: import("@playwright/test").Page) => Promise<unknown>; reason: RegExp; console?: RegExp }> = {
  "a frame that may start no worker": {
    force: (page) =>
      page.addInitScript(() => {
        globalThis.Worker = class {
          constructor() {
            throw new DOMException("Script cannot be accessed from origin 'null'.", "SecurityError");
          }
        } as never;
      }),
    reason: /the worker did not start \(Script cannot be accessed.*`worker: false`/,
  },
  "a worker that is not there": {
    force: (page) => page.context().route(/\/worker-cpu[^/]*\.js$/, (route) => route.fulfill({ status: 404 })),
    reason: /the worker did not start.* has status 404: copy node_modules\/tinysam/,
    console: /404/,
  },
  "a module that is not there": {
    force: (page) => page.context().route(/\.wasm$/, (route) => route.fulfill({ status: 404 })),
    reason: /module could not be loaded.* has status 404: copy node_modules\/tinysam/,
    console: /404/,
  },
  "a page in the module's place": {
    force: (page) => page.context().route(/\.wasm$/, (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<!doctype html>" })),
    reason: /module could not be loaded.* is a page of HTML: copy node_modules\/tinysam/,
  },
  "a Content-Security-Policy without 'wasm-unsafe-eval'": {
    force: (page) =>
      page.context().route(/\/worker-cpu[^/]*\.js$/, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": "script-src 'self' blob:" } });
      }),
    reason: /Content-Security-Policy.*'wasm-unsafe-eval'/,
    console: /Content Security Policy/,
  },
};

for (const [name, { force, reason, console: said }] of Object.entries(REFUSALS)) {
  test(`${name}: an error that says so, after which fal is asked`, async ({ door, page, standIn, errors }) => {
    if (said !== undefined) errors.expectError(said);
    await force(page);
    await door.open({ device: "cpu", fallback: true });
    const told = await page.evaluate(async () => {
      const image_url = new URL("/photos/coffee.png", location.href).href;
      const loaded = await tinysam.TinySam.load({ weights: "/models/formula.safetensors", device: "cpu" }).catch((error: { code: string }) => error.code);
      const { data } = await tinysam.fal.subscribe("fal-ai/tiny-sam", { input: { image_url, size: 64 } });
      return { loaded, url: data.image.url, served };
    });
    expect(told.loaded).toMatch(/^(unsupported|module_unreachable)$/);
    expect(told.url).toMatch(/^https:\/\/v3\.fal\.example\//);
    expect(told.served.at(-1)).toEqual({ backend: "fal", reason: expect.stringMatching(reason), requestId: expect.any(String) });
    expect(standIn.arrivals.length).toBeGreaterThan(0);
  });
}

test("the model is loaded ahead, let go, and let go by itself in a page that is not seen", async ({ door, page }) => {
  await door.open({ device: "cpu", workers: 1 });
  const preload = () => page.evaluate(() => tinysam.configure({}).preload());
  expect(await preload()).toBe("cpu");
  expect(page.workers()).toHaveLength(1);
  await page.evaluate(() => tinysam.configure({}).release());
  await expect.poll(() => page.workers().length).toBe(0);
  await page.evaluate(() => tinysam.configure({ idle: 0.2 }));
  expect(await preload()).toBe("cpu");
  await expect.poll(() => page.workers().length).toBe(0);
  const url = await page.evaluate(async () => {
    const input = { image_url: new URL("/photos/coffee.png", location.href).href, size: 64, point_prompt: [[300, 200]] as [number, number][] };
    return (await tinysam.fal.run("fal-ai/tiny-sam", { input })).data.image.url;
  });
  expect(url).toMatch(/^blob:/);
});
