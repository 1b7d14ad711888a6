import { Kept, type Bounds } from "./kept.js";

/** A log line as fal gives it. */
export interface Log {
  message: string;
  level: "INFO" | "WARN" | "ERROR";
  source: "USER";
  timestamp: string;
}

/** A request on its way. `outcome` is there once its status is COMPLETED. */
export interface Entry<Job, Outcome> {
  readonly id: string;
  readonly job: Job;
  status: "IN_QUEUE" | "IN_PROGRESS" | "COMPLETED";
  readonly logs: Log[];
  readonly submitted: number;
  started: number;
  /** Seconds that the work took; `null` where nothing ran. */
  inferenceTime: number | null;
  outcome: Outcome | undefined;
}

/**
 * fal's queue, without clocks and promises: times are passed in, and what to start is asked for. One request at a
 * time holds the device; others may be in progress elsewhere. Completed requests are kept within bounds, which are
 * looked after whenever one comes or is asked for.
 */
export class Queue<Job, Outcome> {
  readonly #waiting: Entry<Job, Outcome>[] = [];
  readonly #running = new Map<string, Entry<Job, Outcome>>();
  readonly #completed: Kept<Entry<Job, Outcome>>;
  #device: string | undefined;

  constructor(bounds: Bounds, dispose: (outcome: Outcome) => void) {
    this.#completed = new Kept(bounds, (entry) => entry.outcome !== undefined && dispose(entry.outcome));
  }

  /** A request, unless it is unknown or no longer kept. */
  find(id: string, now: number): Entry<Job, Outcome> | undefined {
    return this.#waiting.find((entry) => entry.id === id) ?? this.#running.get(id) ?? this.#completed.get(id, now);
  }

  /** How many are before this one; 0 for one that is next or does not wait. */
  position(id: string): number {
    return Math.max(0, this.#waiting.findIndex((entry) => entry.id === id));
  }

  submit(id: string, job: Job, now: number): Entry<Job, Outcome> {
    const entry: Entry<Job, Outcome> = {
      id,
      job,
      status: "IN_QUEUE",
      logs: [],
      submitted: now,
      started: now,
      inferenceTime: null,
      outcome: undefined,
    };
    this.#waiting.push(entry);
    return entry;
  }

  /** Gives the device to the next in the queue, if it is free and somebody waits. */
  start(now: number): Entry<Job, Outcome> | undefined {
    if (this.#device !== undefined) return undefined;
    const entry = this.#waiting.shift();
    if (entry === undefined) return undefined;
    this.#device = entry.id;
    this.#running.set(entry.id, entry);
    entry.status = "IN_PROGRESS";
    entry.started = now;
    return entry;
  }

  /** The request no longer needs the device: its work is done, or goes on elsewhere. */
  release(id: string): void {
    if (this.#device === id) this.#device = undefined;
  }

  /** Adds a line to a request that is not completed. */
  log(id: string, level: Log["level"], message: string, now: number): void {
    const entry = this.find(id, now);
    if (entry === undefined || entry.status === "COMPLETED") return;
    entry.logs.push({ message, level, source: "USER", timestamp: new Date(now).toISOString() });
  }

  /**
   * Completes a request, whatever its state; the first completion counts, of a later one this returns false.
   *
   * @param bytes what the outcome keeps in memory
   * @param inferenceTime in seconds, where it was measured elsewhere
   */
  complete(id: string, outcome: Outcome, bytes: number, now: number, inferenceTime?: number): boolean {
    const entry = this.find(id, now);
    if (entry === undefined || entry.status === "COMPLETED") return false;
    const place = this.#waiting.indexOf(entry);
    if (place >= 0) this.#waiting.splice(place, 1);
    this.#running.delete(id);
    if (entry.status === "IN_PROGRESS") entry.inferenceTime = inferenceTime ?? (now - entry.started) / 1000;
    entry.status = "COMPLETED";
    entry.outcome = outcome;
    this.#completed.put(id, entry, bytes, now);
    return true;
  }
}
