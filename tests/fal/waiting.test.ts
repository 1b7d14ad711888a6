/** Polls, and signals: who waits for what, who is told what, and which work a signal ends. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test, type TestContext } from "node:test";
import { ApiError, type QueueStatus } from "@fal-ai/client";
import { ONLY_CPU } from "./fake.js";
import { ENDPOINT, IMAGE_URL, KEY, failing, settled, subscribe, until, world } from "./world.js";

const input = { image_url: IMAGE_URL };
const QUEUE = "https://queue.fal.run/fal-ai/tiny-sam";

/** A clock that stands until it is set: timers fire when it passes them. */
function clock(test: TestContext): { pass(ms: number): Promise<void>; passing(): number } {
  let now = 1_700_000_000_000;
  const timers = new Set<{ at: number; work: () => void }>();
  test.mock.method(Date, "now", () => now);
  test.mock.method(globalThis, "setTimeout", (work: () => void, ms = 0) => {
    const timer = { at: now + ms, work };
    timers.add(timer);
    return timer as never;
  });
  test.mock.method(globalThis, "clearTimeout", (timer: never) => void timers.delete(timer));
  return {
    passing: () => timers.size,
    async pass(ms) {
      now += ms;
      await settled();
      for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.work();
      await settled();
    },
  };
}

/** What has come of a promise so far. */
function watched<T>(promise: Promise<T>): { value?: T } {
  const seen: { value?: T } = {};
  promise.then((value) => (seen.value = value), () => undefined);
  return seen;
}

test("a poll of an application's own is answered at once; asked again without a pause, within half a second", async (test) => {
  const { client, own, engine } = await world(test);
  const time = clock(test);
  const letGo = engine.hold();
  for (const make of [client, own]) {
    const { request_id: requestId } = await make().queue.submit(ENDPOINT, { input });
    await settled();
    const ask = () => watched(make().queue.status(ENDPOINT, { requestId }));
    for (let poll = 0; poll < 3; poll++) {
      const answer = ask();
      await settled();
      assert.ok(answer.value, "at once");
      await time.pass(200);
    }
    const first = ask();
    await settled();
    assert.ok(first.value);
    const second = ask();
    await settled();
    await time.pass(499);
    assert.equal(second.value, undefined, "no news, and no pause before it");
    await time.pass(1);
    assert.ok(second.value);
    await time.pass(99);
    const third = ask();
    await settled();
    assert.equal(third.value, undefined);
    await make().queue.cancel(ENDPOINT, { requestId });
    await settled();
    assert.equal(third.value!.status, "COMPLETED", "news come at once");
  }
  letGo();
});

test("polls do not pile up: each has its answer, and one of them the last", async (test) => {
  const { client, engine } = await world(test);
  clock(test);
  const letGo = engine.hold();
  const { request_id: requestId } = await client().queue.submit(ENDPOINT, { input });
  await client().queue.status(ENDPOINT, { requestId });
  const answers = Array.from({ length: 13 }, () => watched(client().queue.status(ENDPOINT, { requestId })));
  await settled();
  assert.equal(answers.filter(({ value }) => value?.status === "IN_PROGRESS").length, 12);
  letGo();
  await settled();
  assert.equal(answers.filter(({ value }) => value?.status === "COMPLETED").length, 1);
});

test("subscribe of this package hears of news at once, and of nothing else for ten seconds", async (test) => {
  const { own, engine } = await world(test);
  const time = clock(test);
  const letGo = engine.hold();
  const updates: QueueStatus[] = [];
  const done = watched(own().subscribe(ENDPOINT, { input, logs: true, onQueueUpdate: (update) => void updates.push(update) }));
  await time.pass(0);
  await time.pass(0);
  const before = updates.length;
  await time.pass(9_999);
  assert.equal(updates.length, before);
  await time.pass(1);
  assert.equal(updates.length, before + 1);
  letGo();
  for (let turn = 0; turn < 3; turn++) await time.pass(0);
  assert.equal(updates.at(-1)!.status, "COMPLETED");
  assert.ok(done.value, "no pause before the last poll");
});

test("subscribe hears at once what a request is at, with logs and without", async (test) => {
  const { own, engine } = await world(test);
  const time = clock(test);
  const letGo = engine.hold();
  const updates: QueueStatus[][] = [[], [], []];
  const done = [{}, {}, { logs: true }].map((options, i) =>
    own().subscribe(ENDPOINT, { input, ...options, onQueueUpdate: (update) => void updates[i]!.push(update) }),
  );
  for (let turn = 0; turn < 6; turn++) await time.pass(0);
  assert.deepEqual(updates.map((told) => told[0]?.status), ["IN_PROGRESS", "IN_QUEUE", "IN_QUEUE"]);
  letGo();
  for (let turn = 0; turn < 30; turn++) await time.pass(0);
  await Promise.all(done);
});

