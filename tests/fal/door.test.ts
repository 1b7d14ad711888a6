/** The door as a whole: its clients, its settings, what it exports, and the model behind it. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { ApiError, ValidationError, type FalClient } from "@fal-ai/client";
import * as tinysam from "../../pkg/src/fal/client.js";
import { Door } from "../../pkg/src/fal/door.js";
import { FakeEngine, ONLY_CPU, coded } from "./fake.js";
import { sent } from "./sent.js";
import { ENDPOINT, IMAGE_URL, KEY, failing, subscribe, world } from "./world.js";

const input = { image_url: IMAGE_URL };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** fal's client as it is installed: another copy than the one that is bundled. */
const installed = createRequire(import.meta.url)(process.env.FAL_CLIENT!) as typeof import("@fal-ai/client");

test("configured again, late, or by two modules, the door knows its requests and uploads", async (test) => {
  const { door, engine, standIn } = await world(test);
  const { fal } = door;
  const letGo = engine.hold();
  const { request_id: requestId } = await fal.queue.submit(ENDPOINT, { input });
  const url = await fal.storage.upload(new File(["a photo"], "a.png"));
  const asked: string[] = [];
  fal.config({ credentials: KEY, fetch: (resource, init) => (asked.push(String(resource)), standIn.fetch(resource, init)) });
  assert.equal((await fal.queue.status(ENDPOINT, { requestId })).status, "IN_PROGRESS");
  letGo();
  await fal.queue.subscribeToStatus(ENDPOINT, { requestId });
  assert.ok((await fal.queue.result(ENDPOINT, { requestId })).data.image);
  await fal.run(ENDPOINT, { input: { image_url: url } });
  assert.equal(await engine.runs[1]!.image!.text(), "a photo");
  assert.deepEqual(asked, []);
  await failing(fal.run("fal-ai/other", { input: { image_url: url } }));
  assert.equal(asked.length, 3, "initiate, PUT, and the call: by the network that is configured now");
  const other = door.createFalClient({ credentials: () => undefined });
  assert.equal((await other.queue.status(ENDPOINT, { requestId })).status, "COMPLETED");
});

test("the network is the one that there is when it is used", async (test) => {
  const { fetch } = globalThis;
  test.after(() => (globalThis.fetch = fetch));
  const door = new Door(() => new FakeEngine());
  const client = door.createFalClient({ credentials: () => undefined });
  const asked: string[] = [];
  globalThis.fetch = async (resource) => (asked.push(String(resource)), Response.json({}));
  await client.run("fal-ai/other", { input: {} });
  await door.fetch("https://example.com/");
  assert.deepEqual(asked, ["https://fal.run/fal-ai/other", "https://example.com/"]);
});

test("every part of fal's client is there, on the device where it is about this endpoint", async (test) => {
  const { door, engine, standIn } = await world(test);
  const { fal } = door;
  assert.deepEqual(Object.keys(fal).sort(), Object.keys(installed.fal).sort());
  for (const part of ["queue", "realtime", "storage", "streaming"] as const) {
    assert.deepEqual(Object.keys(fal[part]).sort(), Object.keys(installed.fal[part]).sort(), part);
  }
  const { data, requestId } = await fal.subscribe(ENDPOINT, { input: { image_url: IMAGE_URL, point_prompt: [[1, 2]] } });
  assert.match(data.image.url, /^blob:/);
  assert.match(requestId, UUID);
  assert.ok((await fal.run(ENDPOINT, { input })).data.image);
  assert.equal(engine.runs.length, 2);
  fal.config({ credentials: KEY });
  const stream = await fal.stream("fal-ai/other", { input: {} });
  await failing(stream.done());
  assert.equal((await failing(fal.subscribe("fal-ai/other", { input: {} }))).status, 404);
  assert.deepEqual(standIn.arrivals.map(({ url }) => url), ["https://fal.run/fal-ai/other/stream", "https://queue.fal.run/fal-ai/other"]);
});

