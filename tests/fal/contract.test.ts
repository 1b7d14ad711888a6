/**
 * One suite, two servers: what fal's client and ours return from the device and from fal is of one shape, field by
 * field.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, ValidationError, type FalClient, type QueueStatus } from "@fal-ai/client";
import { shape } from "./shape.js";
import { ENDPOINT, IMAGE_URL, failing, settled, subscribe, until, world } from "./world.js";

type Step = (client: FalClient) => Promise<unknown>;

/** Runs `step` against both servers and compares the shapes of what it returns. */
function contract(name: string, step: Step): void {
  test(name, async (test) => {
    const onFal = await step((await world(test)).alone());
    for (const kind of ["client", "own"] as const) {
      const { [kind]: client, engine, standIn } = await world(test);
      // The engine works until everybody who asks at once how it goes has been told.
      const letGo = engine.hold();
      let over = false;
      const freed = until(() => engine.running > 0 || over).then(() => settled(50)).then(letGo);
      const onDevice = await step(client());
      over = true;
      await freed;
      assert.equal(standIn.arrivals.length, 0, "the device serves alone");
      assert.deepEqual(shape(onDevice), shape(onFal), kind);
    }
  });
}

/** An error, without what only JavaScript engines say. */
function told(error: unknown): object {
  assert.ok(error instanceof ApiError);
  const { name, status, body, requestId } = error;
  return {
    name,
    [`status ${status}`]: "",
    body,
    requestId,
    fields: error instanceof ValidationError ? error.fieldErrors.map(({ loc, type }) => ({ [`${loc.join(".")}: ${type}`]: "" })) : "none",
  };
}

contract("subscribe, with logs and onQueueUpdate", async (client) => {
  const { data, requestId, updates } = await subscribe(client, { image_url: IMAGE_URL });
  assert.equal(updates.at(-1)?.status, "COMPLETED");
  assert.ok(updates.every(({ request_id }) => request_id === requestId));
  const inProgress = updates.find(({ status }) => status === "IN_PROGRESS");
  assert.ok(inProgress !== undefined && "logs" in inProgress);
  return { data, requestId, inProgress, completed: updates.at(-1) };
});

contract("subscribe without logs", async (client) => {
  const updates: QueueStatus[] = [];
  const result = await client.subscribe(ENDPOINT, { input: { image_url: IMAGE_URL }, onQueueUpdate: (update) => updates.push(update) });
  assert.ok(updates.every((update) => !("logs" in update) || update.logs.length === 0));
  return { result, last: updates.at(-1) };
});

contract("subscribe in streaming mode", async (client) => {
  const updates: QueueStatus[] = [];
  const { data } = await client.subscribe(ENDPOINT, {
    input: { image_url: IMAGE_URL },
    mode: "streaming",
    logs: true,
    onQueueUpdate: (update) => updates.push(structuredClone(update)),
  });
  assert.deepEqual([...new Set(updates.map(({ status }) => status))], ["IN_PROGRESS", "COMPLETED"]);
  const last = updates.at(-1)!;
  assert.ok("logs" in last && last.logs.length > 0, "the lines add up");
  assert.equal(new Set(last.logs.map(({ message }) => message)).size, last.logs.length, "no line comes twice");
  return { data, last };
});

contract("queue.submit, status, result", async (client) => {
  const submitted = await client.queue.submit(ENDPOINT, { input: { image_url: IMAGE_URL }, webhookUrl: "https://a.example/hook" });
  const { request_id: requestId } = submitted;
  const early = await failing(client.queue.result(ENDPOINT, { requestId }));
  const first = await client.queue.status(ENDPOINT, { requestId, logs: true });
  const completed = await client.queue.subscribeToStatus(ENDPOINT, { requestId, logs: true, pollInterval: 5 });
  const again = await client.queue.status(ENDPOINT, { requestId, logs: true });
  assert.deepEqual(again, completed);
  return { submitted, early: told(early), first, completed, result: await client.queue.result(ENDPOINT, { requestId }) };
});

contract("queue.streamStatus", async (client) => {
  const { request_id: requestId } = await client.queue.submit(ENDPOINT, { input: { image_url: IMAGE_URL } });
  const stream = await client.queue.streamStatus(ENDPOINT, { requestId, logs: true });
  const seen: QueueStatus[] = [];
  for await (const status of stream) seen.push(status);
  const last = (await stream.done()) as unknown as QueueStatus;
  assert.equal(last.status, "COMPLETED");
  return { kinds: [...new Set(seen.map(({ status }) => status))].map((status) => ({ [status]: "" })), last };
});

contract("run", (client) => client.run(ENDPOINT, { input: { image_url: IMAGE_URL } }));

contract("an input with every fault of its own", async (client) => {
  const input = { point_prompt: [[1, 1], [2, 2]], point_label: [1] };
  const subscribed = await failing(client.subscribe(ENDPOINT, { input, pollInterval: 0 }));
  assert.ok(subscribed instanceof ValidationError);
  assert.equal(subscribed.getFieldErrors("point_label").length, 1);
  assert.equal(subscribed.getFieldErrors("image_url").length, 1);
  const ran = await failing(client.run(ENDPOINT, { input }));
  const empty = await failing(client.run(ENDPOINT, { input: {} }));
  return [told(subscribed), told(ran), told(empty)];
});

contract("an unknown request", async (client) => {
  const requestId = "00000000-0000-0000-0000-000000000000";
  return {
    status: told(await failing(client.queue.status(ENDPOINT, { requestId }))),
    result: told(await failing(client.queue.result(ENDPOINT, { requestId }))),
    cancel: told(await failing(client.queue.cancel(ENDPOINT, { requestId }))),
  };
});

contract("cancel in progress, and after", async (client) => {
  const { request_id: requestId } = await client.queue.submit(ENDPOINT, { input: { image_url: IMAGE_URL } });
  const cancelled = await client.queue.cancel(ENDPOINT, { requestId });
  const status = await client.queue.subscribeToStatus(ENDPOINT, { requestId, pollInterval: 5 });
  const result = await failing(client.queue.result(ENDPOINT, { requestId }));
  const late = await failing(client.queue.cancel(ENDPOINT, { requestId }));
  return { cancelled: typeof cancelled, status, result: told(result), late: told(late) };
});

contract("storage.upload, and files in the input", async (client) => {
  const file = new File(["a photo"], "photo 1.png", { type: "image/png" });
  const url = await client.storage.upload(file);
  assert.match(url, /^https:\/\/.*photo( |%20)1\.png$|^blob:/);
  const named = await client.subscribe(ENDPOINT, { input: { image_url: url }, pollInterval: 0 });
  const given = await client.subscribe(ENDPOINT, { input: { image_url: file }, pollInterval: 0 });
  return { url, named, given };
});

contract("storage.upload over 90 MiB, in parts", async (client) => {
  const part = new Uint8Array(10 * 2 ** 20);
  const blob = new Blob([...Array.from({ length: 9 }, (_, index) => part.slice().fill(index)), "the rest"], { type: "image/png" });
  const url = await client.storage.upload(blob);
  return client.run(ENDPOINT, { input: { image_url: url } });
});

contract("the other options of a submit", (client) =>
  client.subscribe(ENDPOINT, {
    input: { image_url: IMAGE_URL },
    startTimeout: 30,
    priority: "low",
    headers: { "x-app": "1" },
    storageSettings: { expiresIn: "1h" },
    pollInterval: 0,
  }),
);
