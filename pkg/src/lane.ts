import { TinySamError, aborted } from "./errors.js";

/** One piece of work for the engine. */
export interface Job<T> {
  /** Starts the work and settles when the engine has done with it, even if nobody waits any more. */
  readonly start: () => Promise<T>;
  readonly signal?: AbortSignal | undefined;
  /** Takes a result that came after the caller was let go, to free it. */
  readonly discard?: ((value: T) => void) | undefined;
  /** The work will never start. */
  readonly dropped?: (() => void) | undefined;
  /** Newest wins: of the waiting jobs with one key, only the last to come is run. */
  readonly latest?: object | undefined;
}

interface Waiting {
  readonly latest: object | undefined;
  readonly run: () => Promise<void>;
  readonly drop: (error: TinySamError) => void;
}

/**
 * Runs jobs one after another, in the order in which they came. The queue stands on the page's side, where an
 * abort or a newer prompt takes a waiting job out before the engine ever hears of it.
 * @internal
 */
export class Lane {
  readonly #waiting: Waiting[] = [];
  #busy = false;

  run<T>(job: Job<T>): Promise<T> {
    const { signal } = job;
    if (signal?.aborted) {
      job.dropped?.();
      return Promise.reject(aborted(signal));
    }
    return new Promise<T>((resolve, reject) => {
      let letGo = false;
      let started = false;
      const onAbort = () => {
        letGo = true;
        if (!started) {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          job.dropped?.();
        }
        reject(aborted(signal));
      };
      const waiting: Waiting = {
        latest: job.latest,
        run: async () => {
          started = true;
          try {
            const value = await job.start();
            if (letGo) job.discard?.(value);
            else resolve(value);
          } catch (error) {
            reject(error as Error);
          } finally {
            signal?.removeEventListener("abort", onAbort);
          }
        },
        drop: (error) => {
          signal?.removeEventListener("abort", onAbort);
          job.dropped?.();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#enqueue(waiting);
      void this.#drain();
    });
  }

  /** Rejects everything that waits. What runs settles by itself. */
  fail(error: TinySamError): void {
    for (const waiting of this.#waiting.splice(0)) waiting.drop(error);
  }

  #enqueue(waiting: Waiting): void {
    const rival = waiting.latest && this.#waiting.findIndex((other) => other.latest === waiting.latest);
    if (rival === undefined || rival < 0) {
      this.#waiting.push(waiting);
      return;
    }
    const [superseded] = this.#waiting.splice(rival, 1, waiting);
    superseded?.drop(new TinySamError("superseded", "a newer prompt took this one's place"));
  }

  async #drain(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await next.run();
    this.#busy = false;
  }
}
