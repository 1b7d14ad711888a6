import { TinySamError } from "./errors.js";
import { Host, type HostOptions } from "./host.js";
import { orAborted } from "./signals.js";
import type { Progress } from "./types.js";

/** An engine, and how many hold it. */
interface Share {
  readonly options: HostOptions;
  readonly host: Host;
  readonly listeners: Set<(progress: Progress) => void>;
  /** Stops a start that nobody waits for any more. */
  readonly stop: AbortController;
  holders: number;
}

/**
 * Something that an engine keeps for a holder, without that which stands for it in the page: that may be forgotten.
 * @internal
 */
export interface Held {
  free(): void;
}

/** Lets go of what was forgotten; a safety net, for collection may come late or never. */
const collected = typeof FinalizationRegistry === "undefined" ? undefined : new FinalizationRegistry<Held>((held) => held.free());

/** Every engine that somebody holds. */
const shares = new Set<Share>();

/** Lets go of leases that were forgotten; a safety net, for collection may come late or never. */
const forgotten = typeof FinalizationRegistry === "undefined" ? undefined : new FinalizationRegistry<Share>(letGo);

/**
 * A hold on an engine, which is shared by all who ask for the same: forty megabytes of weights need not lie in memory
 * twice because a framework mounts twice. The engine ends when nobody holds it any more. A model and its images and masks
 * hold one lease together; what is forgotten with all of them is let go.
 * @internal
 */
export class Lease {
  readonly #share: Share;
  #released: TinySamError | undefined;
  /** Its images and masks: what others have of the same engine stays. */
  readonly #held = new Set<Held>();
  /** Who waits for what may never come. */
  readonly #waiting = new Set<(error: TinySamError) => void>();

  private constructor(share: Share) {
    this.#share = share;
    share.holders += 1;
    forgotten?.register(this, share, this);
  }

  /** Takes hold of an engine of these options, and waits until it has started. */
  static async take(options: HostOptions, onProgress?: (progress: Progress) => void, signal?: AbortSignal): Promise<Lease> {
    const share = [...shares].find((other) => serves(other, options)) ?? open(options);
    const lease = new Lease(share);
    // A function of its own for each: two loads of one page may give the same, and end one after the other.
    const listener = (progress: Progress) => onProgress?.(progress);
    share.listeners.add(listener);
    try {
      const tell = (progress: Progress) => share.listeners.forEach((listener) => told(listener, progress));
      await orAborted(share.host.start(tell, share.stop.signal), signal);
      return lease;
    } catch (error) {
      lease.release();
      throw error;
    } finally {
      share.listeners.delete(listener);
    }
  }

  get host(): Host {
    return this.#share.host;
  }

  /** @throws `released` */
  check(): void {
    if (this.#released !== undefined) throw this.#released;
  }

  /** Waits for what nobody can end, as a picture that loads for ever, but no longer than until the release. */
  orReleased<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#released !== undefined) return reject(this.#released);
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** What the engine keeps for `owner`: freed when that says so or is forgotten, and with this lease. `free` must not hold it. */
  keep(owner: object, free: () => void): Held {
    const held: Held = {
      free: () => {
        collected?.unregister(held);
        if (this.#held.delete(held)) free();
      },
    };
    this.#held.add(held);
    collected?.register(owner, held, held);
    if (this.#released !== undefined) held.free();
    return held;
  }

  release(): void {
    if (this.#released !== undefined) return;
    this.#released = new TinySamError("released", "this model was freed: load it again");
    for (const reject of this.#waiting) reject(this.#released);
    for (const held of this.#held) held.free();
    forgotten?.unregister(this);
    letGo(this.#share);
  }
}

/** What one listener throws is its own page's error, and no reason for the others not to hear. */
function told(listener: (progress: Progress) => void, progress: Progress): void {
  try {
    listener(progress);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function open(options: HostOptions): Share {
  const share = { options, host: new Host(options), listeners: new Set<never>(), stop: new AbortController(), holders: 0 };
  shares.add(share);
  return share;
}

function letGo(share: Share): void {
  share.holders -= 1;
  if (share.holders > 0) return;
  shares.delete(share);
  share.stop.abort();
  share.host.release();
}

/** Whether an engine is what these options ask for: what `auto` came to, too, where that is the CPU, which it stays on. */
function serves({ options, host }: Share, asked: HostOptions): boolean {
  const device = options.preference === "auto" && host.isOnCpu ? "cpu" : options.preference;
  return same(options, asked) && (options.preference === asked.preference || device === asked.preference);
}

/** Nobody changes a Blob or what a worker's maker makes: the same one means the same. */
function same(a: HostOptions, b: HostOptions): boolean {
  return (
    a.weights.sources.length === b.weights.sources.length &&
    a.weights.sources.every((source, i) => source === b.weights.sources[i]) &&
    a.weights.sha256 === b.weights.sha256 &&
    a.model === b.model &&
    a.worker === b.worker &&
    a.workers === b.workers &&
    a.cache === b.cache &&
    String(a.assets) === String(b.assets)
  );
}
