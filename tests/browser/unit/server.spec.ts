import { MessageChannel, type MessagePort } from "node:worker_threads";
import { expect, test } from "@playwright/test";
import type { EngineEmbedding, EngineMask, EngineModule } from "../../../pkg/src/bindings.ts";
import { Server } from "../../../pkg/src/server.ts";

/** A module that records what was freed, and in which order. */
function fakeModule() {
  const freed: string[] = [];
  const gate = { open: () => {}, opened: Promise.resolve() };
  gate.opened = new Promise((resolve) => (gate.open = resolve));
  const mask = (name: string): EngineMask =>
    ({
      score: 0.5,
      bbox: new Float64Array([1, 2, 3, 4]),
      logits: () => new Float32Array([1, 2]),
      free: () => freed.push(name),
    }) as never;
  const embedding: EngineEmbedding = {
    width: 3,
    height: 2,
    size: 64,
    crop: new Uint32Array([0, 0, 3, 2]),
    toBytes: async () => new Uint8Array([7]),
    segment: async ([prompt = {}]) => {
      if ("trap" in prompt) throw new WebAssembly.RuntimeError("unreachable");
      if ("odd" in prompt) throw Object.assign(new Error("odd"), { code: "prompt_invalid" });
      await gate.opened;
      return [mask(`mask of ${JSON.stringify(prompt)}`)];
    },
    everything: async (_options, onBatch) => {
      onBatch({ masks: [mask("candidate")], done: 1, total: 2 });
      return [mask("final")];
    },
    layers: () => {
      throw new Error("no test asks for layers");
    },
    free: () => freed.push("embedding"),
  };
  const engine = { backend: "cpu", adapter: "", checkpointSha256: "ab", embed: async () => embedding, free: () => freed.push("engine") };
  const module = { default: async () => ({ memory: new WebAssembly.Memory({ initial: 3 }) }), Engine: { load: async () => engine } } as unknown as EngineModule;
  return { module, freed, gate };
}

function start(module: EngineModule) {
  const { port1, port2 } = new MessageChannel();
  const server = new Server(port2 as never, async () => module);
  port2.on("message", () => undefined);
  const answers: unknown[] = [];
  port1.on("message", (answer) => answers.push(answer));
  const until = async (count: number) => {
    while (answers.length < count) await new Promise((resolve) => setTimeout(resolve, 1));
    return answers;
  };
  const close = () => (port1 as MessagePort).close();
  const load = () => port1.postMessage({ id: 1, name: "load", args: { wasm: "https://host/tinysam-cpu.wasm", weights: { sources: ["w"] }, cache: true, forceSoftware: false, lines: new Map() } });
  return { server, port: port1, until, close, load };
}

test("an embedding is freed only when no call borrows it", async () => {
  const { module, freed, gate } = fakeModule();
  const { port, until, close, load } = start(module);
  load();
  await until(2);
  port.postMessage({ id: 2, name: "embed", args: { source: "photo", size: 64 } });
  await until(3);
  port.postMessage({ id: 3, name: "segment", args: { embedding: 1, prompts: [{ points: [] }] } });
  port.postMessage({ freeEmbedding: 1 });
  port.postMessage({ id: 4, name: "segment", args: { embedding: 1, prompts: [{}] } });
  const early = await until(4);
  expect(early[3]).toMatchObject({ id: 4, error: { code: "released" } });
  expect(freed).toEqual([]);
  gate.open();
  const late = await until(5);
  expect(late[4]).toMatchObject({ id: 3, value: [{ id: 2, score: 0.5, bbox: [1, 2, 3, 4] }] });
  expect(freed).toEqual(["embedding"]);
  close();
});

test("errors keep their code, and a trap is a crash", async () => {
  const { module } = fakeModule();
  const { port, until, close, load } = start(module);
  load();
  port.postMessage({ id: 2, name: "embed", args: { source: "photo", size: 64 } });
  await until(3);
  port.postMessage({ id: 3, name: "segment", args: { embedding: 1, prompts: [{ odd: 1 }] } });
  port.postMessage({ id: 4, name: "segment", args: { embedding: 1, prompts: [{ trap: 1 }] } });
  const answers = await until(5);
  expect(answers.slice(3)).toEqual([{ id: 3, error: { code: "prompt_invalid", message: "odd" } }, { crash: "unreachable" }]);
  close();
});

test("a refinement uses the mask's logits; closing frees everything", async () => {
  const { module, freed, gate } = fakeModule();
  gate.open();
  const { server, port, until, close, load } = start(module);
  load();
  port.postMessage({ id: 2, name: "embed", args: { source: "photo", size: 64 } });
  await until(3);
  port.postMessage({ id: 3, name: "everything", args: { embedding: 1, options: {} } });
  const answers = await until(5);
  expect(answers.slice(3)).toMatchObject([{ id: 3, event: { masks: [{ id: 2 }], done: 1, total: 2 } }, { id: 3, value: [{ id: 3 }] }]);
  port.postMessage({ id: 4, name: "segment", args: { embedding: 1, prompts: [{}], refine: 3 } });
  await until(6);
  port.postMessage({ freeMask: 2 });
  port.postMessage({ id: 5, name: "logits", args: { mask: 2 } });
  expect((await until(7))[6]).toMatchObject({ id: 5, error: { code: "released" } });
  server.close();
  expect(freed).toEqual(["candidate", "final", 'mask of {"mask":{"0":1,"1":2}}', "embedding", "engine"]);
  close();
});

test("memory is the module's, and none before there is one", async () => {
  const { module } = fakeModule();
  const { port, until, close, load } = start(module);
  port.postMessage({ id: 2, name: "memory", args: {} });
  expect(await until(1)).toEqual([{ id: 2, value: 0 }]);
  load();
  await until(3);
  port.postMessage({ id: 3, name: "memory", args: {} });
  expect((await until(4))[3]).toEqual({ id: 3, value: 3 * 65_536 });
  close();
});
