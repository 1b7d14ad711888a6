import type { Engine, EngineEmbedding, EngineLayers, EngineMask, EngineModule, EngineOptions } from "./bindings.js";
import { compiled } from "./compiled.js";
import { TinySamError, isTrap, toWire } from "./errors.js";
import { Mates } from "./mates.js";
import { joinCrew } from "./member.js";
import { firstToLoad, keptFirst } from "./mirrors.js";
import type { CallName, Calls, EmbeddingId, EmbeddingRecord, MaskId, MaskRecord, Port, Request, Response } from "./protocol.js";
import { discard } from "./source.js";

/** An embedding must not be freed under a call that borrows it. */
interface EmbeddingEntry {
  readonly embedding: EngineEmbedding;
  borrowed: number;
  freed: boolean;
}

/** What a call may do while it runs. */
interface Context<Name extends CallName> {
  readonly signal: AbortSignal;
  readonly report: (event: Calls[Name]["event"]) => void;
}

type Handlers = {
  [Name in CallName]: (args: Calls[Name]["args"], context: Context<Name>) => Promise<Calls[Name]["reply"]> | Calls[Name]["reply"];
};

/**
 * The engine's side: owns the WebAssembly objects and answers requests on a port. It runs calls as they come;
 * their order is the other side's business (lane.ts).
 * @internal
 */
export class Server {
  readonly #port: Port;
  readonly #loadModule: () => Promise<EngineModule>;
  readonly #onCrash: () => void;
  readonly #embeddings = new Map<EmbeddingId, EmbeddingEntry>();
  readonly #masks = new Map<MaskId, EngineMask>();
  readonly #running = new Map<number, AbortController>();
  #engine: Engine | undefined;
  #memory: WebAssembly.Memory | undefined;
  #mates: Mates | undefined;
  #lastHandle = 0;
  #closed = false;
  #crashed = false;

