/** Where a request runs, in a browser without WebGPU: each trigger, what reaches fal, and when nothing may. */
import type { Page } from "@playwright/test";
import { KEY, expect, test, type DoorSettings } from "../fal.ts";
import { limitMemory, limitPixels } from "../memory.ts";

const SUBMIT = "https://queue.fal.run/fal-ai/tiny-sam";

/** Subscribes in the page: what came of it, and the log. */
async function ask(page: Page, more: Record<string, unknown> = {}) {
  return page.evaluate(
    async (more) => {
      const image_url = new URL("/photos/coffee.png", location.href).href;
      const logs: string[] = [];
      const outcome = await tinysam.fal
        .subscribe("fal-ai/tiny-sam", {
          input: { image_url, size: 64, point_prompt: [[300, 200]], return_masks: true, ...more },
          logs: true,
          onQueueUpdate: (update) => "logs" in update && logs.splice(0, logs.length, ...update.logs.map(({ message }) => message)),
        })
        .then(
          ({ data }) => ({ url: data.image.url as string }),
          (error) => ({ status: error.status as number, message: error.message as string }),
        );
      return { outcome, logs, served: served.map(({ backend }) => backend) };
    },
    more,
  );
}

/** A way in which a device fails, forced in this browser. */
interface Trigger {
  /** Before the page opens. */
  readonly force?: (page: Page) => Promise<unknown>;
  readonly settings?: DoorSettings;
  /** What more the request says; its picture, where it is to be a special one. */
  readonly input?: (page: Page, address: string) => Promise<Record<string, unknown>> | Record<string, unknown>;
  /** What stands in the log when the request goes to fal. */
  readonly reason: RegExp;
  /** Whether the device is known not to serve without a try: then nothing of the engine is downloaded. */
  readonly foreseen?: true;
  /** What it comes to without fal; else the CPU serves. */
  readonly alone?: { status: number; message: RegExp };
  /** What the browser says of it. */
  readonly console?: RegExp;
}

/** A browser whose one adapter is `about` this. */
const adapter = (about: string) => (page: Page) =>
  page.addInitScript(`
    const { info, device } = { info: { vendor: "acme", architecture: "", device: "", description: "" }, ${about} };
    const adapter = { info, features: new Set(["timestamp-query"]), requestDevice: device };
    Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => adapter } });`);

const TRIGGERS: Record<string, Trigger> = {
  "no WebGPU": { reason: /WebGPU/, foreseen: true },
  "only a software adapter": {
    force: adapter('info: { vendor: "google", architecture: "swiftshader", device: "", description: "", isFallbackAdapter: true }, device: async () => ({ destroy() {} })'),
    reason: /software/,
    foreseen: true,
  },
  "a device that is refused": {
    force: adapter('device: () => Promise.reject(new Error("no device today"))'),
    reason: /no device today/,
    foreseen: true,
  },
  "weights that are not there": {
    settings: { weights: "/models/none.safetensors" },
    reason: /checkpoint .*404/,
    alone: { status: 503, message: /checkpoint .*404.*proxyUrl.*credentials/ },
    console: /status of 404/,
  },
  "weights that are no checkpoint": {
    settings: { weights: "/photos/coffee.png" },
    reason: /checkpoint/,
    alone: { status: 500, message: /checkpoint.*proxyUrl.*credentials/ },
  },
  "weights that break off": {
    settings: { weights: "/faulty/cut/models/formula.safetensors" },
    reason: /checkpoint/,
    alone: { status: 503, message: /checkpoint.*proxyUrl.*credentials/ },
    console: /ERR_/,
  },
  "weights with another hash": {
    settings: { sha256: "00".repeat(32) },
    reason: /checkpoint.*0000/,
    alone: { status: 500, message: /checkpoint.*proxyUrl.*credentials/ },
  },
  "a picture that the browser may not read": {
    // The same server by another name is another origin, and it allows nobody.
    input: (_, address) => ({ image_url: `${address.replace("127.0.0.1", "localhost")}/photos/coffee.png` }),
    reason: /picture could not be fetched/,
    alone: { status: 422, message: /^image_url: / },
    console: /CORS|ERR_FAILED/,
  },
  "no memory for the picture": {
    force: (page) => limitPixels(page, 100),
    input: async (page) => ({ image_url: await bigPicture(page) }),
    reason: /out of memory: no room for a picture of 8000.6000/,
    alone: { status: 500, message: /out of memory.*proxyUrl.*credentials/ },
  },
  "no memory for the network, which ends the engine twice": {
    // Several workers would need less each.
    settings: { workers: 1 },
    force: (page) => limitMemory(page, 100),
    input: () => ({ size: 1024 }),
    reason: /the engine crashed/,
    alone: { status: 503, message: /the engine crashed.*proxyUrl.*credentials/ },
    console: /unreachable/,
  },
};