test("another endpoint's requests are polled as by fal's client alone", async (test) => {
  const pauses: unknown[] = [];
  const { setTimeout } = globalThis;
  test.mock.method(globalThis, "setTimeout", (work: () => void, ms = 0, ...rest: never[]) => (pauses.push(ms), setTimeout(work, ms / 100, ...rest)));
  const statuses = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"];
  const network = async (resource: RequestInfo | URL): Promise<Response> => {
    const status = String(resource).includes("/status") ? statuses.shift() : undefined;
    return Response.json({ request_id: "764cabcf-b745-4b3e-ae38-1200304cf45b", status });
  };
  const client = new Door(() => new FakeEngine(), { network }).createFalClient({ credentials: KEY });
  await client.subscribe("fal-ai/other", { input: {} });
  assert.deepEqual(pauses.filter((ms) => Number(ms) < 1000), [500, 500], "Node itself has longer ones");
});

test("whatever fal's client exports, this package does, too", () => {
  const { fal: _, ...names } = installed;
  const missing = Object.keys(names).filter((name) => typeof Reflect.get(tinysam, name) !== "function");
  assert.deepEqual(missing, []);
  assert.equal(tinysam.ApiError, ApiError);
  assert.equal(tinysam.ValidationError, ValidationError);
  assert.deepEqual(tinysam.parseEndpointId("workflows/a/b/c"), installed.parseEndpointId("workflows/a/b/c"));
  assert.equal(tinysam.isRetryableError(new ApiError({ message: "", status: 503 } as never), [503]), true);
});

test("the client that is bundled sends what the installed one sends", async (test) => {
  const calls: ((client: FalClient) => Promise<unknown>)[] = [
    (client) => client.run("a/b", { input: { file: new File(["x"], "x.png"), list: [1, "two"] }, startTimeout: 5, storageSettings: { expiresIn: "7d" } }),
    (client) => client.queue.submit("a/b/c", { input: { n: 1 }, priority: "low", hint: "h", webhookUrl: "https://a.example", headers: { "X-A": "1" } }),
    (client) => client.queue.status("a/b/c", { requestId: "1", logs: true }),
    (client) => client.queue.result("a/b", { requestId: "1" }),
    (client) => client.queue.cancel("a/b", { requestId: "1" }),
    (client) => client.storage.upload(new File(["y"], "y.png"), { lifecycle: { expiresIn: 60, initialAcl: { default: "hide" } } }),
    (client) => client.stream("a/b", { input: { n: 1 } }).then((stream) => stream.done()),
  ];
  const { standIn, alone } = await world(test);
  for (const call of calls) {
    const [ours, theirs] = [[alone({ credentials: KEY }), ApiError], [installed.createFalClient({ credentials: KEY, fetch: standIn.fetch }), installed.ApiError]] as const;
    const told = [];
    for (const [client, error] of [ours, theirs]) {
      standIn.arrivals.length = 0;
      const outcome = await call(client).catch((failure: unknown) => {
        assert.ok(failure instanceof error);
        const { name, status, body, message } = failure;
        return { name, status, body, message };
      });
      told.push({ outcome: JSON.stringify(outcome).replace(/[0-9a-f-]{36}/g, "<id>"), sent: sent(standIn.arrivals) });
    }
    assert.deepEqual(told[0], told[1]);
    assert.ok(told[0]!.sent.length > 0);
  }
});

test("request ids are UUIDs that are known as ours, and never asked about elsewhere", async (test) => {
  const { own, client, standIn } = await world(test);
  const ids = new Set<string>();
  for (let i = 0; i < 50; i++) ids.add((await own().run(ENDPOINT, { input })).requestId);
  assert.equal(ids.size, 50);
  for (const id of ids) assert.match(id, UUID);
  assert.deepEqual([...new Set([...ids].map((id) => id[19]))].sort(), ["8", "9", "a", "b"]);
  const { request_id } = await own().queue.submit(ENDPOINT, { input });
  const unknown = `${request_id.slice(0, -4)}0000`;
  for (const make of [own, client]) {
    const asked = { requestId: unknown };
    assert.equal((await failing(make({ credentials: KEY }).queue.status(ENDPOINT, asked))).status, 404);
    assert.equal((await failing(make({ credentials: KEY }).queue.cancel(ENDPOINT, asked))).body.status, "NOT_FOUND");
  }
  assert.equal(standIn.arrivals.length, 0);
  // By a proxy one asks about fal's own, too.
  const proxied = client({ proxyUrl: { url: standIn.proxyUrl, when: "always" } });
  await failing(proxied.queue.status(ENDPOINT, { requestId: "764cabcf-b745-4b3e-ae38-1200304cf45b" }));
  await failing(own({ credentials: KEY }).queue.subscribeToStatus(ENDPOINT, { requestId: "764cabcf-b745-4b3e-ae38-1200304cf45b" }));
  assert.equal(standIn.arrivals.length, 2);
});

