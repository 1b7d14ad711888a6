/** Where a request runs: each trigger, each way to fal, and what reaches fal, byte by byte; and when nothing may. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, ValidationError, type FalClient } from "@fal-ai/client";
import type { EngineAnswer } from "../../pkg/src/fal/endpoint.js";
import { ONLY_CPU, coded } from "./fake.js";
import { RETRIED, newId, unreachable } from "../../pkg/src/fal/wire.js";
import type { Arrival } from "./stand-in.js";
import { ENDPOINT, IMAGE_URL, KEY, failing, subscribe, until, world, type World } from "./world.js";

const SUBMIT = "https://queue.fal.run/fal-ai/tiny-sam";
const RUN = "https://fal.run/fal-ai/tiny-sam";
const input = { image_url: IMAGE_URL };
const UNREACHABLE: EngineAnswer = { detail: unreachable("no CORS"), unreachable: true };

const submits = (arrivals: readonly Arrival[]) => arrivals.filter(({ method, url }) => method === "POST" && url.startsWith(SUBMIT));

/** Each trigger of the fallback, as the engine shows it. */
const TRIGGERS: Record<string, (engine: World["engine"]) => void> = {
  "no WebGPU": (engine) => (engine.choice = ONLY_CPU),
  "only a software adapter": (engine) =>
    (engine.choice = { ...ONLY_CPU, reason: "the only WebGPU adapter is software (SwiftShader), so the CPU is used" }),
  "device creation refused": (engine) => engine.failures.push(coded("device_unavailable")),
  "weights unreachable": (engine) => engine.failures.push(coded("checkpoint_unreachable")),
  "weights corrupt": (engine) => engine.failures.push(coded("checkpoint_hash")),
  "weights unreadable": (engine) => engine.failures.push(coded("checkpoint_invalid")),
  "device lost twice": (engine) => engine.failures.push(coded("device_lost"), coded("device_lost")),
  "out of memory": (engine) => engine.failures.push(coded("out_of_memory")),
  "crashed twice": (engine) => engine.failures.push(coded("crashed"), coded("crashed")),
  "unsupported on the GPU": (engine) => engine.failures.push(coded("unsupported")),
  "a module that cannot be fetched": (engine) => engine.failures.push(coded("module_unreachable")),
  "weights of another network": (engine) => engine.failures.push(coded("checkpoint_mismatch")),
  "other settings twice": (engine) => engine.failures.push(coded("released"), coded("released")),
  "no browser": (engine) => (engine.lack = "the engine says it lacks a browser"),
  "an image that may not be read": (engine) => engine.failures.push(UNREACHABLE),
};

