import { expect, test } from "@playwright/test";
import { TinySamError } from "../../../pkg/src/errors.ts";
import { Lane } from "../../../pkg/src/lane.ts";

/** Work that ends when it is told to. */
function work<T>(value: T) {
  let finish = () => {};
  const done = new Promise<T>((resolve) => (finish = () => resolve(value)));
  let started = 0;
  return { start: () => (started++, done), finish: () => finish(), started: () => started };
}

const settle = (promise: Promise<unknown>) => promise.then((value) => value, (error: TinySamError) => error.code);
const tick = () => new Promise((resolve) => setTimeout(resolve));

test("one after another, in order", async () => {
  const lane = new Lane();
  const order: string[] = [];
  const job = (name: string, ms: number) =>
    lane.run({ start: () => (order.push(`${name} begins`), new Promise<void>((r) => setTimeout(() => (order.push(`${name} ends`), r()), ms))) });
  await Promise.all([job("a", 20), job("b", 1), job("c", 5)]);
  expect(order).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("a job that fails, at once or later, does not stop the next", async () => {
  const lane = new Lane();
  const thrown = settle(lane.run({ start: () => { throw new TinySamError("internal", "at once"); } }));
  const rejected = settle(lane.run({ start: () => Promise.reject(new TinySamError("released", "later")) }));
  expect(await Promise.all([thrown, rejected, lane.run({ start: async () => "next" })])).toEqual(["internal", "released", "next"]);
});

test("an aborted waiting job never starts; a running one is let go and its result handed back", async () => {
  const lane = new Lane();
  const [running, waiting] = [work("late"), work("never")];
  const stop = new AbortController();
  const late: string[] = [];
  let dropped = 0;
  const first = settle(lane.run({ ...running, signal: stop.signal, discard: (value) => late.push(value) }));
  const second = settle(lane.run({ ...waiting, signal: stop.signal, dropped: () => dropped++ }));
  const third = lane.run({ start: async () => "third" });
  stop.abort();
  expect(await Promise.all([first, second])).toEqual(["aborted", "aborted"]);
  expect(late).toEqual([]);
  running.finish();
  expect(await third).toBe("third");
  expect([late, dropped, waiting.started()]).toEqual([["late"], 1, 0]);
  expect(await settle(lane.run({ ...waiting, signal: stop.signal }))).toBe("aborted");
  expect(waiting.started()).toBe(0);
});

test("newest wins among the waiting of one key, in the oldest's place", async () => {
  const lane = new Lane();
  const [a, b] = [{}, {}];
  const running = work("running");
  const order: string[] = [];
  const job = (name: string, latest?: object) =>
    settle(lane.run({ start: async () => (order.push(name), name), latest }));
  const all = [lane.run(running), job("a1", a), job("b1", b), job("plain"), job("a2", a), job("b2", b), job("a3", a)];
  running.finish();
  expect(await Promise.all(all)).toEqual(["running", "superseded", "superseded", "plain", "superseded", "b2", "a3"]);
  expect(order).toEqual(["a3", "b2", "plain"]);
});

test("failing rejects all that waits, and the lane goes on", async () => {
  const lane = new Lane();
  const running = work("ran");
  const first = settle(lane.run(running));
  const second = settle(lane.run({ start: async () => "second" }));
  await tick();
  lane.fail(new TinySamError("crashed", "it died"));
  running.finish();
  expect([await first, await second, await lane.run({ start: async () => "after" })]).toEqual(["ran", "crashed", "after"]);
});