test("sync_mode gives the picture itself, and is nobody else's business", async (test) => {
  const { own, engine, standIn } = await world(test);
  const picture = new Uint8Array(100_000).map((_, index) => index * 31);
  engine.picture = new Blob([picture], { type: "image/png" });
  const { data } = await subscribe(own(), { ...input, sync_mode: true });
  assert.match(data.image.url, /^data:image\/png;base64,/);
  assert.ok(Buffer.from(await (await fetch(data.image.url)).arrayBuffer()).equals(picture));
  assert.deepEqual([data.image.file_size, data.image.content_type, data.image.width], [100_000, "image/png", 640]);
  assert.deepEqual(engine.runs[0]!.input, input);
  assert.match((await subscribe(own(), { ...input, sync_mode: false })).data.image.url, /^blob:/);
  for (const sync_mode of ["true", 1, null]) {
    const error = await failing(own().run(ENDPOINT, { input: { ...input, sync_mode } as never }));
    assert.deepEqual(error.getFieldErrors("sync_mode").map(({ type, input }: { type: string; input: unknown }) => [type, input]), [["bool_type", sync_mode]]);
  }
  assert.equal(engine.runs.length, 2);
  engine.choice = ONLY_CPU;
  await subscribe(own({ credentials: KEY }), { ...input, sync_mode: true });
  assert.equal(standIn.arrivals[0]!.body.toString(), JSON.stringify(input));
});

test("where there are no blob: URLs the picture is a data: URI, and an upload keeps its address", async (test) => {
  const { own, engine } = await world(test);
  const { createObjectURL } = URL;
  test.after(() => (URL.createObjectURL = createObjectURL));
  URL.createObjectURL = undefined as never;
  const url = await own().storage.upload(new File(["a photo"], "a.png"));
  const { data } = await subscribe(own(), { image_url: url });
  assert.equal(await engine.runs[0]!.image!.text(), "a photo");
  assert.equal(data.image.url, `data:image/png;base64,${btoa("a picture")}`);
});

test("preload loads where the next request would run, and nothing where fal would serve", async (test) => {
  const { door, engine, routing } = await world(test);
  const { preload, release } = door.configure({});
  assert.equal(await preload(), "webgpu");
  engine.choice = ONLY_CPU;
  assert.equal(await preload(), "cpu");
  door.fal.config({ credentials: KEY });
  assert.equal(await preload(), "fal");
  routing.fallback = false;
  assert.equal(await preload(), "cpu");
  door.fal.config({});
  routing.fallback = { proxyUrl: "/api" };
  assert.equal(await preload(), "fal");
  routing.device = "cpu";
  assert.equal(await preload(), "cpu");
  routing.device = "fal";
  assert.equal(await preload(), "fal");
  assert.deepEqual(engine.loads, ["webgpu", "cpu", "cpu", "cpu"]);
  const before = engine.released;
  release();
  assert.equal(engine.released, before + 1);
});

test("an idle model is let go by the settings as they are", async (test) => {
  const { door, engine } = await world(test);
  const before = engine.rested;
  door.configure({ idle: 30 });
  assert.equal(engine.rested, before + 1);
  door.configure({ fallback: false });
  assert.equal(engine.rested, before + 1);
});

test("preload leaves a GPU that fails for the CPU, as a request would, and tells what else fails", async (test) => {
  const { door, own, engine, routing } = await world(test);
  const { preload } = door.configure({});
  engine.failures.push(coded("out_of_memory"));
  assert.equal(await preload(), "cpu");
  assert.deepEqual(engine.loads, ["webgpu", "cpu"]);
  const { logs } = await subscribe(own(), input);
  assert.match(logs[0]!, /^running on cpu: WebGPU failed \(the engine says out_of_memory\), so the CPU is used$/);
  engine.failures.push(coded("checkpoint_hash"));
  assert.equal((await failing(preload())).code, "checkpoint_hash");
  const gpu = { kind: "webgpu", reason: "a GPU is available (fake)", software: false } as const;
  for (const [choice, fallback, failure] of [
    [gpu, false, "checkpoint_hash"],
    [gpu, { proxyUrl: "/api" }, "out_of_memory"],
    [ONLY_CPU, false, "out_of_memory"],
  ] as const) {
    engine.choice = choice;
    routing.fallback = fallback;
    engine.failures.push(coded(failure));
    const before = engine.loads.length;
    assert.equal((await failing(preload())).code, failure);
    assert.equal(engine.loads.length, before + 1, `${choice.kind}: nothing else is tried after ${failure}`);
  }
  routing.fallback = false;
  routing.device = "webgpu";
  engine.choice = { kind: "webgpu", reason: "asked for", software: false };
  engine.failures.push(coded("out_of_memory"));
  assert.equal((await failing(preload())).code, "out_of_memory");
});