for (const [name, trigger] of Object.entries(TRIGGERS)) {
  test(`${name}: fal gets the request, without our extensions, and the story goes on`, async (test) => {
    const { client, engine, standIn, routing } = await world(test, { key: KEY });
    const served: string[] = [];
    routing.onBackend = ({ backend }) => served.push(backend);
    trigger(engine);
    const given = { return_masks: true, point_label: [1], output: "mask", image_url: IMAGE_URL, point_prompt: [[300, 300]], multimask: true, size: 512, unknown: 1 };
    const { data, requestId, updates, logs } = await subscribe(client({ credentials: KEY }), given);

    const [submit, ...others] = submits(standIn.arrivals);
    assert.deepEqual(others, []);
    assert.equal(submit!.body.toString(), `{"point_label":[1],"image_url":"${IMAGE_URL}","point_prompt":[[300,300]],"size":512}`);
    assert.equal(submit!.headers.authorization, `Key ${KEY}`);
    assert.match(data.image.url, /v3\.fal\.example/);
    assert.equal(served.at(-1), "fal");
    assert.ok(updates.every(({ request_id }) => request_id === requestId), "one request, whoever serves");
    const order = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"];
    const steps = updates.map(({ status }) => order.indexOf(status));
    assert.deepEqual(steps, [...steps].sort(), "the status never goes back");
    assert.ok(logs.some((line) => line.startsWith("running on fal: ")), logs.join("\n"));
    assert.equal(logs.filter((line) => line === "running on a runner of fal").length, 1, "fal's own lines are there, too, once");
    const completed = updates.at(-1)!;
    assert.ok("metrics" in completed && completed.metrics!.inference_time === 0.03, "and fal's own time");
  });

  test(`${name}: with nothing configured, fal sees nothing`, async (test) => {
    const { client, engine, standIn, routing } = await world(test);
    const served: string[] = [];
    routing.onBackend = ({ backend }) => served.push(backend);
    trigger(engine);
    const outcome = await subscribe(client(), input).catch((error: unknown) => error);
    assert.equal(standIn.arrivals.length, 0);
    assert.ok(!served.includes("fal"));
    if (served.includes("cpu")) {
      assert.ok(!(outcome instanceof Error), "the CPU serves in place of a GPU that is not there, or that fails");
    } else if (engine.runs.length === 1 && name.startsWith("an image")) {
      assert.ok(outcome instanceof ValidationError);
      assert.equal(outcome.getFieldErrors("image_url")[0]!.type, "file_download_error");
    } else {
      assert.ok(outcome instanceof ApiError);
      assert.equal(outcome.status, 500, "failures.test.ts has each");
      assert.match(outcome.message, /the engine says .*proxyUrl.*credentials.*fallback/, "the reason, and the remedy");
      const { error_type, ...body } = outcome.body as Record<string, unknown>;
      assert.deepEqual(body, { detail: outcome.message });
      assert.match(String(error_type), /^(runner_\w+|internal_error)$/);
    }
  });

  test(`${name}: with a fallback forbidden, fal sees nothing, whatever the client holds`, async (test) => {
    const { client, own, engine, standIn, routing } = await world(test);
    routing.fallback = false;
    trigger(engine);
    const file = new File(["a photo"], "a.png", { type: "image/png" });
    // (Where no engine can be, another client's uploads are its own affair; this package knows what its own are for.)
    await subscribe((name === "no browser" ? own : client)({ credentials: KEY }), { image_url: file }).catch(() => undefined);
    await client({ proxyUrl: { url: standIn.proxyUrl, when: "always" } }).run(ENDPOINT, { input }).catch(() => undefined);
    assert.equal(standIn.arrivals.length, 0);
  });
}

test("a GPU that fails is left for the CPU, with the reason; the next request does not try it again", async (test) => {
  for (const failures of [["out_of_memory"], ["crashed", "crashed"], ["device_lost", "device_lost"], ["unsupported"], ["module_unreachable"], ["device_unavailable"]]) {
    const { client, engine, standIn, routing } = await world(test);
    const served: string[] = [];
    routing.onBackend = ({ backend, reason }) => served.push(`${backend}: ${reason}`);
    engine.failures.push(...failures.map((code) => coded(code, { endsDevice: true })));
    const reason = `WebGPU failed (the engine says ${failures[0]}), so the CPU is used`;
    const { data, logs } = await subscribe(client(), input);
    assert.ok(data.image);
    assert.ok(logs.includes(`running on cpu: ${reason}`), logs.join("\n"));
    assert.equal(logs.filter((line) => line.endsWith("; trying again")).length, failures.length - 1);
    await subscribe(client(), input);
    assert.deepEqual(served, ["webgpu: a GPU is available (fake)", `cpu: ${reason}`, `cpu: ${reason}`]);
    assert.deepEqual(engine.runs.map(({ device }) => device), [...failures.map(() => "webgpu"), "cpu", "cpu"]);
    // Where fal has come to be configured, it comes before the CPU.
    await subscribe(client({ credentials: KEY }), input);
    assert.match(served.at(-1)!, /^fal: WebGPU failed \(.*\)$/);
    assert.equal(submits(standIn.arrivals).length, 1);
  }
});

test("other settings that come while a request runs are those that it goes on with", async (test) => {
  const { client, engine, standIn, routing } = await world(test);
  const served: string[] = [];
  routing.onBackend = ({ backend }) => {
    served.push(backend);
    // The user picks another device: the engine is let go under the request.
    if (served.length === 1) engine.choice = { kind: "cpu", reason: "it was asked for", software: false };
  };
  engine.failures.push(coded("released"));
  await subscribe(client(), input);
  assert.deepEqual([served, engine.runs.map(({ device }) => device)], [["webgpu", "cpu"], ["webgpu", "cpu"]]);

  // And what is forbidden meanwhile is not done.
  engine.choice = { kind: "webgpu", reason: "a GPU is available (fake)", software: false };
  routing.onBackend = () => (routing.fallback = false);
  engine.failures.push(coded("checkpoint_unreachable"));
  const error = await failing(subscribe(client({ credentials: KEY }), input));
  assert.match(error.message, /fal was not asked/);
  assert.equal(submits(standIn.arrivals).length, 0);
});

