import assert from "node:assert/strict";
import { test } from "node:test";
import { Kept } from "../../pkg/src/fal/kept.js";
import { Queue } from "../../pkg/src/fal/queue.js";

const BOUNDS = { count: 3, bytes: 100, age: 1000 };

function queue(disposed: string[] = []): Queue<string, string> {
  return new Queue(BOUNDS, (outcome) => disposed.push(outcome));
}

test("requests wait in order, and one at a time has the device", () => {
  const line = queue();
  for (const id of ["a", "b", "c"]) line.submit(id, "", 0);
  assert.deepEqual(["a", "b", "c"].map((id) => line.position(id)), [0, 1, 2]);
  assert.equal(line.start(10)?.id, "a");
  assert.equal(line.start(10), undefined);
  assert.deepEqual(["b", "c"].map((id) => line.position(id)), [0, 1]);
  assert.ok(line.complete("a", "done", 1, 250));
  assert.equal(line.start(250), undefined, "completed is not released");
  line.release("a");
  assert.equal(line.start(260)?.id, "b");
  const { status, inferenceTime, outcome } = line.find("a", 260)!;
  assert.deepEqual({ status, inferenceTime, outcome }, { status: "COMPLETED", inferenceTime: 0.24, outcome: "done" });
});

test("a request that goes on elsewhere frees the device and stays in progress", () => {
  const line = queue();
  line.submit("a", "", 0);
  line.submit("b", "", 0);
  line.start(0);
  line.release("a");
  assert.equal(line.start(1)?.id, "b");
  assert.equal(line.find("a", 1)?.status, "IN_PROGRESS");
  line.release("a");
  assert.equal(line.start(2), undefined, "the device is b's");
  line.complete("a", "elsewhere", 0, 5, 0.125);
  assert.equal(line.find("a", 5)?.inferenceTime, 0.125);
});

test("a request can be completed in the queue, in progress, and only once", () => {
  const line = queue();
  for (const id of ["a", "b"]) line.submit(id, "", 0);
  assert.ok(line.complete("b", "cancelled", 0, 1));
  assert.equal(line.find("b", 1)?.inferenceTime, null);
  assert.equal(line.start(1)?.id, "a");
  assert.ok(line.complete("a", "cancelled", 0, 2));
  assert.ok(!line.complete("a", "late", 0, 3));
  assert.equal(line.find("a", 3)?.outcome, "cancelled");
  assert.ok(!line.complete("unknown", "", 0, 3));
  line.release("a");
  assert.equal(line.start(4), undefined, "b left the queue");
});

test("lines are logged until a request is completed", () => {
  const line = queue();
  line.submit("a", "", 0);
  line.log("a", "INFO", "one", 1_700_000_000_000);
  line.complete("a", "", 0, 2);
  line.log("a", "INFO", "two", 3);
  line.log("unknown", "INFO", "three", 3);
  assert.deepEqual(line.find("a", 3)?.logs, [{ message: "one", level: "INFO", source: "USER", timestamp: "2023-11-14T22:13:20.000Z" }]);
});

test("results are kept for a bounded time, in a bounded number and size", () => {
  const disposed: string[] = [];
  const line = queue(disposed);
  const complete = (id: string, bytes: number, now: number) => {
    line.submit(id, "", now);
    line.complete(id, id, bytes, now);
  };
  for (const [index, id] of ["a", "b", "c", "d"].entries()) complete(id, 1, index);
  assert.deepEqual(disposed, ["a"], "three at most");
  complete("big", 99, 10);
  assert.deepEqual(disposed, ["a", "b", "c"], "a hundred bytes at most");
  complete("huge", 1000, 20);
  assert.deepEqual(disposed, ["a", "b", "c", "d", "big"], "the latest stays, whatever its size");
  assert.ok(line.find("huge", 1020));
  assert.equal(line.find("huge", 1021), undefined);
  assert.equal(disposed.at(-1), "huge");
});

test("random walks keep the queue's promises", () => {
  let state = 12345;
  const random = (n: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % n;
  for (let walk = 0; walk < 200; walk++) {
    const disposed: string[] = [];
    const line = queue(disposed);
    const order: string[] = [];
    const started: string[] = [];
    const left = new Set<string>();
    let device: string | undefined;
    let completed = 0;
    for (let now = 0; now < 60; now++) {
      const id = `r${random(12)}`;
      switch (random(5)) {
        case 0:
          if (line.find(id, now) === undefined && !order.includes(id)) order.push(line.submit(id, "", now).id);
          break;
        case 1: {
          const entry = line.start(now);
          if (device !== undefined) assert.equal(entry, undefined);
          else if (entry !== undefined) started.push((device = entry.id));
          break;
        }
        case 2:
          line.release(id);
          if (device === id) device = undefined;
          break;
        default: {
          const before = line.find(id, now)?.status;
          const done = line.complete(id, id, random(60), now);
          assert.equal(done, before === "IN_QUEUE" || before === "IN_PROGRESS");
          if (done) completed++;
          if (done && before === "IN_QUEUE") left.add(id);
        }
      }
    }
    const expected = order.filter((id) => !left.has(id)).slice(0, started.length);
    assert.deepEqual(started, expected, "first come, first served");
    const kept = order.filter((id) => line.find(id, 60)?.status === "COMPLETED").length;
    assert.equal(kept + disposed.length, completed, "every outcome is kept or disposed of");
    assert.ok(kept <= BOUNDS.count);
  }
});

test("what is dropped or replaced gives its bytes back", () => {
  const disposed: number[] = [];
  const kept = new Kept<number>({ count: 10, bytes: 10, age: Infinity }, (item) => disposed.push(item));
  kept.put("a", 1, 6, 0);
  kept.drop("a");
  kept.drop("a");
  kept.put("b", 2, 6, 0);
  kept.put("c", 3, 4, 0);
  assert.deepEqual(["a", "b", "c"].map((name) => kept.get(name, 0)), [undefined, 2, 3]);
  kept.put("d", 4, 1, 0);
  assert.deepEqual(["b", "c", "d"].map((name) => kept.get(name, 0)), [undefined, 3, 4]);
  assert.deepEqual(disposed, [1, 2]);
});
