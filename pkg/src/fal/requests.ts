import type { Fault, FalImage, LocalEndpoint, TinySamOutput } from "./endpoint.js";
import { requestError } from "./failures.js";
import { serve, type Routing, type Served } from "./fallback.js";
import type { Files, Held } from "./files.js";
import type { Bounds } from "./kept.js";
import { Queue, type Entry, type Log } from "./queue.js";
import { strings } from "./strings.js";
import { GONE, publish } from "./uploads.js";
import { wayTo, type Origin, type Way } from "./ways.js";
import { HELD, RETRIED, TIMEOUT_TYPE, failure, newId, unreachable, type Outcome } from "./wire.js";

/** What requests are served with. */
export interface RequestsOptions {
  readonly local: LocalEndpoint;
  /** Read for each request, so that it may change. */
  readonly routing: () => Routing;
  readonly files: Files;
  /** How long results are kept. Default: an hour, 64 of them, 256 MiB. */
  readonly results?: Bounds | undefined;
}

/** What a request brought along: let go when it is completed, for it may hold a whole picture, and a key. */
interface Luggage {
  readonly input: unknown;
  /** The held files that it names, by their addresses: they stay with it, whatever else is uploaded while it waits. */
  readonly held: ReadonlyMap<string, Held>;
  readonly webhook: string | undefined;
  /** The caller waits for the answer itself. */
  readonly direct: boolean;
  readonly origin: Origin;
}

/** What the queue keeps of a request. */
interface Job {
  luggage: Luggage | undefined;
  /** Aborted when the request is completed, however that came. */
  readonly controller: AbortController;
  /** The signal that its `submit` was given, if that was another client's, as long as it has not come again. */
  signal: AbortSignal | undefined;
  /** Its status as it was told last to a client of the application's own; when; and how many have asked so far. */
  told: { view: string; at: number; polls: number };
}

/** A request on its way. */
export type Pending = Entry<Job, Outcome>;

const CANCELLED: Outcome = requestError("client_cancelled", "The request was cancelled");