/** The `blob:` URL of a picture of 144 MB of pixels. */
function bigPicture(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const canvas = new OffscreenCanvas(8000, 6000);
    canvas.getContext("2d")!.fillRect(100, 100, 4000, 3000);
    return URL.createObjectURL(await canvas.convertToBlob());
  });
}

for (const [name, { force, settings, input, reason, foreseen, alone, console: said }] of Object.entries(TRIGGERS)) {
  test(`${name}: fal gets the request byte by byte, and without fal nobody does`, async ({ door, page, address, standIn, errors }) => {
    if (said !== undefined) errors.expectError(said);
    await force?.(page);
    await door.open({ ...settings, ...(foreseen ? {} : { device: "cpu" }), fallback: true });
    const given = { image_url: new URL("/photos/coffee.png", page.url()).href, size: 64, ...(await input?.(page, address)) };
    const { outcome, logs, served } = await ask(page, given);

    expect(outcome).toEqual({ url: expect.stringMatching(/^https:\/\/v3\.fal\.example\//) });
    expect(served).toEqual(foreseen ? ["fal"] : ["cpu", "fal"]);
    expect(logs).toContainEqual(expect.stringMatching(new RegExp(`^running on fal: .*${reason.source}`)));
    expect(logs.at(-1)).toBe("running on a runner of fal");
    if (foreseen) expect(door.engine()).toEqual([]);
    else expect(door.engine()).toContainEqual(expect.stringMatching(/\.wasm$/));

    // A picture of this page's own is uploaded first; fal is sent the address that it gave.
    const held = given.image_url.startsWith("blob:");
    const sent = standIn.arrivals.filter(({ url }) => !url.includes("/status"));
    const upload = held ? [["POST", expect.stringMatching(/\/storage\/upload\/initiate\?/)], ["PUT", expect.stringMatching(/^https:\/\/upload\./)]] : [];
    const calls = [...upload, ["POST", SUBMIT], ["GET", expect.stringMatching(/\/requests\/[0-9a-f-]+$/)]];
    expect(sent.map(({ method, url }) => [method, url])).toEqual(calls);
    const submit = sent.find(({ url }) => url === SUBMIT)!;
    const image_url = held ? /"image_url":"(https:\/\/v3\.fal\.example\/[^"]+)"/.exec(submit.body.toString())?.[1] : given.image_url;
    expect(submit.body.toString()).toBe(`{"image_url":"${image_url}","size":${given.size},"point_prompt":[[300,200]]}`);
    expect(submit.headers.authorization).toBe(`Key ${KEY}`);
    if (held) {
      const size = await page.evaluate(async (url) => (await (await fetch(url)).blob()).size, given.image_url);
      expect([...standIn.files.values()].map(({ length }) => length)).toEqual([size]);
    }

    const before = standIn.arrivals.length;
    await door.open(settings);
    const unaided = await ask(page, { size: given.size, ...(await input?.(page, address)) });
    expect(unaided.served).toEqual(["cpu"]);
    expect(unaided.outcome).toEqual(
      alone === undefined ? { url: expect.stringMatching(/^blob:/) } : { status: alone.status, message: expect.stringMatching(alone.message) },
    );
    expect(standIn.arrivals.length).toBe(before);
    expect(door.fal()).toEqual([]);
  });
}

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
