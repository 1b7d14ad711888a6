/** How much to keep: the oldest go first. */
export interface Bounds {
  readonly count: number;
  readonly bytes: number;
  /** Milliseconds since it was put here. */
  readonly age: number;
}

/** Things kept under a name, for a bounded time, in a bounded number and size. The latest always stays. */
export class Kept<T> {
  readonly #bounds: Bounds;
  readonly #dispose: (item: T, name: string) => void;
  // A Map iterates in the order of insertion: oldest first.
  readonly #items = new Map<string, { item: T; bytes: number; since: number }>();
  #bytes = 0;

  constructor(bounds: Bounds, dispose: (item: T, name: string) => void = () => undefined) {
    this.#bounds = bounds;
    this.#dispose = dispose;
  }

  put(name: string, item: T, bytes: number, now: number): void {
    this.#items.set(name, { item, bytes, since: now });
    this.#bytes += bytes;
    this.expire(now);
  }

  get(name: string, now: number): T | undefined {
    this.expire(now);
    return this.#items.get(name)?.item;
  }

  /** Lets go of what is over the bounds. */
  expire(now: number): void {
    const { count, bytes, age } = this.#bounds;
    for (const [name, { since }] of this.#items) {
      const over = this.#items.size > count || this.#bytes > bytes;
      if (now - since <= age && !(over && this.#items.size > 1)) return;
      this.drop(name);
    }
  }

  /** Lets go of one. */
  drop(name: string): void {
    const item = this.take(name);
    if (item !== undefined) this.#dispose(item, name);
  }

  /** Takes one out, as it is. */
  take(name: string): T | undefined {
    const kept = this.#items.get(name);
    if (kept === undefined) return undefined;
    this.#items.delete(name);
    this.#bytes -= kept.bytes;
    return kept.item;
  }
}
