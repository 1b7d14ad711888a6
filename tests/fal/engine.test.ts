/** The engine behind the door: one model, shared, let go in time; and what it says of places where it cannot run. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { DeviceChoice } from "../../pkg/src/device.js";
import { Engine, type EngineSettings } from "../../pkg/src/fal/engine.js";
import type { LoadOptions } from "../../pkg/src/calls.js";
import { orAborted } from "../../pkg/src/signals.js";
import { coded, ONLY_CPU } from "./fake.js";
import { failing, settled } from "./world.js";

const GPU: DeviceChoice = { kind: "webgpu", reason: "a GPU is available (fake)", software: false };

function engine(settings: EngineSettings & { device?: "auto" | "cpu" | "webgpu" | "fal" } = { idle: Infinity }) {
  const current = { ...settings };
  const world = {
    current,
    choices: [GPU] as (DeviceChoice | Error)[],
    asked: [] as unknown[],
    loads: [] as LoadOptions[],
    freed: 0,
    failures: [] as Error[],
    /** What a load, and a run, wait for. */
    loading: Promise.resolve(),
    running: Promise.resolve(),
    engine: undefined as unknown as Engine,
    run: (device: "webgpu" | "cpu" = "webgpu", signal = new AbortController().signal, lines: string[] = []) =>
      world.engine.run({}, undefined, { device, signal, onLog: ({ message }) => lines.push(message) }),
  };
  const model = {
    answer: async () => {
      await world.running;
      return { picture: new Blob(), width: 1, height: 1 };
    },
    free: () => void (world.freed += 1),
  };
  world.engine = new Engine(() => current, {
    choose: async (preference) => {
      world.asked.push(preference);
      const choice = world.choices.length > 1 ? world.choices.shift()! : world.choices[0]!;
      if (choice instanceof Error) throw choice;
      return choice;
    },
    load: async (options) => {
      world.loads.push(options);
      await orAborted(world.loading, options.signal);
      const failure = world.failures.shift();
      if (failure !== undefined) throw failure;
      return model as never;
    },
  });
  return world;
}

/** A page, seen or hidden, and a clock that stands until it is set. */
function page(test: TestContext, visibilityState: string | undefined) {
  const target = Object.assign(new EventTarget(), { visibilityState });
  if (visibilityState !== undefined) Object.assign(globalThis, { document: target });
  test.after(() => Reflect.deleteProperty(globalThis, "document"));
  test.mock.timers.enable({ apis: ["setTimeout"] });
  return {
    pass: async (seconds: number) => {
      test.mock.timers.tick(seconds * 1000);
      await settled();
    },
    show: async (state: string) => {
      target.visibilityState = state;
      target.dispatchEvent(new Event("visibilitychange"));
      await settled();
    },
  };
}

test("a model is loaded once, for all who ask while it loads, with the settings, on the device", async () => {
  const world = engine({ weights: "/w", model: "mobilesam", worker: false, idle: Infinity });
  const lines: string[] = [];
  await Promise.all([world.run("webgpu", undefined, lines), world.run("webgpu", undefined, lines), world.engine.load("webgpu")]);
  await world.run("webgpu", undefined, lines);
  assert.deepEqual(world.loads.map(({ signal, ...options }) => options), [{ weights: "/w", model: "mobilesam", worker: false, device: "webgpu" }]);
  assert.equal(lines.filter((line) => line === "loading the model").length, 1);
  await world.run("cpu", undefined, lines);
  assert.deepEqual([world.loads.length, world.freed], [2, 1], "another device takes the first one's place");
});

test("a load that fails is tried again by the next request", async () => {
  const world = engine();
  world.failures.push(coded("checkpoint_unreachable"));
  assert.equal((await failing(world.run())).code, "checkpoint_unreachable");
  await world.run();
  assert.equal(world.loads.length, 2);
});

test("who aborts stops waiting for the load, and nothing more", async () => {
  const world = engine();
  let loaded = () => {};
  world.loading = new Promise((resolve) => (loaded = resolve));
  const controller = new AbortController();
  const [left, stays] = [failing(world.run("webgpu", controller.signal)), world.run()];
  controller.abort();
  assert.equal((await left).code, "aborted");
  loaded();
  await stays;
  assert.deepEqual([world.loads.length, world.freed], [1, 0]);
});

test("the device is chosen once; a refusal is asked about again, and so is everything after other settings", async () => {
  const world = engine();
  world.choices = [new Error("not now"), GPU];
  assert.equal((await failing(world.engine.choose())).message, "not now");
  await settled();
  assert.equal((await world.engine.choose()).kind, "webgpu");
  await world.engine.choose();
  assert.deepEqual(world.asked, ["auto", "auto"]);
  world.current.device = "fal";
  world.engine.reset();
  await world.engine.choose();
  world.current.device = "cpu";
  world.engine.reset();
  await world.engine.choose();
  assert.deepEqual(world.asked, ["auto", "auto", "auto", "cpu"]);
});

