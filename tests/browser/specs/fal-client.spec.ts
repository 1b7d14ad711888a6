/** The ways to fal's door, and that the client behind each is fal's own: with bundlers and without, in a worker, by proxy. */
import { shape } from "../../fal/shape.ts";
import { KEY, expect, test } from "../fal.ts";

for (const kind of ["vite", "webpack", "bare"] as const) {
  test(`the package's client and an application's own: ${kind}`, async ({ app, door }) => {
    const page = await app.open(kind);
    const told = await page.evaluate(async () => {
      const phases = new Set<string>();
      tinysam.configure({ weights: "/models/formula.safetensors", device: "cpu", onProgress: ({ phase }) => phases.add(phase) });
      const input = { image_url: new URL("/photos/coffee.png", location.href).href, size: 64, point_prompt: [[300, 200]] };
      const first = await tinysam.fal.subscribe("fal-ai/tiny-sam", { input });
      const sides = [first.data.image.width];
      if ("official" in globalThis) {
        official.config({ fetch: tinysam.fetch });
        const { data } = await official.subscribe("fal-ai/tiny-sam", { input, pollInterval: 0 });
        sides.push(data.image.width);
        sides.push((await official.run("fal-ai/tiny-sam", { input })).data.image.width);
      }
      return { sides, phases: [...phases] };
    });
    expect(told.sides).toEqual(kind === "bare" ? [600] : [600, 600, 600]);
    expect(told.phases).toEqual(["module", "download", "prepare"]);
    expect(door.fal()).toEqual([]);
  });
}

test("the device and fal answer in one shape, field by field", async ({ door, standIn, errors }) => {
  errors.expectError(/status of 4(00|04|22)/); // fal's refusals
  const page = await door.open({ device: "cpu", fallback: true });
  const run = () =>
    page.evaluate(async () => {
      const { fal, ApiError, ValidationError } = tinysam;
      const input = { image_url: new URL("/photos/coffee.png", location.href).href, size: 64, point_prompt: [[300, 200]] };
      const endpoint = "fal-ai/tiny-sam";
      const failed = (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        const { name, status, requestId, body } = error;
        const { detail } = body;
        // `ctx` and `input` may be there or not, by the kind of fault.
        const faults = Array.isArray(detail) ? detail.map(({ loc, msg, type }) => ({ loc, msg, type })) : detail;
        return { [`${name} ${status}`]: Object.keys(body), faults, requestId, of: error instanceof ValidationError ? error.getFieldErrors("point_label").length : -1 };
      };
      const updates: import("tinysam").QueueStatus[] = [];
      const subscribed = await fal.subscribe(endpoint, { input, logs: true, onQueueUpdate: (update) => void updates.push(update) });
      const streamed = await fal.subscribe(endpoint, { input, mode: "streaming" });
      const submitted = await fal.queue.submit(endpoint, { input });
      const { request_id: requestId } = submitted;
      const early = await fal.queue.result(endpoint, { requestId }).catch(failed);
      const completed = await fal.queue.subscribeToStatus(endpoint, { requestId, logs: true, pollInterval: 5 });
      return {
        statuses: [...new Set(updates.map(({ status }) => status))].map((status) => ({ [status]: "" })),
        updates: updates.filter(({ status }) => status !== "IN_QUEUE"),
        results: [subscribed, streamed, await fal.queue.result(endpoint, { requestId }), await fal.run(endpoint, { input })],
        submitted,
        early,
        completed,
        late: await fal.queue.cancel(endpoint, { requestId }).catch(failed),
        unknown: await fal.queue.status(endpoint, { requestId: "74696e79-7361-8000-8000-000000000000" }).catch(failed),
        refused: await fal.subscribe(endpoint, { input: { ...input, point_label: [1, 1] } }).catch(failed),
        ran: await fal.run(endpoint, { input: { ...input, point_label: [1, 1] } }).catch(failed),
      };
    });
  const onDevice = await run();
  expect(standIn.arrivals).toEqual([]);
  await page.evaluate(() => tinysam.configure({ device: "fal" }));
  const onFal = await run();
  expect(standIn.arrivals.length).toBeGreaterThan(0);
  expect(shape(onDevice)).toEqual(shape(onFal));
});