  /** `onCrash` hears of a trap, whoever noticed it. */
  constructor(port: Port, loadModule: () => Promise<EngineModule>, onCrash: () => void = () => undefined) {
    this.#port = port;
    this.#loadModule = loadModule;
    this.#onCrash = onCrash;
    port.addEventListener("message", (event) => void this.#receive(event.data as Request));
  }

  /** Tells the other side that the engine trapped. A trap leaves the promise of its call pending for ever. */
  crash(error: unknown): void {
    if (this.#crashed) return;
    this.#crashed = true;
    this.#send({ crash: error instanceof Error ? error.message : String(error) });
    this.#onCrash();
  }

  /** Frees all that is held, once the calls that still run have heard that they shall stop: they borrow it. */
  close(): void {
    this.#closed = true;
    // Nothing of an instance that trapped may be called again, and an abort is one.
    if (this.#crashed) return;
    for (const controller of this.#running.values()) controller.abort();
    if (this.#running.size === 0) this.#free();
  }

  #free(): void {
    for (const mask of this.#masks.values()) mask.free();
    this.#masks.clear();
    for (const id of [...this.#embeddings.keys()]) this.#freeEmbedding(id);
    this.#engine?.free();
    this.#engine = undefined;
  }

  async #receive(request: Request): Promise<void> {
    if ("abort" in request) return this.#running.get(request.abort)?.abort();
    if ("freeEmbedding" in request) return this.#freeEmbedding(request.freeEmbedding);
    if ("freeMask" in request) return this.#freeMask(request.freeMask);
    if ("joined" in request) return this.#mates?.join(request.joined);
    if ("lost" in request) return this.#mates?.lose(request.lost);
    const { id, name } = request;
    const controller = new AbortController();
    this.#running.set(id, controller);
    try {
      const handler = this.#handlers[name] as (args: unknown, context: Context<CallName>) => unknown;
      const report = (event: unknown) => this.#send({ id, event: event as never });
      const value = (await handler(request.args, { signal: controller.signal, report })) as Calls[CallName]["reply"];
      this.#send({ id, value }, buffersOf(value));
    } catch (error) {
      if (isTrap(error)) this.crash(error);
      else this.#send({ id, error: toWire(error) });
    } finally {
      this.#running.delete(id);
      if (this.#closed && !this.#crashed && this.#running.size === 0) this.#free();
    }
  }

  #send(response: Response, transfer: Transferable[] = []): void {
    this.#port.postMessage(response, transfer);
  }

  readonly #handlers: Handlers = {
    load: async ({ wasm, weights, model, cache, forceSoftware, adapter, lines }, { signal, report }) => {
      report({ phase: "module" });
      if (lines.size > 0) this.#mates = new Mates(lines);
      const module = await compiled(this.#loadModule, wasm);
      this.#memory = module.memory;
      const options: EngineOptions = { cache, forceSoftware };
      if (weights.sha256 !== undefined) options.sha256 = weights.sha256;
      if (model !== undefined) options.model = model;
      if (adapter !== undefined) options.adapter = adapter;
      if (this.#mates !== undefined) options.mates = this.#mates;
      const sources = cache ? await keptFirst(weights.sources) : weights.sources;
      this.#engine = await firstToLoad(sources, report, signal, (source, tell, until) => module.Engine.load(source, options, tell, until));
      return { checkpointSha256: this.#engine.checkpointSha256, kernels: this.#engine.kernels };
    },

    join: async ({ lines }) => {
      const instantiate = async (shared: WebAssembly.Module) => {
        const module = await compiled(this.#loadModule, shared);
        this.#memory = module.memory;
        return module;
      };
      await joinCrew({ lines, instantiate, onFailure: (error) => this.crash(error) });
    },

    memory: () => this.#memory?.buffer.byteLength ?? 0,

    embed: async ({ source, size, crop }, { signal }) => {
      if (this.#engine === undefined) throw new TinySamError("internal", "no weights are loaded");
      try {
        return this.#open(await this.#engine.embed(source, size, crop && Float64Array.from(crop), signal));
      } finally {
        discard(source);
      }
    },

    restore: async ({ bytes, photo }, { signal }) => {
      if (this.#engine === undefined) throw new TinySamError("internal", "no weights are loaded");
      try {
        return this.#open(await this.#engine.restore(bytes, photo, signal));
      } finally {
        if (photo !== undefined) discard(photo);
      }
    },

    save: ({ embedding, precision }) =>
      this.#borrow(embedding, async (borrowed) => (await borrowed.toBytes(precision)) as Uint8Array<ArrayBuffer>),

    segment: ({ embedding, prompts, refine }, { signal }) =>
      this.#borrow(embedding, async (borrowed) => {
        const mask = refine === undefined ? {} : { mask: await this.#mask(refine).logits() };
        return this.#keep(await borrowed.segment(prompts.map((prompt) => ({ ...prompt, ...mask })), signal));
      }),

    everything: ({ embedding, options }, { signal, report }) =>
      this.#borrow(embedding, async (borrowed) => {
        const masks = await borrowed.everything(
          options,
          (batch) => report({ masks: this.#keep(batch.masks), done: batch.done, total: batch.total }),
          signal,
        );
        return this.#keep(masks);
      }),

    answer: async ({ input, image }, { signal, report }) => {
      if (this.#engine === undefined) throw new TinySamError("internal", "no weights are loaded");
      const answer = await this.#engine.answer(input, image, report, signal);
      if ("detail" in answer) return answer;
      const { png, ...rest } = answer;
      return { ...rest, picture: new Blob([png as Uint8Array<ArrayBuffer>], { type: "image/png" }) };
    },

    labels: ({ embedding, masks }) =>
      this.#layered(embedding, masks, (layers) => layers.labels() as Uint16Array<ArrayBuffer>),
    layers: ({ embedding, masks, kind }) =>
      this.#layered(embedding, masks, (layers) => layers.png(kind) as Uint8Array<ArrayBuffer>),

    // These arrays are copies out of WebAssembly's memory, with buffers of their own.
    logits: ({ mask }) => this.#mask(mask).logits() as Promise<Float32Array<ArrayBuffer>>,
    bits: ({ mask }) => this.#mask(mask).bits() as Uint8Array<ArrayBuffer>,
    rgba: ({ mask }) => this.#mask(mask).rgba() as Uint8ClampedArray<ArrayBuffer>,
    png: ({ mask, kind }) => this.#mask(mask).png(kind) as Uint8Array<ArrayBuffer>,
    rle: ({ mask }) => this.#mask(mask).rle(),
    counts: ({ mask }) => this.#mask(mask).counts() as Uint32Array<ArrayBuffer>,
    polygons: ({ mask, tolerance }) => this.#mask(mask).polygons(tolerance) as Float32Array<ArrayBuffer>[][],
  };

  #open(embedding: EngineEmbedding): EmbeddingRecord {
    const id = ++this.#lastHandle;
    this.#embeddings.set(id, { embedding, borrowed: 0, freed: false });
    const [x = 0, y = 0, width = 0, height = 0] = embedding.crop;
    return { id, width: embedding.width, height: embedding.height, size: embedding.size, crop: [x, y, width, height] };
  }

  async #borrow<T>(id: EmbeddingId, use: (embedding: EngineEmbedding) => Promise<T>): Promise<T> {
    const entry = this.#embeddings.get(id);
    if (entry === undefined) throw new TinySamError("released", "this image was freed: embed it again");
    entry.borrowed += 1;
    try {
      return await use(entry.embedding);
    } finally {
      entry.borrowed -= 1;
      if (entry.freed && entry.borrowed === 0) entry.embedding.free();
    }
  }

  #layered<T>(id: EmbeddingId, masks: readonly MaskId[], use: (layers: EngineLayers) => T): Promise<T> {
    return this.#borrow(id, async (embedding) => {
      const layers = embedding.layers();
      try {
        for (const mask of masks) layers.add(this.#mask(mask));
        return use(layers);
      } finally {
        layers.free();
      }
    });
  }

  #mask(id: MaskId): EngineMask {
    const mask = this.#masks.get(id);
    if (mask === undefined) throw new TinySamError("released", "this mask was freed: segment again");
    return mask;
  }

  #keep(masks: readonly EngineMask[]): MaskRecord[] {
    return masks.map((mask) => {
      const id = ++this.#lastHandle;
      this.#masks.set(id, mask);
      const [x = 0, y = 0, width = 0, height = 0] = mask.bbox;
      const point = mask.point;
      return {
        id,
        width: mask.width,
        height: mask.height,
        score: mask.score,
        stability: mask.stability,
        area: mask.area,
        bbox: [x, y, width, height],
        ...(point === undefined ? {} : { point: [point[0] ?? 0, point[1] ?? 0] as const }),
      };
    });
  }

  #freeEmbedding(id: EmbeddingId): void {
    const entry = this.#embeddings.get(id);
    if (entry === undefined) return;
    this.#embeddings.delete(id);
    entry.freed = true;
    if (entry.borrowed === 0) entry.embedding.free();
  }

  #freeMask(id: MaskId): void {
    this.#masks.get(id)?.free();
    this.#masks.delete(id);
  }
}

/** The buffers of a reply, to be moved, not copied. */
function buffersOf(value: unknown): Transferable[] {
  if (Array.isArray(value)) return value.flatMap(buffersOf);
  return ArrayBuffer.isView(value) ? [value.buffer as ArrayBuffer] : [];
}
