/**
 * What the workers of one engine say to each other, over a channel between any two of them. The first has the page's calls;
 * the others take parts of its work: see `Crew` in src/segment/crew.rs.
 */
import { TinySamError, aborted } from "./errors.js";
import { Arrivals, Encode, type Lines, type Rows, type Waiting } from "./exchange.js";

/** Two batches for each: one is computed while the next is on its way. */
const AT_ONCE = 2;

/** What the others get of the first worker. */
export type Order =
  | { readonly weights: Blob; readonly sha256: string; readonly module: WebAssembly.Module }
  /** `crew`: the workers of this encode, in the order of their bands. */
  | { readonly begin: number; readonly crew: readonly number[]; readonly part: object; readonly rgb: Uint8Array }
  | { readonly end: number }
  | { readonly hold: Uint8Array }
  | { readonly decode: number; readonly prompts: object; readonly over: number | undefined };

/** What the first worker gets of the others. */
export interface Answer {
  readonly decoded: number;
  readonly batch: Batch;
}

/** Scores, the places that have masks, and their logits. */
export type Batch = readonly [Float32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];

/**
 * The other workers, as the first one has them.
 * @internal
 */
export class Mates {
  readonly #lines: Lines;
  readonly #arrivals = new Arrivals();
  /** Those that can work, and the batches that each has been given. */
  readonly #ready = new Map<number, Map<number, Waiting<Batch>>>();
  #encode: Encode | undefined;
  /** Who joins during an encode waits for its end, for the engine counts who was lost meanwhile. Undefined between two. */
  #joining: Set<number> | undefined;
  #job = 0;
  #call = 0;
  #held: { readonly embedding: number; readonly bytes: Uint8Array } | undefined;

  constructor(lines: Lines) {
    this.#lines = lines;
    for (const [from, line] of lines) {
      line.onmessage = ({ data }: MessageEvent<Rows | Answer>) => {
        if ("rows" in data) return this.#arrivals.put(from, data);
        const given = this.#ready.get(from);
        given?.get(data.decoded)?.resolve(data.batch);
        given?.delete(data.decoded);
      };
    }
  }

  /** How many workers there are at the moment, the first among them. */
  get count(): number {
    return 1 + this.#ready.size;
  }

  /** One has built its model. */
  join(worker: number): void {
    if (this.#joining !== undefined) return void this.#joining.add(worker);
    this.#ready.set(worker, new Map());
    if (this.#held !== undefined) this.#tell(worker, { hold: this.#held.bytes });
  }

  /** One is gone: what it was at fails here, and is done without it. */
  lose(worker: number): void {
    if (this.#joining?.delete(worker) === true) return;
    const given = this.#ready.get(worker);
    this.#ready.delete(worker);
    const gone = new TinySamError("crashed", "another worker is gone");
    for (const { reject } of given?.values() ?? []) reject(gone);
    this.#encode = undefined;
    this.#arrivals.end(this.#job, gone);
  }

  /** Hands every other one the compiled module and the weights; as a Blob they are copied once, and not once for each. */
  share(weights: Uint8Array<ArrayBuffer>, sha256: string, module: WebAssembly.Module): void {
    const blob = new Blob([weights]);
    for (const worker of this.#lines.keys()) this.#tell(worker, { weights: blob, sha256, module });
  }

  /** Begins an encode: one part, and the pixels that it is of, for each of the first others. */
  begin(parts: readonly [object, Uint8Array<ArrayBuffer>][]): void {
    this.#joining = new Set();
    const job = ++this.#job;
    const crew = [0, ...[...this.#ready.keys()].slice(0, parts.length)];
    this.#encode = new Encode(job, crew, this.#lines, this.#arrivals);
    parts.forEach(([part, rgb], i) => this.#tell(crew[i + 1], { begin: job, crew, part, rgb }, [rgb.buffer]));
  }

  exchange(outgoing: [number, Float32Array<ArrayBuffer>][], incoming: number[]): Promise<Float32Array[]> {
    return this.#encode?.exchange(outgoing, incoming) ?? Promise.reject(new TinySamError("crashed", "another worker is gone"));
  }

  end(): void {
    this.#encode = undefined;
    this.#arrivals.end(this.#job, aborted());
    for (const worker of this.#ready.keys()) this.#tell(worker, { end: this.#job });
    const joining = this.#joining;
    this.#joining = undefined;
    joining?.forEach((worker) => this.join(worker));
  }

  holds(embedding: number): boolean {
    return this.#held?.embedding === embedding;
  }

  hold(embedding: number, bytes: Uint8Array): void {
    this.#held = { embedding, bytes };
    for (const worker of this.#ready.keys()) this.#tell(worker, { hold: bytes });
  }

  /** Gives a batch to whoever has least to do; undefined while all have enough. */
  decode(prompts: object, over: number | undefined): Promise<Batch> | undefined {
    const [worker, given] = [...this.#ready].reduce<[number, Map<number, unknown>] | []>((least, each) => (least[1] === undefined || each[1].size < least[1].size ? each : least), []);
    if (worker === undefined || given === undefined || given.size >= AT_ONCE) return undefined;
    const call = ++this.#call;
    this.#tell(worker, { decode: call, prompts, over });
    const batch = new Promise<Batch>((resolve, reject) => given.set(call, { resolve, reject }));
    // The run that asked for it may have ended.
    batch.catch(() => undefined);
    return batch;
  }

  #tell(worker: number | undefined, order: Order, transfer: Transferable[] = []): void {
    if (worker !== undefined) this.#lines.get(worker)?.postMessage(order, transfer);
  }
}