test("a pause that subscribe is given is kept, and one that is undefined is none", async (test) => {
  const { own, engine } = await world(test);
  const time = clock(test);
  engine.hold();
  for (const [pollInterval, rest] of [[300, 300], [undefined, 0]] as const) {
    const updates: QueueStatus[] = [];
    const subscribed = own().subscribe(ENDPOINT, { input, logs: true, pollInterval, onQueueUpdate: (update: QueueStatus) => void updates.push(update) } as never);
    let requestId = "";
    void subscribed.catch(() => undefined);
    await time.pass(0);
    await until(() => updates.length > 0);
    requestId = updates[0]!.request_id;
    await own().queue.cancel(ENDPOINT, { requestId });
    if (rest > 0) {
      await time.pass(rest - 1);
      assert.notEqual(updates.at(-1)!.status, "COMPLETED");
    }
    await time.pass(rest > 0 ? 1 : 0);
    await time.pass(0);
    assert.equal(updates.at(-1)!.status, "COMPLETED");
  }
});

test("two who wait for one request are each told", async (test) => {
  const { own, engine } = await world(test);
  const letGo = engine.hold();
  const { request_id: requestId } = await own().queue.submit(ENDPOINT, { input });
  const told: string[][] = [[], []];
  const waiting = told.map((seen) =>
    own().queue.subscribeToStatus(ENDPOINT, { requestId, logs: true, onQueueUpdate: ({ status }: QueueStatus) => void seen.push(status) }),
  );
  await until(() => told.every((seen) => seen.includes("IN_PROGRESS")));
  letGo();
  await Promise.all(waiting);
  assert.deepEqual(told.map((seen) => seen.at(-1)), ["COMPLETED", "COMPLETED"]);
  assert.ok(told.every((seen) => seen.filter((status) => status === "COMPLETED").length === 1));
});

test("a stream of statuses tells the log only if it is asked for, and each line once", async (test) => {
  const { router, engine } = await world(test);
  for (const logs of [0, 1]) {
    const letGo = engine.hold();
    const submitted = await router(QUEUE, { method: "POST", body: JSON.stringify(input) });
    const { status_url } = (await submitted.json()) as { status_url: string };
    const text = (await router(`${status_url}/stream?logs=${logs}`)).text();
    await settled();
    letGo();
    const events = (await text).trim().split("\n\n").map((line) => JSON.parse(line.replace(/^data: /, "")) as { status: string; logs?: { message: string }[] });
    assert.equal(events.at(-1)!.status, "COMPLETED");
    assert.equal(events.filter(({ status }) => status === "COMPLETED").length, 1);
    const lines = events.flatMap((event) => event.logs ?? []).map(({ message }) => message);
    assert.deepEqual(lines, logs === 0 ? [] : ["running on webgpu: a GPU is available (fake)", "the fake runs"]);
  }
});

test("what a request came to is read once by this package's client, however busy fal was", async (test) => {
  for (const [status, call] of [[429, "submit"], [503, "submit"], [503, "result"], [504, "result"]] as const) {
    const { own, alone, engine, standIn } = await world(test);
    engine.choice = ONLY_CPU;
    const pauses: number[] = []; // those of the client alone are no round numbers
    const { setTimeout } = globalThis;
    globalThis.setTimeout = ((work: () => void, ms = 0, ...rest: never[]) => (!Number.isInteger(ms) && pauses.push(ms), setTimeout(work, ms, ...rest))) as never;
    const on = ({ method, url }: { method: string; url: string }) =>
      call === "submit" ? method === "POST" && url === QUEUE : method === "GET" && /requests\/[^/]+$/.test(url);
    standIn.fault({ on, with: status, times: Infinity });
    const error = await failing(own({ credentials: KEY }).subscribe(ENDPOINT, { input }));
    const made = pauses.splice(0).length;
    const expected = await failing(alone({ credentials: KEY }).subscribe(ENDPOINT, { input }));
    globalThis.setTimeout = setTimeout;
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.message, error.body, error.name], [expected.status, expected.message, expected.body, expected.name]);
    assert.equal(made, pauses.length, `pauses after ${status} to ${call}: as many as fal's client alone makes`);
    assert.equal(made, 3);
  }
});