/** The life of requests: from their submit, through the queue, to what they came to, and its end. */
export class Requests {
  readonly #options: RequestsOptions;
  readonly #queue: Queue<Job, Outcome>;
  readonly #waiting = new Set<() => void>();

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#queue = new Queue(options.results ?? { age: 3_600_000, count: 64, bytes: 2 ** 28 }, forget);
  }

  /** A request, unless it is unknown or no longer kept. */
  find(id: string): Pending | undefined {
    return this.#queue.find(id, Date.now());
  }

  /** How many are before this one. */
  position(entry: Pending): number {
    return this.#queue.position(entry.id);
  }

  /**
   * Puts a request into the queue. Its signal cancels it, if it is that of the whole request and not of its submit
   * alone.
   */
  submit(input: unknown, call: Pick<Luggage, "origin" | "webhook" | "direct">, signal?: AbortSignal | null): Pending {
    const { caller, headers } = call.origin;
    const held = new Map<string, Held>();
    for (const text of strings(input)) {
      const file = this.#options.files.get(text);
      if (file !== undefined) held.set(text, file);
    }
    const whole = call.direct || caller.told !== undefined;
    const job: Job = {
      luggage: { ...call, input, held },
      controller: new AbortController(),
      signal: whole || caller.own ? undefined : (signal ?? undefined),
      told: { view: "", at: -Infinity, polls: 0 },
    };
    const entry = this.#queue.submit(newId(), job, Date.now());
    if (whole && signal) this.#bind(entry, signal);
    const url = (input as { image_url?: unknown } | null)?.image_url;
    if (typeof url === "string" && url.startsWith(HELD) && !held.has(url)) this.#finish(entry, gone());
    const seconds = Number(headers.get("x-fal-request-timeout") ?? NaN);
    if (seconds > 0) {
      const timer = setTimeout(() => this.#timeOut(entry, seconds), Math.min(seconds * 1000, 2 ** 31 - 1));
      job.controller.signal.addEventListener("abort", () => clearTimeout(timer));
    }
    this.#pump();
    return entry;
  }

  /**
   * A poll came with a signal. If it is that of its submit, the two are one work, as `subscribe` of
   * fal's client makes it: the signal cancels it from now on.
   */
  follow(entry: Pending, signal: AbortSignal | null | undefined): void {
    if (!signal || signal !== entry.job.signal) return;
    entry.job.signal = undefined;
    this.#bind(entry, signal);
  }

  /** Ends a request; false, if it had ended before. */
  cancel(entry: Pending): boolean {
    if (entry.status === "COMPLETED") return false;
    this.#finish(entry, CANCELLED);
    return true;
  }

  /** Waits for the next change of any request, for `ms` at most. Rejects with the signal's reason. */
  change(ms: number, signal?: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#waiting.delete(done);
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        signal?.aborted ? reject(signal.reason) : resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal?.addEventListener("abort", done);
      if (signal?.aborted) done();
    });
  }

  /** Something may have changed for those who wait. */
  changed(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #bind(entry: Pending, signal: AbortSignal): void {
    const { signal: end } = entry.job.controller;
    if (end.aborted) return;
    if (signal.aborted) return void this.cancel(entry);
    signal.addEventListener("abort", () => this.cancel(entry), { signal: end, once: true });
  }

  #finish({ id, job }: Pending, outcome: Served): void {
    const bytes = pictureOf(outcome)?.file_size ?? 0;
    // A request that was cancelled is completed already; what it came to after that is for nobody.
    if (!this.#queue.complete(id, outcome, bytes, Date.now(), outcome.seconds)) forget(outcome);
    // Sent again by the caller's client, it names the same files.
    const { held, direct } = job.luggage ?? { held: new Map<string, Held>(), direct: false };
    if (!(direct && RETRIED.includes(outcome.status))) for (const url of held.keys()) this.#options.files.use(url);
    job.luggage = undefined;
    job.controller.abort(); // takes the listeners off the caller's signal, or stops the work of a cancelled request
    this.changed();
  }

  #pump(): void {
    for (let entry = this.#queue.start(Date.now()); entry; entry = this.#queue.start(Date.now())) void this.#work(entry);
    this.changed();
  }

  #release(id: string): void {
    this.#queue.release(id);
    this.#pump();
  }

  async #work(entry: Pending): Promise<void> {
    const { id, job } = entry;
    const { controller, luggage } = job;
    if (luggage === undefined) return this.#release(id);
    const { local, routing, files } = this.#options;
    const { origin, input, held } = luggage;
    const named = { get: (url: string) => held.get(url) ?? files.get(url), publishedOf: (url: string) => files.publishedOf(url) };
    const way = (from: Origin) => wayTo(routing().fallback || undefined, from);
    const log = (level: Log["level"], message: string) => {
      this.#queue.log(id, level, message, Date.now());
      this.changed();
    };
    let outcome: Served;
    try {
      const work = {
        ...luggage,
        id,
        image: held.get(String((input as { image_url?: unknown } | null)?.image_url))?.blob,
        signal: controller.signal,
        way: () => way(origin),
        // A file goes the way that its own upload would have gone.
        published: (to: Way) => publish(known(input), named, (file) => (file && way(file.origin)) ?? to),
        log,
        release: () => this.#release(id),
      };
      outcome = await serve(work, local, routing);
    } catch (error) {
      outcome = controller.signal.aborted ? CANCELLED : requestError("internal_error", String(error));
    }
    this.#finish(entry, outcome);
    this.#release(id);
  }

  #timeOut(entry: Pending, seconds: number): void {
    if (entry.status !== "IN_QUEUE") return;
    const outcome = requestError("startup_timeout", `The request has waited for ${seconds} s without being started`);
    this.#finish(entry, { ...outcome, headers: { ...outcome.headers, [TIMEOUT_TYPE]: "user" } });
  }
}

/** The six fields that fal knows; nothing else is sent. */
const FAL_FIELDS = ["image_url", "size", "confidence", "box_prompt", "point_prompt", "point_label"];

function known(input: unknown): unknown {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
  return Object.fromEntries(Object.entries(input).filter(([name]) => FAL_FIELDS.includes(name)));
}

function gone(): Outcome {
  const detail: Fault[] = unreachable(GONE);
  return failure(422, detail);
}

/** The picture that the device has made for an outcome. */
function pictureOf({ body, backend }: Outcome): FalImage | undefined {
  return backend === "fal" ? undefined : (body as Partial<TinySamOutput> | null)?.image;
}

function forget(outcome: Outcome): void {
  const picture = pictureOf(outcome);
  if (picture?.url.startsWith("blob:")) URL.revokeObjectURL(picture.url);
}
