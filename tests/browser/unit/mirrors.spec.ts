import { expect, test } from "@playwright/test";
import { TinySamError } from "../../../pkg/src/errors.ts";
import { firstToLoad, keptFirst } from "../../../pkg/src/mirrors.ts";
import type { Progress } from "../../../pkg/src/types.ts";

const MB = 1 << 20;
const coded = (code: string, message = code) => Object.assign(new Error(message), { code });

/** The time of the module under test, which alone waits for ten seconds; everybody else's goes on. */
const { setTimeout, clearTimeout } = globalThis;
let now = 0;
const waiting = new Map<number, { at: number; act: () => void }>();

test.beforeEach(() => {
  waiting.clear();
  globalThis.setTimeout = ((act: () => void, ms: number) => {
    if (ms !== 10_000) return setTimeout(act, ms);
    const id = -1 - Math.random();
    waiting.set(id, { at: now + ms, act });
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((id: number) => waiting.delete(id) || clearTimeout(id)) as typeof clearTimeout;
});
test.afterEach(() => Object.assign(globalThis, { setTimeout, clearTimeout }));

function tick(ms: number): void {
  now += ms;
  for (const [id, { at, act }] of waiting) {
    if (at > now) continue;
    waiting.delete(id);
    act();
  }
}

/** A hub whose bytes come by hand. */
function hub() {
  const asked: string[] = [];
  let tell: (progress: Progress) => void = () => {};
  let end: (error?: unknown) => void = () => {};
  const load = (source: string, report: (progress: Progress) => void, signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      asked.push(source);
      tell = report;
      end = (error) => (error === undefined ? resolve(source) : reject(error));
      signal.addEventListener("abort", () => reject(coded("aborted")));
    });
  return { asked, load, tell: (progress: Progress) => tell(progress), end: (error?: unknown) => end(error) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("addresses are tried in turn, for what another may do better", async () => {
  for (const code of ["checkpoint_unreachable", "checkpoint_hash", "checkpoint_invalid"]) {
    const { asked, load, end } = hub();
    const loaded = firstToLoad(["a", "b", "c"], () => {}, new AbortController().signal, load);
    end(coded(code));
    await turn();
    end();
    expect(await loaded).toBe("b");
    expect(asked).toEqual(["a", "b"]);
  }
  for (const code of ["checkpoint_mismatch", "device_unavailable", "out_of_memory", "aborted"]) {
    const { asked, load, end } = hub();
    const loaded = firstToLoad(["a", "b"], () => {}, new AbortController().signal, load);
    end(coded(code));
    await expect(loaded).rejects.toMatchObject({ code });
    expect(asked).toEqual(["a"]);
  }
});

test("what the first address said is told, the others in its cause, and the only one's error is its own", async () => {
  const { load, end } = hub();
  const both = firstToLoad(["a", "b"], () => {}, new AbortController().signal, load);
  end(coded("checkpoint_hash", "a is another"));
  await turn();
  end(coded("checkpoint_unreachable", "b is not there"));
  await expect(both).rejects.toMatchObject({ code: "checkpoint_hash", message: "none of 2 addresses has the weights. The first: a is another" });
  await expect(both).rejects.toMatchObject({ cause: { errors: [{ message: "a is another" }, { message: "b is not there" }] } });
  await expect(both).rejects.toBeInstanceOf(TinySamError);
  const failure = coded("checkpoint_unreachable");
  const only = firstToLoad(["a"], () => {}, new AbortController().signal, load);
  end(failure);
  await expect(only).rejects.toBe(failure);
});

test("ten seconds without a byte are the end of an address, and no sooner", async () => {
  const { asked, load, tell, end } = hub();
  const loaded = firstToLoad(["swallowed", "stalled", "slow"], () => {}, new AbortController().signal, load);
  tick(9_999);
  await turn();
  expect(asked).toEqual(["swallowed"]);
  tick(1);
  await turn();
  expect(asked).toEqual(["swallowed", "stalled"]);
  tell({ phase: "download", loaded: 0, total: 40 * MB });
  tick(9_999);
  tell({ phase: "download", loaded: 20 * MB, total: 40 * MB });
  tick(10_000);
  await turn();
  expect(asked).toEqual(["swallowed", "stalled", "slow"]);
  for (let loaded = 0; loaded <= 40; loaded++) {
    tell({ phase: "download", loaded: loaded * MB, total: 40 * MB });
    tick(9_000);
  }
  // Its own time is this machine's: to keep 40 MB, to build, to compile shaders.
  tick(60_000);
  tell({ phase: "prepare" });
  tick(60_000);
  end();
  expect(await loaded).toBe("slow");

  const only = firstToLoad(["https://hub.example/w"], () => {}, new AbortController().signal, load);
  tick(10_000);
  await expect(only).rejects.toMatchObject({ code: "checkpoint_unreachable", message: expect.stringMatching(/nothing came from .*hub\.example\/w for 10 seconds/) });
});

test("an address that this browser has kept comes first", async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "caches");
  Object.defineProperty(globalThis, "caches", { value: { match: async (url: string) => (url === "b" ? {} : undefined) }, configurable: true });
  expect(await keptFirst(["a", "b", "c"])).toEqual(["b", "a", "c"]);
  Object.defineProperty(globalThis, "caches", { get: () => { throw new Error("not here"); }, configurable: true });
  expect(await keptFirst(["a", "b"])).toEqual(["a", "b"]);
  Reflect.deleteProperty(globalThis, "caches");
  expect(await keptFirst(["a", "b"])).toEqual(["a", "b"]);
  if (before !== undefined) Object.defineProperty(globalThis, "caches", before);
});

test("a file is not waited for, and who stops waits for nobody", async () => {
  const file = new Blob(["weights"]);
  let ended: (value: string) => void = () => {};
  const loaded = firstToLoad([file], () => {}, new AbortController().signal, () => new Promise<string>((resolve) => (ended = resolve)));
  tick(60_000);
  ended("file");
  expect(await loaded).toBe("file");

  const { asked, load } = hub();
  const stop = new AbortController();
  const stopped = firstToLoad(["a", "b"], () => {}, stop.signal, load);
  stop.abort();
  await expect(stopped).rejects.toMatchObject({ code: "aborted" });
  expect(asked).toEqual(["a"]);
});