test("errors of this package's client are fal's own, with their request", async (test) => {
  const { own, engine } = await world(test);
  const client = own();
  engine.failures.push(new Error("something odd"));
  const { request_id: requestId } = await client.queue.submit(ENDPOINT, { input });
  await client.queue.subscribeToStatus(ENDPOINT, { requestId });
  const error = await failing(client.queue.result(ENDPOINT, { requestId }));
  assert.deepEqual([error.name, error.status, error.message, error.requestId, error.isUserTimeout], ["ApiError", 500, "something odd", requestId, false]);
  const early = engine.hold();
  const second = await client.queue.submit(ENDPOINT, { input });
  assert.equal((await failing(client.queue.result(ENDPOINT, { requestId: second.request_id }))).status, 400);
  early();
});

test("a signal given to submit ends with submit", async (test) => {
  for (const kind of ["own", "client"] as const) {
    const { [kind]: make, engine } = await world(test);
    const letGo = engine.hold();
    const controller = new AbortController();
    const { request_id: requestId } = await make().queue.submit(ENDPOINT, { input, abortSignal: controller.signal });
    await until(() => engine.running === 1);
    controller.abort();
    await settled();
    letGo();
    await make().queue.subscribeToStatus(ENDPOINT, { requestId, pollInterval: 0 });
    assert.ok((await make().queue.result(ENDPOINT, { requestId })).data.image);
  }
});

test("a signal that was aborted before leaves nothing behind", async (test) => {
  for (const kind of ["own", "client"] as const) {
    const { [kind]: make, engine } = await world(test);
    const abortSignal = AbortSignal.abort();
    const calls = [
      () => make().queue.submit(ENDPOINT, { input, abortSignal }),
      () => make().run(ENDPOINT, { input, abortSignal }),
      () => make().subscribe(ENDPOINT, { input, abortSignal }),
    ];
    for (const call of calls) assert.equal((await failing(call())).name, "AbortError");
    assert.equal(engine.runs.length, 0);
  }
});

test("that of run cancels the work; so does that of subscribe, in whatever mode", async (test) => {
  const calls: Record<string, (client: any, abortSignal: AbortSignal) => Promise<unknown>> = {
    run: (client, abortSignal) => client.run(ENDPOINT, { input, abortSignal }),
    subscribe: (client, abortSignal) => client.subscribe(ENDPOINT, { input, abortSignal, pollInterval: 0 }),
    "subscribe, streaming": (client, abortSignal) => client.subscribe(ENDPOINT, { input, abortSignal, mode: "streaming" }),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const kind of ["own", "client"] as const) {
      if (kind === "client" && name.includes("streaming")) continue; // with fal's client alone, too, such a signal ends nothing
      const { [kind]: make, engine } = await world(test);
      engine.hold();
      const controller = new AbortController();
      const failed = failing(call(make(), controller.signal));
      await until(() => engine.running === 1);
      await settled();
      controller.abort();
      assert.equal((await failed).name, "AbortError", `${name}, ${kind}`);
      await until(() => engine.running === 0);
      assert.deepEqual(engine.runs.map(({ aborted }) => aborted), [true]);
    }
  }
});

test("a signal is listened to once, however often it comes", async (test) => {
  const { router, engine } = await world(test);
  const letGo = engine.hold();
  const { signal } = new AbortController();
  const submitted = await router(QUEUE, { method: "POST", body: JSON.stringify(input), signal });
  const { status_url, response_url } = (await submitted.json()) as Record<string, string>;
  assert.equal(getEventListeners(signal, "abort").length, 0);
  for (let poll = 0; poll < 5; poll++) {
    await router(response_url!, { signal });
    assert.equal(getEventListeners(signal, "abort").length, 0, "a result is no poll of the same work");
  }
  await router(status_url!, { signal });
  assert.equal(getEventListeners(signal, "abort").length, 1);
  for (let poll = 0; poll < 5; poll++) await router(status_url!, { signal });
  assert.equal(getEventListeners(signal, "abort").length, 1);
  letGo();
});

test("an abort between the submit and the first poll is one, too", async (test) => {
  const { client, engine } = await world(test);
  const letGo = engine.hold();
  const controller = new AbortController();
  const failed = failing(client().subscribe(ENDPOINT, { input, abortSignal: controller.signal, onEnqueue: () => controller.abort() }));
  assert.equal((await failed).name, "AbortError");
  await until(() => engine.running === 0);
  letGo();
  assert.ok((await subscribe(client(), input)).data.image);
});

test("a signal that outlives its request cancels nothing, and is not kept", async (test) => {
  for (const kind of ["own", "client"] as const) {
    const { [kind]: make } = await world(test);
    const controller = new AbortController();
    const { requestId } = await subscribe(make(), input, { abortSignal: controller.signal });
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    controller.abort();
    assert.equal((await make().queue.status(ENDPOINT, { requestId })).status, "COMPLETED");
    assert.ok((await make().queue.result(ENDPOINT, { requestId })).data.image);
  }
});