test("what is not the GPU's fault is not tried again on the CPU; and the CPU has its own two tries", async (test) => {
  for (const code of ["checkpoint_unreachable", "checkpoint_hash", "checkpoint_invalid", "checkpoint_mismatch"]) {
    const { client, engine } = await world(test);
    engine.failures.push(coded(code));
    const error = await failing(subscribe(client(), input));
    assert.deepEqual([error.status, engine.runs.length], [500, 1], code);
    assert.match(error.message, new RegExp(`the engine says ${code}\\. To let fal answer`));
  }
  const { client, engine } = await world(test);
  engine.failures.push(...["crashed", "crashed", "crashed", "crashed"].map((code) => coded(code)));
  assert.equal((await failing(subscribe(client(), input))).body.error_type, "runner_disconnected");
  assert.deepEqual(engine.runs.map(({ device }) => device), ["webgpu", "webgpu", "cpu", "cpu"]);
});

test("no device can be asked about: the CPU, or fal, or the one that was named", async (test) => {
  const { client, engine, standIn, routing } = await world(test);
  engine.choice = new TypeError("info is undefined");
  const { logs } = await subscribe(client(), input);
  assert.ok(logs.includes("running on cpu: info is undefined, so the CPU is used"));
  await subscribe(client({ credentials: KEY }), input);
  assert.equal(submits(standIn.arrivals).length, 1);
  routing.device = "webgpu";
  const error = await failing(subscribe(client(), input));
  assert.deepEqual([error.status, error.body.error_type], [500, "internal_error"]);
});

test("a reason that is a question already has no full stop after it", async (test) => {
  const { client, engine, routing } = await world(test);
  routing.device = "cpu";
  for (const [reason, told] of [["is it served?", "is it served? To let"], ["it is.", "it is. To let"], ["it is not", "it is not. To let"]] as const) {
    engine.choice = new Error(reason);
    assert.ok((await failing(subscribe(client(), input))).message.includes(`request: ${told}`));
  }
});

test("the answer's header says who served", async (test) => {
  const { engine, router } = await world(test);
  const headers = { authorization: `Key ${KEY}` };
  const run = async () => (await router("https://fal.run/fal-ai/tiny-sam", { method: "POST", headers, body: JSON.stringify(input) })).headers.get("x-tinysam-backend");
  assert.equal(await run(), "webgpu");
  engine.choice = ONLY_CPU;
  assert.equal(await run(), "fal");
});

test("one loss is not two: the request is tried again on the device", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.failures.push(coded("device_lost"));
  const { logs } = await subscribe(client({ credentials: KEY }), input);
  assert.deepEqual([engine.runs.length, standIn.arrivals.length], [2, 0]);
  assert.ok(logs.some((line) => /trying again/.test(line)));
});

