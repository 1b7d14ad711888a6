import type { Mask } from "./mask.js";

/** How far an `everything` run has come. */
export interface EverythingProgress {
  /** Points decoded. */
  readonly done: number;
  /** Points in all, as far as is known: the second round's number stands when the first is done. */
  readonly total: number;
}

/**
 * A running `everything`. Iterating gives masks as each batch of points is decoded, candidates that later
 * masks may still displace; awaiting gives the final set, best first. Both may be used on one run. Leaving the
 * loop early stops the run.
 *
 * The candidates and the final masks are separate handles: free each of them. Candidates that no loop took are
 * freed when the run ends.
 */
export class Everything implements AsyncIterable<Mask>, PromiseLike<Mask[]> {
  readonly #final: Promise<Mask[]>;
  readonly #stop: () => void;
  readonly #candidates: Mask[] = [];
  #progress: EverythingProgress = { done: 0, total: 0 };
  #iterated = false;
  #ended = false;
  #wake: () => void = () => undefined;

  /** @internal */
  constructor(run: (onBatch: (masks: Mask[], progress: EverythingProgress) => void) => Promise<Mask[]>, stop: () => void) {
    this.#stop = stop;
    this.#final = run((masks, progress) => {
      this.#progress = progress;
      this.#candidates.push(...masks);
      this.#wake();
    }).finally(() => {
      this.#ended = true;
      if (!this.#iterated) this.#freeCandidates();
      this.#wake();
    });
    // Whoever only iterates gets the error there; it is no unhandled rejection then.
    this.#final.catch(() => undefined);
  }

  /** How far the run has come. */
  get progress(): EverythingProgress {
    return this.#progress;
  }

  then<A = Mask[], B = never>(
    onFulfilled?: ((masks: Mask[]) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#final.then(onFulfilled, onRejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Mask, void, undefined> {
    this.#iterated = true;
    try {
      for (;;) {
        for (let mask = this.#candidates.shift(); mask !== undefined; mask = this.#candidates.shift()) yield mask;
        if (this.#ended) break;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      await this.#final;
    } finally {
      if (!this.#ended) this.#stop();
      this.#freeCandidates();
    }
  }

  #freeCandidates(): void {
    for (const mask of this.#candidates.splice(0)) mask.free();
  }
}
