/** Rows of maps between the workers of an encode: see `Neighbours` in src/model/bands.rs. */
import type { TinySamError } from "./errors.js";

/** Rows of a map, for the step of an encode that waits for them. */
export interface Rows {
  readonly job: number;
  readonly step: number;
  readonly rows: Float32Array<ArrayBuffer>;
}

/** Lines to other workers, by their number; the first is 0. */
export type Lines = ReadonlyMap<number, MessagePort>;

/** Somebody who waits. */
export interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: TinySamError) => void;
}

/** Rows that came before they were asked for, and those who ask. */
export class Arrivals {
  readonly #came = new Map<string, Float32Array<ArrayBuffer>>();
  readonly #awaited = new Map<string, Waiting<Float32Array<ArrayBuffer>>>();
  #ended = 0;

  put(from: number, { job, step, rows }: Rows): void {
    if (job <= this.#ended) return;
    const key = `${job} ${step} ${from}`;
    const awaited = this.#awaited.get(key);
    this.#awaited.delete(key);
    if (awaited === undefined) this.#came.set(key, rows);
    else awaited.resolve(rows);
  }

  take(from: number, job: number, step: number): Promise<Float32Array<ArrayBuffer>> {
    const key = `${job} ${step} ${from}`;
    const rows = this.#came.get(key);
    if (rows !== undefined) {
      this.#came.delete(key);
      return Promise.resolve(rows);
    }
    return new Promise((resolve, reject) => this.#awaited.set(key, { resolve, reject }));
  }

  /** Nobody waits any more, nor will want what comes of encodes up to this one. */
  end(job: number, reason: TinySamError): void {
    this.#ended = job;
    for (const { reject } of this.#awaited.values()) reject(reason);
    this.#awaited.clear();
    for (const key of this.#came.keys()) if (Number.parseInt(key) <= job) this.#came.delete(key);
  }
}

/** One encode, as one of its workers takes part in it. */
export class Encode {
  readonly #job: number;
  readonly #crew: readonly number[];
  readonly #lines: Lines;
  readonly #arrivals: Arrivals;
  #step = 0;

  constructor(job: number, crew: readonly number[], lines: Lines, arrivals: Arrivals) {
    this.#job = job;
    this.#crew = crew;
    this.#lines = lines;
    this.#arrivals = arrivals;
  }

  /** Sends rows to bands, and waits for those of others. All workers of an encode call this at the same steps. */
  exchange(outgoing: readonly [number, Float32Array<ArrayBuffer>][], incoming: readonly number[]): Promise<Float32Array<ArrayBuffer>[]> {
    const [job, step] = [this.#job, this.#step++];
    for (const [band, rows] of outgoing) this.#lines.get(this.#worker(band))?.postMessage({ job, step, rows } satisfies Rows, [rows.buffer]);
    return Promise.all(incoming.map((band) => this.#arrivals.take(this.#worker(band), job, step)));
  }

  #worker(band: number): number {
    return this.#crew[band] ?? -1;
  }
}