test("uploads stay here until the request falls back, and only then go to fal", async (test) => {
  const { client, engine, standIn } = await world(test, { key: KEY });
  const keyed = client({ credentials: KEY });
  const file = new File([new Uint8Array([0, 255, 128, 7])], "photo.png", { type: "image/png" });
  const url = await keyed.storage.upload(file);
  await subscribe(keyed, { image_url: url });
  assert.equal(standIn.arrivals.length, 0);

  engine.choice = ONLY_CPU;
  await subscribe(keyed, { image_url: url, confidence: 0.5 });
  const [initiate, put, submit] = standIn.arrivals;
  assert.equal(initiate!.body.toString(), '{"content_type":"image/png","file_name":"photo.png"}');
  assert.deepEqual([put!.method, [...put!.body], put!.headers.authorization], ["PUT", [0, 255, 128, 7], undefined]);
  assert.match(submit!.body.toString(), /^\{"image_url":"https:\/\/v3\.fal\.example\/[^"]+\/photo\.png","confidence":0\.5\}$/);
});

test("a blob: URL is uploaded, a data: URI goes as it is, and a blob: URL that is gone is told so", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  const keyed = client({ credentials: KEY });
  const url = URL.createObjectURL(new Blob(["a photo"], { type: "image/png" }));
  await subscribe(keyed, { image_url: url });
  assert.match(submits(standIn.arrivals)[0]!.body.toString(), /^\{"image_url":"https:\/\/v3\.fal\.example\//);
  assert.deepEqual([...standIn.files.values()].map(String), ["a photo"]);

  await subscribe(keyed, { image_url: "data:image/png;base64,AAAA" });
  assert.equal(submits(standIn.arrivals)[1]!.body.toString(), '{"image_url":"data:image/png;base64,AAAA"}');

  const revoked = URL.createObjectURL(new Blob(["another"]));
  URL.revokeObjectURL(revoked);
  const gone = await failing(subscribe(keyed, { image_url: revoked }));
  assert.ok(gone instanceof ValidationError && gone.getFieldErrors("image_url").length === 1);
});

test("through a proxy: no key leaves the page, and the caller's own headers reach the proxy", async (test) => {
  const { client, engine, standIn } = await world(test, { key: KEY });
  engine.choice = ONLY_CPU;
  const proxied = client({
    proxyUrl: { url: standIn.proxyUrl, when: "always" },
    requestMiddleware: (request) => Promise.resolve({ ...request, headers: { ...request.headers, "x-session": "s1" } }),
  });
  const { data } = await subscribe(proxied, { image_url: new Blob(["a photo"], { type: "image/png" }) });
  assert.match(data.image.url, /v3\.fal\.example/);
  const toFal = standIn.arrivals.filter(({ url }) => /fal\.(run|ai)/.test(url));
  assert.ok(toFal.length >= 4);
  for (const { proxied, headers, url } of toFal) {
    assert.deepEqual([proxied, headers.authorization, headers["x-session"]], [true, undefined, "s1"], url);
  }
});

test("with configure's fallback: its key, its proxy, or its fetch", async (test) => {
  const { client, engine, standIn, routing } = await world(test, { key: KEY });
  engine.choice = ONLY_CPU;
  routing.fallback = { credentials: KEY };
  await subscribe(client(), input);
  assert.equal(submits(standIn.arrivals)[0]!.headers.authorization, `Key ${KEY}`);

  routing.fallback = { proxyUrl: standIn.proxyUrl };
  await subscribe(client({ credentials: "another-key" }), input);
  assert.deepEqual([submits(standIn.arrivals)[1]!.proxied, submits(standIn.arrivals)[1]!.headers.authorization], [true, undefined]);

  const seen: string[] = [];
  routing.fallback = { fetch: (resource, init) => (seen.push(String(resource)), standIn.fetch(resource, init)) };
  await subscribe(client({ credentials: KEY }), input);
  assert.equal(seen[0], SUBMIT);
  assert.equal(submits(standIn.arrivals)[2]!.headers.authorization, `Key ${KEY}`);
});

test("a device that is named is the only one, unless a fallback is, too", async (test) => {
  const { client, engine, standIn, routing } = await world(test);
  routing.device = "webgpu";
  engine.failures.push(coded("out_of_memory"));
  const error = await failing(subscribe(client({ credentials: KEY }), input));
  assert.ok(error instanceof ApiError && error.status === 500);
  assert.match(error.message, /"auto"/);
  engine.choice = coded("device_unavailable");
  assert.equal((await failing(subscribe(client({ credentials: KEY }), input))).status, 500);
  assert.equal(standIn.arrivals.length, 0);
  routing.fallback = { credentials: KEY };
  await subscribe(client(), input);
  assert.equal(submits(standIn.arrivals).length, 1);
});

test('device "fal" never asks the engine, and needs a way to fal', async (test) => {
  const { client, engine, standIn, routing } = await world(test);
  routing.device = "fal";
  engine.choice = new Error("must not be asked");
  await subscribe(client({ credentials: KEY }), input);
  assert.deepEqual([engine.runs.length, submits(standIn.arrivals).length], [0, 1]);
  assert.equal((await failing(subscribe(client(), input))).status, 401);
});

test("requests that fal serves do not wait for one another", async (test) => {
  const { client, engine, standIn } = await world(test, { running: Infinity });
  engine.choice = ONLY_CPU;
  const all = Array.from({ length: 5 }, () => subscribe(client({ credentials: KEY }), input));
  await until(() => submits(standIn.arrivals).length === 5);
  standIn.running = 0;
  await Promise.all(all);
});

for (const status of [401, 403, 404, 422, 500]) {
  test(`fal's own ${status} is the caller's`, async (test) => {
    const { client, engine, standIn } = await world(test);
    engine.choice = ONLY_CPU;
    standIn.fault({ on: ({ url }) => url.startsWith(SUBMIT), with: status });
    const error = await failing(subscribe(client({ credentials: KEY }), input));
    assert.deepEqual([error.status, error.body], [status, { detail: `fault ${status}` }]);
    assert.equal(error instanceof ValidationError, status === 422);
    assert.equal(standIn.arrivals.length, 1);
  });
}

test("429, then 200: the request is sent again, once", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  for (const [ask, url] of Object.entries({ subscribe: SUBMIT, run: RUN })) {
    standIn.fault({ on: (arrival) => arrival.url.startsWith(url), with: 429 });
    const { data } = ask === "run" ? await client({ credentials: KEY }).run(ENDPOINT, { input }) : await subscribe(client({ credentials: KEY }), input);
    assert.ok(data.image);
    assert.equal(standIn.arrivals.filter((arrival) => arrival.method === "POST" && arrival.url === url).length, 2, ask);
  }
});

/**
 * What persistently fails, by the call that it fails: the attempts that fal's client makes, alone, before it gives up.
 */
const PERSISTENT: [call: string, on: (arrival: Arrival) => boolean, attempts: Record<number, number>][] = [
  ["submit", ({ method, url }) => method === "POST" && url.startsWith(SUBMIT), { 429: 4, 500: 1, 502: 4, 503: 4, 504: 4 }],
  ["status", ({ url }) => url.includes("/status"), { 429: 6, 500: 6, 503: 6 }],
  ["result", ({ method, url }) => method === "GET" && /requests\/[^/]+$/.test(url), { 429: 4, 500: 1, 503: 4 }],
  ["run", ({ url }) => url === RUN, { 429: 4, 500: 1, 503: 4 }],
];

for (const [call, on, attempts] of PERSISTENT) {
  for (const [status, count] of Object.entries(attempts)) {
    test(`fal answers ${status} to every ${call}: it is asked as often as by fal's client alone, and the error is fal's`, async (test) => {
      const { client, engine, standIn, alone: fal } = await world(test);
      engine.choice = ONLY_CPU;
      standIn.fault({ on, with: Number(status), times: Infinity });
      const ask = (asked: FalClient) => failing(call === "run" ? asked.run(ENDPOINT, { input }) : subscribe(asked, input));
      const error = await ask(client({ credentials: KEY }));
      assert.ok(error instanceof ApiError);
      // What is stored would be asked for again, and again: it has another number, and fal's words.
      const told = call !== "run" && RETRIED.includes(Number(status)) ? 500 : Number(status);
      assert.deepEqual([error.status, error.body], [told, { detail: `fault ${status}` }]);
      assert.equal(standIn.arrivals.filter(on).length, count);

      const alone = await ask(fal({ credentials: KEY }));
      assert.equal(standIn.arrivals.filter(on).length, 2 * count);
      assert.deepEqual([error.name, error.message, error.body], [alone.name, alone.message, alone.body]);
    });
  }
}

test("fal's refusal of a timeout that the caller set is not tried again", async (test) => {
  const { client, engine, routing } = await world(test);
  engine.choice = ONLY_CPU;
  let asked = 0;
  const headers = { "content-type": "application/json", "x-fal-request-timeout-type": "user" };
  const late = async () => (asked++, new Response('{"detail":"too late"}', { status: 504, headers }));
  routing.fallback = { credentials: KEY, fetch: late };
  for (const ask of [client().run(ENDPOINT, { input, startTimeout: 2 }), subscribe(client(), input)]) {
    const error = await failing(ask);
    assert.ok(error instanceof ApiError && error.isUserTimeout);
  }
  assert.equal(asked, 2);
});

test("503 on a status, a cut connection and a bad gateway are survived", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  standIn.fault({ on: ({ url }) => url.includes("/status"), with: 503 });
  standIn.fault({ on: ({ url }) => url.startsWith(SUBMIT), with: "cut" });
  standIn.fault({ on: ({ url, method }) => method === "GET" && /requests\/[^/]+$/.test(url), with: "html" });
  const { data, updates } = await subscribe(client({ credentials: KEY }), input);
  assert.ok(data.image);
  assert.equal(updates.at(-1)!.status, "COMPLETED");
});

