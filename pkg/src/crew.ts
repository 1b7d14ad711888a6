import { Connection, type Line } from "./connection.js";
import { TinySamError } from "./errors.js";
import type { Lines } from "./exchange.js";

/** No picture is divided further: see `Band::most` in src/model/bands.rs. */
const MOST_BY_DEFAULT = 5;
const MOST = 16;

/**
 * How many workers an engine on the CPU has, unless the application says it: one for each core, and no more than there are
 * gigabytes of memory. A browser that does not tell is taken to have four.
 * @internal
 */
export function workersHere(): number {
  const { hardwareConcurrency = 1, deviceMemory = 4 } = (globalThis.navigator ?? {}) as { hardwareConcurrency?: number; deviceMemory?: number };
  return Math.max(1, Math.min(MOST_BY_DEFAULT, hardwareConcurrency, Math.floor(deviceMemory)));
}

/**
 * @throws `option_invalid`
 * @internal
 */
export function checkWorkers(workers: number | undefined): void {
  if (workers === undefined || (Number.isInteger(workers) && workers >= 1 && workers <= MOST)) return;
  throw new TinySamError("option_invalid", `workers must be a whole number from 1 to ${MOST}, not ${String(workers)}`);
}

/**
 * The workers of one engine after the first, which the page starts, watches and ends. What they do, they are told by the
 * first: mates.ts.
 * @internal
 */
export class Crew {
  /** Of the first worker to the others. */
  readonly lines: Lines;
  readonly #members = new Map<number, Connection>();
  readonly #start: () => Promise<Line>;
  readonly #onLoss: () => void;
  readonly #ways: Map<number, MessagePort>[];
  #first: Connection | undefined;
  readonly #ready = new Set<number>();
  #closed: TinySamError | undefined;

  /** `count`: how many there shall be, the first among them. `onLoss` is told of each that dies. */
  constructor(count: number, start: () => Promise<Line>, onLoss: () => void) {
    this.#start = start;
    this.#onLoss = onLoss;
    this.#ways = Array.from({ length: count }, () => new Map<number, MessagePort>());
    this.#ways.forEach((ways, from) => {
      for (let to = from + 1; to < count; to += 1) {
        const { port1, port2 } = new MessageChannel();
        ways.set(to, port1);
        this.#ways[to]?.set(from, port2);
      }
    });
    this.lines = this.#ways[0] ?? new Map<number, MessagePort>();
  }

  /** How many can work, the first among them. */
  get count(): number {
    return 1 + this.#ready.size;
  }

  /** Starts the others beside the first, of which they get module and weights. Resolves when all have joined or failed. */
  async muster(first: Connection): Promise<void> {
    this.#first = first;
    await Promise.all(Array.from(this.lines.keys(), (worker) => this.#enlist(worker)));
  }

  /** Bytes of WebAssembly memory of all but the first. */
  async memory(): Promise<number> {
    // One that dies meanwhile has none.
    const each = Array.from(this.#members.values(), (member) => member.call("memory", {}).catch(() => 0));
    return (await Promise.all(each)).reduce((sum, bytes) => sum + bytes, 0);
  }

  close(reason: TinySamError): void {
    this.#closed = reason;
    for (const member of this.#members.values()) member.close(reason);
  }

  async #enlist(worker: number): Promise<void> {
    try {
      const member = new Connection("cpu", await this.#start(), () => this.#lose(worker));
      this.#members.set(worker, member);
      if (this.#closed !== undefined) return member.close(this.#closed);
      const lines = this.#ways[worker] ?? new Map<number, MessagePort>();
      await member.call("join", { lines }, { transfer: [...lines.values()] });
      this.#ready.add(worker);
      this.#first?.tell({ joined: worker });
    } catch (error) {
      // One worker less is slower, and nothing worse.
      this.#members.get(worker)?.close(error as TinySamError);
      this.#lose(worker);
    }
  }

  #lose(worker: number): void {
    this.#members.delete(worker);
    if (!this.#ready.delete(worker)) return;
    this.#first?.tell({ lost: worker });
    this.#onLoss();
  }
}