test("an abort and the client's timeout stop the engine, and the next request is served", async ({ door }) => {
  const page = await door.open({ device: "cpu" });
  const told = await page.evaluate(async () => {
    const { fal } = tinysam;
    const image_url = new URL("/photos/coffee.png", location.href).href;
    const short = { image_url, size: 64, point_prompt: [[300, 200]] };
    // Seconds of work in steps of a tenth of one.
    const long = { image_url, size: 256, points_per_side: 64 };
    await fal.run("fal-ai/tiny-sam", { input: short });
    const begun = performance.now();
    await fal.run("fal-ai/tiny-sam", { input: { ...long, points_per_side: 16 } });
    const sixteenth = performance.now() - begun;
    const after = async (stopped: Promise<unknown>) => {
      const error = await stopped.then(() => "done", (error: Error) => `${error.name}: ${error.message}`);
      const begun = performance.now();
      await fal.run("fal-ai/tiny-sam", { input: short });
      return { error, waited: performance.now() - begun };
    };
    const controller = new AbortController();
    let requestId = "";
    const subscribed = fal.subscribe("fal-ai/tiny-sam", {
      input: long,
      logs: true,
      abortSignal: controller.signal,
      onEnqueue: (id) => (requestId = id),
      onQueueUpdate: (update) => "logs" in update && update.logs.some(({ message }) => /network saw/.test(message)) && controller.abort(),
    });
    const aborted = await after(subscribed);
    const result = await fal.queue.result("fal-ai/tiny-sam", { requestId }).catch((error: { status: number }) => error.status);
    const timedOut = await after(fal.subscribe("fal-ai/tiny-sam", { input: long, timeout: 300 }));
    return { sixteenth, aborted, result, timedOut };
  });
  expect(told.aborted.error).toMatch(/^AbortError: /);
  expect(told.result).toBe(499);
  expect(told.timedOut.error).toMatch(/timed out.* after 300ms/);
  expect(Math.max(told.aborted.waited, told.timedOut.waited)).toBeLessThan(4 * told.sixteenth);
});

test("by a proxy, no key leaves the page", async ({ door, page, standIn }) => {
  await page.context().route("https://upload.fal.example/**", async (route) => {
    const response = await route.fetch({ url: `${standIn.origin}/${route.request().url().replace("://", "/")}` });
    await route.fulfill({ response });
  });
  await door.open();
  const url = await page.evaluate(async (proxyUrl) => {
    const { fal } = tinysam;
    fal.config({ proxyUrl });
    const image_url = await fal.storage.upload(new File(["no photo"], "photo.png", { type: "image/png" }));
    const { data } = await fal.subscribe("fal-ai/tiny-sam", { input: { image_url, size: 64 } });
    return data.image.url;
  }, standIn.proxyUrl);
  expect(url).toMatch(/^https:\/\/v3\.fal\.example\//);
  expect([...standIn.files.values()].map(String)).toEqual(["no photo"]);
  const [initiate, put, submit, ...rest] = standIn.arrivals;
  expect([initiate!.url, put!.url, submit!.url]).toEqual([
    expect.stringMatching(/^https:\/\/rest\.fal\.ai\/storage\/upload\/initiate\?/),
    expect.stringMatching(/^https:\/\/upload\.fal\.example\//),
    "https://queue.fal.run/fal-ai/tiny-sam",
  ]);
  for (const { proxied, headers } of [initiate!, submit!, ...rest]) expect([proxied, headers.authorization]).toEqual([true, undefined]);
  expect(door.engine()).toEqual([]);
  expect(door.fal()).toEqual([]);
});

test("in a worker, configure's proxy is the fallback, and nothing of the engine is downloaded", async ({ app, door, address, standIn }) => {
  const page = await app.open("bare");
  const told = await page.evaluate(
    async ({ module, proxyUrl, image_url }) => {
      const program = `
        import { configure, fal } from ${JSON.stringify(module)};
        configure({ fallback: { proxyUrl: ${JSON.stringify(proxyUrl)} } });
        fal.subscribe("fal-ai/tiny-sam", { input: { image_url: ${JSON.stringify(image_url)}, multimask: true } }).then(
          ({ data }) => postMessage(data.image.url),
          (error) => postMessage(String(error)),
        );`;
      const worker = new Worker(URL.createObjectURL(new Blob([program], { type: "text/javascript" })), { type: "module" });
      return new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
    },
    { module: `${address}/bare/tinysam/index.js`, proxyUrl: standIn.proxyUrl, image_url: `${address}/photos/coffee.png` },
  );
  expect(told).toMatch(/^https:\/\/v3\.fal\.example\//);
  const [submit] = standIn.arrivals;
  expect([submit!.proxied, submit!.headers.authorization, submit!.body.toString()]).toEqual([true, undefined, `{"image_url":"${address}/photos/coffee.png"}`]);
  expect(door.engine()).toEqual([]);
});

test("a key of the application's own client is the fallback's, and is only sent to fal", async ({ app, door, standIn }) => {
  const page = await app.open();
  const url = await page.evaluate(
    async ({ key, origin }) => {
      const network: typeof fetch = (input, init) => fetch(`${origin}/${String(input).replace("://", "/")}`, init);
      tinysam.configure({ fallback: { fetch: network } });
      official.config({ credentials: key, fetch: tinysam.fetch });
      const image_url = new URL("/photos/coffee.png", location.href).href;
      return (await official.subscribe("fal-ai/tiny-sam", { input: { image_url } })).data.image.url as string;
    },
    { key: KEY, origin: standIn.origin },
  );
  expect(url).toMatch(/^https:\/\/v3\.fal\.example\//);
  for (const { headers } of standIn.arrivals) expect(headers.authorization).toBe(`Key ${KEY}`);
  expect(door.engine()).toEqual([]);
});
