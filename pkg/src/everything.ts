import type { Mask } from "./mask.js";

/** How far an `everything` run has come. */
export interface EverythingProgress {
  /** Points decoded. */
  readonly done: number;
  /** Points in all, as far as is known: the second round's number stands when the first is done. */
  readonly total: number;
}

/** So many candidates wait for a loop that has not begun: of hundreds of thousands the pixels would be gigabytes. */
const WAITING = 1000;

/**
 * A running `everything`. Iterating gives masks as each batch of points is decoded, candidates that later masks may still
 * displace; {@link masks} is the final set, best first. Both may be used on one run, which is iterated once. Leaving the
 * loop early stops the run.
 *
 * The candidates and the final masks are separate handles: free each of them. Candidates that no loop took are
 * freed when the run ends; while no loop has begun, only the last thousand are kept.
 */
export class Everything implements AsyncIterable<Mask> {
  /** The final masks, best first, when the run is done. It fails as the run does. */
  readonly masks: Promise<Mask[]>;
  readonly #stop: () => void;
  readonly #candidates: Mask[] = [];
  #progress: EverythingProgress = { done: 0, total: 0 };
  #iterated = false;
  #ended = false;
  #wake: () => void = () => undefined;

  /** @internal */
  constructor(run: (onBatch: (masks: Mask[], progress: EverythingProgress) => void) => Promise<Mask[]>, stop: () => void) {
    this.#stop = stop;
    this.masks = run((masks, progress) => {
      this.#progress = progress;
      this.#candidates.push(...masks);
      if (!this.#iterated) this.#freeCandidates(this.#candidates.length - WAITING);
      this.#wake();
    }).finally(() => {
      this.#ended = true;
      if (!this.#iterated) this.#freeCandidates();
      this.#wake();
    });
    // Whoever only iterates gets the error there; it is no unhandled rejection then.
    this.masks.catch(() => undefined);
  }

  /** How far the run has come. */
  get progress(): EverythingProgress {
    return this.#progress;
  }

  /** Frameworks make a proxy of no object but those that are plain. */
  get [Symbol.toStringTag](): string {
    return "Everything";
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Mask, void, undefined> {
    this.#iterated = true;
    try {
      for (;;) {
        for (let mask = this.#candidates.shift(); mask !== undefined; mask = this.#candidates.shift()) yield mask;
        if (this.#ended) break;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      await this.masks;
    } finally {
      if (!this.#ended) this.#stop();
      this.#freeCandidates();
    }
  }

  #freeCandidates(count = this.#candidates.length): void {
    for (const mask of this.#candidates.splice(0, Math.max(0, count))) mask.free();
  }
}