test("preload goes where a request would, too, where no device can be asked about, or none could be", async (test) => {
  const { door, engine, routing } = await world(test);
  const { preload } = door.configure({});
  engine.choice = new TypeError("info is undefined");
  assert.equal(await preload(), "cpu");
  routing.fallback = { proxyUrl: "/api" };
  assert.equal(await preload(), "fal");
  routing.device = "webgpu";
  assert.equal((await failing(preload())).message, "info is undefined");
  engine.lack = "this is no browser";
  assert.equal(await preload(), "fal");
  assert.deepEqual(engine.loads, ["cpu"]);
});

test("settings are kept one by one; those of the engine let the model go when they change", async (test) => {
  const { door, engine } = await world(test);
  const released = () => engine.released;
  for (const [changes, times] of [[{ device: "cpu" }, 1], [{ device: "cpu" }, 0], [{ onBackend: () => {} }, 0], [{ weights: "/a" }, 1], [{ worker: false, cache: false, sha256: "00" }, 1], [{ model: "mobilesam" }, 1], [{}, 0], [undefined, 0]] as const) {
    const before = released();
    door.configure(changes as never);
    assert.equal(released() - before, times, JSON.stringify(changes));
  }
});

test("onBackend is told who serves, why, and which request; again, when it goes on elsewhere", async (test) => {
  const { own, engine, routing } = await world(test);
  const told: unknown[] = [];
  routing.onBackend = (served) => told.push(served);
  routing.device = "webgpu";
  routing.fallback = { credentials: KEY };
  engine.failures.push(coded("device_lost"), coded("device_lost"));
  const { requestId } = await subscribe(own(), input);
  assert.deepEqual(told, [
    { backend: "webgpu", reason: "a GPU is available (fake)", requestId },
    { backend: "fal", reason: "the engine says device_lost", requestId },
  ]);
});

test("a page is warned of a key in its settings, and of each once", async (test) => {
  const warnings: unknown[] = [];
  test.mock.method(console, "warn", (text: unknown) => warnings.push(text));
  Object.assign(globalThis, { document: {}, window: { document: {} } });
  test.after(() => {
    Reflect.deleteProperty(globalThis, "document");
    Reflect.deleteProperty(globalThis, "window");
  });
  const { door } = await world(test);
  door.configure({ fallback: { proxyUrl: "/api" } });
  assert.deepEqual(warnings, []);
  door.configure({ fallback: { credentials: KEY } });
  assert.equal(warnings.length, 1);
  door.fal.config({ credentials: KEY });
  await door.fal.run(ENDPOINT, { input });
  await door.fal.subscribe(ENDPOINT, { input });
  assert.equal(warnings.length, 2);
  door.fal.config({ credentials: KEY, suppressLocalCredentialsWarning: true });
  assert.equal(warnings.length, 2);
});

test("in a page, a proxy that is only named is a way to fal; in a worker it is none", async (test) => {
  const { door, engine } = await world(test);
  engine.choice = ONLY_CPU;
  door.fal.config({ proxyUrl: "https://app.example/api" });
  assert.equal(await door.configure().preload(), "cpu");
  Object.assign(globalThis, { document: {} });
  test.after(() => Reflect.deleteProperty(globalThis, "document"));
  assert.equal(await door.configure().preload(), "fal");
});

test("a key of the environment is not used by the door of its own accord", async (test) => {
  process.env.FAL_KEY = "of-the-environment";
  test.after(() => delete process.env.FAL_KEY);
  const { client, engine, standIn, routing } = await world(test);
  engine.choice = ONLY_CPU;
  routing.fallback = { proxyUrl: standIn.proxyUrl };
  await subscribe(client(), input);
  routing.fallback = { fetch: standIn.fetch };
  await subscribe(client(), input);
  assert.ok(standIn.arrivals.length > 4);
  for (const { headers } of standIn.arrivals) assert.equal(headers.authorization, undefined);
});
