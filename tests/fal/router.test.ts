/** What the router does beyond fal's contract: speed, order, cancelling, bounds, and leaving the rest alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, type QueueStatus } from "@fal-ai/client";
import { ENDPOINT, IMAGE_URL, failing, subscribe, until, world } from "./world.js";

const QUEUE = "https://queue.fal.run/fal-ai/tiny-sam";
const input = { image_url: IMAGE_URL };

test("an answer has fal's headers, and ours", async (test) => {
  const { router, engine } = await world(test);
  const letGo = engine.hold();
  const submitted = await router(QUEUE, { method: "POST", body: JSON.stringify(input) });
  const { request_id: id, status_url, response_url } = (await submitted.json()) as Record<string, string>;
  assert.equal(submitted.headers.get("x-fal-request-id"), id);
  assert.equal(submitted.headers.get("content-type"), "application/json");
  assert.equal((await router(status_url!)).status, 202);
  letGo();
  let status = await router(status_url!);
  while (status.status === 202) status = await router(status_url!);
  assert.equal(status.status, 200);
  const result = await router(new Request(response_url!));
  assert.equal(result.headers.get("x-tinysam-backend"), "webgpu");
  const { image } = (await result.json()) as { image: { url: string; file_size: number; file_name: string } };
  assert.equal(await (await fetch(image.url)).text(), "a picture");
  assert.deepEqual([image.file_size, image.file_name], [9, `${id}.png`]);
});

test("twenty concurrent requests run one at a time, in order, and each gets its own result", async (test) => {
  const { client, engine } = await world(test);
  const letGo = engine.hold();
  const positions: number[] = [];
  const onQueueUpdate = (status: QueueStatus) => "queue_position" in status && positions.push(status.queue_position);
  const subscribed = Array.from({ length: 20 }, (_, index) => subscribe(client(), { ...input, size: 64 + index }, { onQueueUpdate }));
  await until(() => positions.length >= 19);
  letGo();
  const results = await Promise.all(subscribed);
  assert.equal(engine.mostRunning, 1);
  assert.deepEqual(engine.runs.map(({ input }) => (input as { size: number }).size), Array.from({ length: 20 }, (_, index) => 64 + index));
  assert.equal(new Set(results.map(({ requestId }) => requestId)).size, 20);
  assert.equal(new Set(results.map(({ data }) => data.image.url)).size, 20);
  assert.equal(Math.max(...positions), 18, "eighteen were before the last, of those that waited");
});

test("cancelled in the queue, a request never runs", async (test) => {
  const { client, engine } = await world(test);
  const letGo = engine.hold();
  const [running, waiting] = [await client().queue.submit(ENDPOINT, { input }), await client().queue.submit(ENDPOINT, { input })];
  await client().queue.cancel(ENDPOINT, { requestId: waiting.request_id });
  const error = await failing(client().queue.result(ENDPOINT, { requestId: waiting.request_id }));
  assert.ok(error instanceof ApiError && error.status === 499);
  letGo();
  await client().queue.subscribeToStatus(ENDPOINT, { requestId: running.request_id, pollInterval: 0 });
  await subscribe(client(), input);
  assert.equal(engine.runs.length, 2);
});

test("cancelled in progress, a request stops the engine, and the next one starts", async (test) => {
  const { client, engine } = await world(test);
  const letGo = engine.hold();
  const running = await client().queue.submit(ENDPOINT, { input });
  const next = subscribe(client(), input);
  await until(() => engine.running === 1);
  await client().queue.cancel(ENDPOINT, { requestId: running.request_id });
  await until(() => engine.runs.length === 2);
  letGo();
  await next;
  assert.deepEqual(engine.runs.map(({ aborted }) => aborted), [true, false]);
});

test("the client's timeout cancels on the device", async (test) => {
  const { client, engine } = await world(test);
  engine.hold();
  const error = await failing(subscribe(client(), input, { timeout: 40 }));
  assert.match(error.message, /timed out/);
  await until(() => engine.running === 0);
  assert.deepEqual(engine.runs.map(({ aborted }) => aborted), [true]);
});

test("a request that is not started in time fails with fal's 504, which is not tried again", async (test) => {
  const { client, engine } = await world(test);
  const letGo = engine.hold();
  const first = subscribe(client(), input);
  await until(() => engine.running === 1);
  const error = await failing(subscribe(client(), input, { startTimeout: 1.01 }));
  assert.ok(error instanceof ApiError && error.status === 504 && error.isUserTimeout);
  letGo();
  await first;
  assert.equal(engine.runs.length, 1);
});

test("a time to start in that is longer than any timer's is waited for", async (test) => {
  const { client, engine } = await world(test);
  const letGo = engine.hold();
  const first = subscribe(client(), input);
  await until(() => engine.running === 1);
  const second = subscribe(client(), input, { startTimeout: 1e9 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  letGo();
  assert.ok((await Promise.all([first, second])).every(({ data }) => data.image));
});

test("results expire, and their pictures with them", async (test) => {
  const { client } = await world(test, { results: { count: 2, bytes: 1e6, age: 3_600_000 } });
  const results = [];
  for (let i = 0; i < 3; i++) results.push(await subscribe(client(), input));
  const [oldest, , latest] = results;
  const error = await failing(client().queue.result(ENDPOINT, { requestId: oldest!.requestId }));
  assert.ok(error instanceof ApiError && error.status === 404);
  await assert.rejects(fetch(oldest!.data.image.url));
  assert.equal(await (await fetch(latest!.data.image.url)).text(), "a picture");
});

test("a webhook is accepted, and the log says that nobody calls it", async (test) => {
  const { client } = await world(test);
  const { logs } = await subscribe(client(), input, { webhookUrl: "https://a.example/hook" });
  assert.ok(logs.some((line) => /webhook is not called/.test(line)), logs.join("\n"));
});

test("an upload is held here, read by the engine, and can be fetched", async (test) => {
  const { client, engine, router } = await world(test);
  const file = new File(["a photo"], "ä photo.png", { type: "image/png" });
  const url = await client().storage.upload(file);
  await subscribe(client(), { image_url: url });
  assert.equal(await engine.runs[0]!.image!.text(), "a photo");
  const fetched = await router(url);
  assert.deepEqual([fetched.headers.get("content-type"), await fetched.text()], ["image/png", "a photo"]);
  const gone = await failing(subscribe(client(), { image_url: `${url}x` }));
  assert.equal(gone.status, 422);
  assert.deepEqual(gone.getFieldErrors("image_url").map(({ type }: { type: string }) => type), ["file_download_error"]);
});

test("parts of an upload are put together in their order", async (test) => {
  const { router } = await world(test);
  const initiate = "https://rest.fal.ai/storage/upload/initiate-multipart?storage_type=fal-cdn-v3";
  const body = JSON.stringify({ file_name: "a.bin", content_type: "text/plain" });
  const { upload_url, file_url } = (await (await router(initiate, { method: "POST", body })).json()) as Record<string, string>;
  for (const part of [2, 10, 1]) await router(`${upload_url}/${part}`, { method: "PUT", body: `<${part}>` });
  await router(`${upload_url}/complete`, { method: "POST", body: "{}" });
  assert.equal(await (await router(file_url!)).text(), "<1><2><10>");
});

test("what is not ours goes to the network as it is", async (test) => {
  const { router, standIn, elsewhere } = await world(test);
  const init = { method: "POST", headers: { authorization: "Key k", "x-other": "1" }, body: "any body" };
  await router("https://queue.fal.run/fal-ai/flux", init);
  await router(new Request("https://example.com/page?q=1"));
  await router(new URL("https://example.com/file"), { method: "PUT", body: new Uint8Array([1, 2]) });
  const [flux] = standIn.arrivals;
  const [page, file] = elsewhere.arrivals;
  assert.deepEqual([flux!.url, flux!.body.toString(), flux!.headers.authorization, flux!.headers["x-other"]], [
    "https://queue.fal.run/fal-ai/flux",
    "any body",
    "Key k",
    "1",
  ]);
  assert.deepEqual([page!.method, page!.url], ["GET", "https://example.com/page?q=1"]);
  assert.deepEqual([file!.method, [...file!.body]], ["PUT", [1, 2]]);
});

test("held files that are given to another endpoint of fal are uploaded for it", async (test) => {
  const { client, standIn } = await world(test);
  const keyed = client({ credentials: "k" });
  const url = await keyed.storage.upload(new File(["a mask"], "mask.png", { type: "image/png" }));
  const { data } = await subscribe(keyed, input);
  assert.equal(standIn.arrivals.length, 0);
  await failing(keyed.run("fal-ai/flux/inpaint", { input: { mask_url: url, image_url: data.image.url, prompt: "a cat" } }));
  const sent = standIn.arrivals.find(({ url }) => url === "https://fal.run/fal-ai/flux/inpaint")!;
  const body = JSON.parse(sent.body.toString()) as Record<string, string>;
  assert.match(body.mask_url!, /^https:\/\/v3\.fal\.example\/.*mask\.png$/);
  assert.match(body.image_url!, /^https:\/\/v3\.fal\.example\//);
  assert.deepEqual([...standIn.files.values()].map(String).sort(), ["a mask", "a picture"]);
});

test("what only looks like a file of this page goes to another endpoint as it is", async (test) => {
  const { client, standIn } = await world(test);
  await failing(client({ credentials: "k" }).run("fal-ai/flux", { input: { prompt: "blob:fish, watercolour" } }));
  assert.deepEqual(standIn.arrivals.map(({ body }) => body.toString()), ['{"prompt":"blob:fish, watercolour"}']);
});

test("requests through a proxy are recognised by their target", async (test) => {
  const { client, elsewhere } = await world(test);
  const proxied = client({ proxyUrl: { url: "https://app.example/api/fal", when: "always" } });
  const { data } = await subscribe(proxied, { image_url: new Blob(["a photo"], { type: "image/png" }) });
  assert.ok(data.image.url.startsWith("blob:"));
  await failing(proxied.run("fal-ai/flux", { input: {} }));
  assert.deepEqual(elsewhere.arrivals.map(({ url, headers }) => [url, headers["x-fal-target-url"]]), [
    ["https://app.example/api/fal", "https://fal.run/fal-ai/flux"],
  ]);
});

test("a body that is no JSON is refused, and odd calls of the endpoint stay here", async (test) => {
  const { router, standIn } = await world(test);
  assert.equal((await router(QUEUE, { method: "POST", body: "{" })).status, 422);
  assert.equal((await router("https://fal.run/fal-ai/tiny-sam", { method: "GET" })).status, 404);
  assert.equal((await router("https://fal.run/fal-ai/tiny-sam/stream", { method: "POST", body: "{}" })).status, 404);
  assert.equal((await router(QUEUE, { method: "POST" })).status, 200);
  assert.equal(standIn.arrivals.length, 0);
});

test("an engine that fails for reasons of its own is a 500 with its words", async (test) => {
  const { client, engine } = await world(test);
  engine.failures.push(new Error("something odd"));
  const error = await failing(client().run(ENDPOINT, { input }));
  assert.deepEqual([error.status, error.message, error.body], [500, "something odd", { detail: "something odd", error_type: "internal_error" }]);
});