test("a GPU that has failed is left for the CPU, until other settings come", async () => {
  const world = engine();
  world.engine.leaveGpu("it was lost");
  assert.deepEqual(await world.engine.choose(), { kind: "cpu", reason: "it was lost", software: false });
  world.engine.release();
  assert.equal((await world.engine.choose()).kind, "cpu");
  world.engine.reset();
  assert.equal((await world.engine.choose()).kind, "webgpu");
});

test("release lets the model go, also one that still loads; the next request loads another", async () => {
  const world = engine();
  await world.run();
  world.engine.release();
  await settled();
  assert.equal(world.freed, 1);
  world.engine.release();
  await settled();
  assert.equal(world.freed, 1);
  // Stopped, and not only unwanted: its forty megabytes are not downloaded beside the next one's.
  const running = failing(world.run());
  world.engine.release();
  assert.equal((await running).code, "released");
  await settled();
  assert.deepEqual([world.loads[1]!.signal!.aborted, world.freed], [true, 1]);
  world.choices = [ONLY_CPU];
  await world.run("cpu");
  assert.equal(world.loads.length, 3);
});

test("while the page is seen, the model stays; hidden for a minute, it goes; and a look puts that off", async (test) => {
  const { pass, show } = page(test, "visible");
  const world = engine({});
  await world.run();
  await pass(100_000);
  assert.equal(world.freed, 0);
  await show("hidden");
  await pass(59);
  await show("visible");
  await pass(100);
  await show("hidden");
  await pass(59);
  assert.equal(world.freed, 0);
  await pass(1);
  assert.equal(world.freed, 1);
  await world.engine.load("webgpu");
  await pass(60);
  assert.deepEqual([world.loads.length, world.freed], [2, 2], "loaded ahead in a hidden page, it goes as well");
});

test("where nobody can tell whether it is seen, it goes after a minute", async (test) => {
  const { pass } = page(test, undefined);
  const world = engine({});
  await world.run();
  await pass(59.9);
  assert.equal(world.freed, 0);
  await pass(0.1);
  assert.equal(world.freed, 1);
});

test("other seconds hold from when they are set", async (test) => {
  const { pass } = page(test, "visible");
  const world = engine({});
  await world.run();
  world.current.idle = 30;
  world.engine.rest();
  await pass(29);
  assert.equal(world.freed, 0);
  world.current.idle = Infinity;
  world.engine.rest();
  await pass(100);
  assert.equal(world.freed, 0);
  world.current.idle = 30;
  world.engine.rest();
  await pass(30);
  assert.equal(world.freed, 1);
});

test("after the seconds that were set it goes, seen or not, and never under a request", async (test) => {
  const { pass } = page(test, "visible");
  const world = engine({ idle: 10 });
  await world.run();
  await pass(9);
  let done = () => {};
  world.running = new Promise((resolve) => (done = resolve));
  const [long, other] = [world.run(), world.run()];
  await pass(100);
  assert.equal(world.freed, 0);
  done();
  await Promise.all([long, other]);
  await pass(9);
  assert.equal(world.freed, 0);
  await pass(1);
  assert.deepEqual([world.freed, world.loads.length], [1, 1]);

  const kept = engine({ idle: Infinity });
  await kept.run();
  await pass(1e6);
  assert.equal(kept.freed, 0);
});

test("what a place lacks is said, with what to do", (test) => {
  const globals = ["Worker", "createImageBitmap", "WebAssembly", "MessageChannel"];
  const before = globals.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  const set = (name: string, value: unknown) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  test.after(() => {
    for (const [name, was] of before) was === undefined ? Reflect.deleteProperty(globalThis, name) : Object.defineProperty(globalThis, name, was);
  });
  const lacks = (settings: EngineSettings = {}) => engine(settings).engine.lacks();
  assert.match(lacks()!, /no browser/);
  set("Worker", class {});
  assert.match(lacks()!, /no browser/);
  set("createImageBitmap", () => {});
  assert.equal(lacks(), undefined);
  for (const name of ["WebAssembly", "MessageChannel"]) {
    const was = Reflect.get(globalThis, name);
    set(name, undefined);
    assert.match(lacks()!, /no browser/);
    set(name, was);
  }
  set("Worker", undefined);
  assert.match(lacks()!, /worker: false/);
  assert.match(lacks({ worker: true })!, /worker: false/);
  assert.equal(lacks({ worker: false }), undefined);
});