test("malformed JSON of fal is one error, with what was being done", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  standIn.fault({ on: ({ url }) => url.startsWith(SUBMIT), with: "malformed" });
  const error = await failing(subscribe(client({ credentials: KEY }), input));
  assert.ok(error instanceof ApiError && error.status === 500);
  assert.match(error.message, /^the request to fal failed: /);
});

test("a slow fal is waited for; an abort stops it there, too", async (test) => {
  const { client, engine, standIn } = await world(test, { running: Infinity });
  engine.choice = ONLY_CPU;
  standIn.fault({ on: ({ url }) => url.startsWith(SUBMIT), with: { delay: 200 } });
  const controller = new AbortController();
  const subscribed = failing(subscribe(client({ credentials: KEY }), input, { abortSignal: controller.signal }));
  await until(() => standIn.arrivals.some(({ url }) => url.includes("/status")));
  controller.abort();
  assert.equal((await subscribed).name, "AbortError");
  await until(() => standIn.arrivals.some(({ method, url }) => method === "PUT" && url.endsWith("/cancel")));
});

test("an abort before fal has answered cancels nothing that has no name", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  standIn.fault({ on: ({ url }) => url.startsWith(SUBMIT) || url === RUN, times: 2, with: { delay: 60_000 } });
  const controller = new AbortController();
  const ran = failing(client({ credentials: KEY }).run(ENDPOINT, { input, abortSignal: controller.signal }));
  const subscribed = failing(subscribe(client({ credentials: KEY }), input, { abortSignal: controller.signal }));
  await until(() => standIn.arrivals.length === 2);
  controller.abort();
  for (const failed of [ran, subscribed]) assert.equal((await failed).name, "AbortError");
  await subscribe(client({ credentials: KEY }), input);
  assert.ok(standIn.arrivals.every(({ method }) => method !== "PUT"));
});

