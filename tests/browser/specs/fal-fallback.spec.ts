/** Where a request runs, in a browser without WebGPU: each trigger, what reaches fal, and when nothing may. */
import { KEY, expect, test } from "../fal.ts";

const input = { size: 64, point_prompt: [[300, 200]], return_masks: true };

/** Subscribes in the page: what came of it, and the log. */
async function ask(page: import("@playwright/test").Page, more: Record<string, unknown> = {}) {
  return page.evaluate(
    async (input) => {
      const image_url = new URL("/photos/coffee.png", location.href).href;
      const logs: string[] = [];
      const outcome = await tinysam.fal
        .subscribe("fal-ai/tiny-sam", {
          input: { image_url, ...input },
          logs: true,
          onQueueUpdate: (update) => "logs" in update && logs.splice(0, logs.length, ...update.logs.map(({ message }) => message)),
        })
        .then(
          ({ data }) => ({ url: data.image.url as string }),
          (error) => ({ status: error.status as number, message: error.message as string }),
        );
      return { outcome, logs, served: served.map(({ backend }) => backend) };
    },
    { ...input, ...more },
  );
}

test("without WebGPU and with fal configured, no module and no weights are downloaded", async ({ door, standIn }) => {
  const page = await door.open({ fallback: true });
  const { outcome, logs, served } = await ask(page);
  expect(outcome).toEqual({ url: expect.stringMatching(/^https:\/\/v3\.fal\.example\//) });
  expect(served).toEqual(["fal"]);
  expect(logs[0]).toMatch(/^running on fal: .*WebGPU/);
  expect(logs).toContain("running on a runner of fal");
  expect(door.engine()).toEqual([]);
  const [submit] = standIn.arrivals;
  expect(submit!.url).toBe("https://queue.fal.run/fal-ai/tiny-sam");
  const image_url = new URL("/photos/coffee.png", page.url()).href;
  expect(submit!.body.toString()).toBe(`{"image_url":"${image_url}","size":64,"point_prompt":[[300,200]]}`);
  expect(submit!.headers.authorization).toBe(`Key ${KEY}`);
});

test("without WebGPU and without fal, the CPU serves, and nothing is sent", async ({ door, standIn }) => {
  const page = await door.open();
  const { outcome, served } = await ask(page);
  expect(outcome).toEqual({ url: expect.stringMatching(/^blob:/) });
  expect(served).toEqual(["cpu"]);
  expect(standIn.arrivals).toEqual([]);
  expect(door.fal()).toEqual([]);
});

test("only a software adapter counts as none", async ({ door, page, standIn }) => {
  await page.addInitScript(() => {
    const info = { vendor: "google", architecture: "swiftshader", device: "", description: "", isFallbackAdapter: true };
    const adapter = { info, features: new Set(["timestamp-query"]), requestDevice: () => Promise.resolve({ destroy() {} }) };
    Object.defineProperty(navigator, "gpu", { value: { requestAdapter: () => Promise.resolve(adapter) } });
  });
  await door.open({ fallback: true });
  const { logs, served } = await ask(page);
  expect(served).toEqual(["fal"]);
  expect(logs[0]).toMatch(/software/);
  expect(standIn.arrivals.length).toBeGreaterThan(0);
  expect(door.engine()).toEqual([]);
});

test("a refused device goes to fal", async ({ door, page }) => {
  await page.addInitScript(() => {
    const info = { vendor: "acme", architecture: "", device: "", description: "", isFallbackAdapter: false };
    const adapter = { info, features: new Set(["timestamp-query"]), requestDevice: () => Promise.reject(new Error("no device today")) };
    Object.defineProperty(navigator, "gpu", { value: { requestAdapter: () => Promise.resolve(adapter) } });
  });
  await door.open({ fallback: true });
  const { logs, served } = await ask(page);
  expect(served).toEqual(["fal"]);
  expect(logs[0]).toMatch(/no device today/);
});

for (const [name, settings] of Object.entries({
  "weights that are not there": { weights: "/models/none.safetensors" },
  "weights that are no checkpoint": { weights: "/photos/coffee.png" },
  "weights with another hash": { sha256: "00".repeat(32) },
})) {
  test(`${name} go to fal, if it is configured, and else are one error`, async ({ door, standIn, errors }) => {
    errors.expectError(/status of 404/);
    const page = await door.open({ device: "cpu", fallback: true, ...settings });
    const { outcome, served } = await ask(page);
    expect(outcome).toEqual({ url: expect.stringMatching(/^https:\/\/v3\.fal\.example\//) });
    expect(served).toEqual(["cpu", "fal"]);
    expect(standIn.arrivals.length).toBeGreaterThan(0);

    const before = standIn.arrivals.length;
    await door.open(settings);
    const alone = await ask(page);
    expect(alone.outcome).toEqual({ status: 401, message: expect.stringMatching(/checkpoint.*proxyUrl.*credentials/) });
    expect(standIn.arrivals.length).toBe(before);
    expect(door.fal()).toEqual([]);
  });
}

test("a picture that the browser may not read goes to fal, which can", async ({ door, address, standIn, errors }) => {
  errors.expectError(/CORS|ERR_FAILED/);
  // The same server by another name is another origin, and it allows nobody.
  const image_url = `${address.replace("127.0.0.1", "localhost")}/photos/coffee.png`;
  const page = await door.open({ device: "cpu", fallback: true });
  const { outcome, served } = await ask(page, { image_url });
  expect(outcome).toEqual({ url: expect.stringMatching(/^https:\/\/v3\.fal\.example\//) });
  expect(served).toEqual(["cpu", "fal"]);
  expect(standIn.arrivals[0]!.body.toString()).toBe(`{"image_url":"${image_url}","size":64,"point_prompt":[[300,200]]}`);
});

test("an upload leaves the page only when its request falls back, and whole", async ({ door, standIn }) => {
  const page = await door.open({ device: "cpu", fallback: true });
  const run = () =>
    page.evaluate(async () => {
      const photo = await (await fetch("/photos/coffee.png")).blob();
      const image_url = await tinysam.fal.storage.upload(new File([photo], "coffee.png", { type: "image/png" }));
      await tinysam.fal.subscribe("fal-ai/tiny-sam", { input: { image_url, size: 64, point_prompt: [[300, 200]] } });
      return photo.size;
    });
  await run();
  expect(standIn.arrivals).toEqual([]);
  await page.evaluate(() => tinysam.configure({ device: "fal" }));
  const size = await run();
  expect([...standIn.files.values()].map(({ length }) => length)).toEqual([size]);
  const submit = standIn.arrivals.find(({ url }) => url.startsWith("https://queue.fal.run"));
  expect(submit!.body.toString()).toMatch(/^\{"image_url":"https:\/\/v3\.fal\.example\/[^"]+\/coffee\.png","size":64,"point_prompt":\[\[300,200\]\]\}$/);
});

test("no request but those to fal carries a key", async ({ door, page, standIn }) => {
  const keyed: string[] = [];
  page.context().on("request", async (request) => {
    const headers = await request.allHeaders();
    if (JSON.stringify(headers).includes(KEY)) keyed.push(request.url());
  });
  await door.open({ device: "cpu" });
  await page.evaluate((key) => tinysam.fal.config({ credentials: key }), KEY);
  await ask(page);
  expect(keyed).toEqual([]);
  await door.open({ fallback: true });
  await ask(page);
  expect(keyed.length).toBeGreaterThan(0);
  expect(keyed.filter((url) => !url.startsWith(standIn.origin))).toEqual([]);
});

test.describe("a fal that does not let itself be read", () => {
  test.use({ standInOptions: { key: KEY, cors: false } });
  test("is one error with its reason", async ({ door, errors }) => {
    errors.expectError(/CORS|ERR_FAILED/);
    const page = await door.open({ fallback: true });
    const { outcome } = await ask(page);
    expect(outcome).toEqual({ status: 500, message: expect.stringMatching(/^the request to fal failed: /) });
  });
});