test("fal's log lines keep their levels; one that fal's client does not know is an INFO", async (test) => {
  const { client, standIn, routing } = await world(test);
  routing.device = "fal";
  const levels = ["ERROR", "WARN", "INFO", "DEBUG", "STDERR"];
  const network: typeof fetch = async (resource, init) => {
    const response = await standIn.fetch(resource, init);
    if (!String(resource).includes("/status")) return response;
    const status = (await response.json()) as { status: string };
    const logs = levels.map((level) => ({ level, message: level, source: "USER", timestamp: new Date(0).toISOString() }));
    return Response.json({ ...status, logs }, { status: response.status });
  };
  routing.fallback = { credentials: KEY, fetch: network };
  const { updates } = await subscribe(client(), input);
  const told = (updates.at(-1) as { logs: { level: string; message: string }[] }).logs.filter(({ message }) => levels.includes(message));
  assert.deepEqual(told.map(({ level }) => level), ["ERROR", "WARN", "INFO", "INFO", "INFO"]);
});

test("a webhook is fal's to call when fal serves", async (test) => {
  const { client, engine, standIn } = await world(test);
  engine.choice = ONLY_CPU;
  const { logs } = await subscribe(client({ credentials: KEY }), input, { webhookUrl: "https://a.example/hook" });
  assert.equal(submits(standIn.arrivals)[0]!.url, `${SUBMIT}?fal_webhook=https%3A%2F%2Fa.example%2Fhook`);
  assert.ok(!logs.some((line) => /webhook/.test(line)));
});

test("a request that fal was given elsewhere is fal's to tell about; ours never leaves", async (test) => {
  const { client, standIn } = await world(test);
  const keyed = client({ credentials: KEY });
  await failing(keyed.queue.status(ENDPOINT, { requestId: "764cabcf-b745-4b3e-ae38-1200304cf45b" }));
  assert.equal(standIn.arrivals.length, 1);
  await failing(keyed.queue.status(ENDPOINT, { requestId: newId() }));
  await failing(client().queue.status(ENDPOINT, { requestId: "764cabcf-b745-4b3e-ae38-1200304cf45b" }));
  assert.equal(standIn.arrivals.length, 1);
});
