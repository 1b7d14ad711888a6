import type { FalImage, LocalEndpoint, TinySamOutput } from "./endpoint.js";
import { serve, type Routing } from "./fallback.js";
import { Files } from "./files.js";
import type { Bounds } from "./kept.js";
import { Queue, type Entry, type Log } from "./queue.js";
import { publish, remoteClient, type Origin } from "./remote.js";
import { HELD, TARGET_HEADER, TIMEOUT_TYPE, failure, isFal, newId, respond, route, statusOf, unreachable, type Outcome } from "./wire.js";

/** What a router works with. */
export interface RouterOptions {
  readonly local: LocalEndpoint;
  /** Read for each request, so that it may change. */
  readonly routing: () => Routing;
  /** Where everything goes that is not answered here. */
  readonly network: typeof fetch;
  /** How long results are kept. Default: an hour, 64 of them, 256 MiB. */
  readonly results?: Bounds;
}

/** What a request brought along: let go when it is completed, for it may hold a whole picture, and a key. */
interface Luggage {
  readonly input: unknown;
  readonly image: Blob | undefined;
  readonly webhook: string | undefined;
  readonly direct: boolean;
  readonly origin: Origin;
}

/** A request in the queue. */
interface Job {
  luggage: Luggage | undefined;
  readonly controller: AbortController;
  /** What the last status answer, or the submit answer, has told: a poll waits for something else. */
  seen: string;
}

type Pending = Entry<Job, Outcome>;

/** Marks the requests of this router, so that others are not taken for expired ones. */
const ID_PREFIX = "tinysam-";
/** Whether a request was given its name here, and not by fal. */
export function isOurs(requestId: string): boolean {
  return requestId.startsWith(ID_PREFIX);
}

/** A poll is answered after so long, even if nothing has changed. */
const HOLD_MS = 10_000;

const CANCELLED: Outcome = failure(499, "The request was cancelled");

/**
 * A `fetch` that is a fal server for `fal-ai/tiny-sam`: calls of its protocol are answered here, everything else goes
 * to the network as it is.
 */
export function createRouter({ local, routing, network, results }: RouterOptions): typeof fetch {
  const files = new Files();
  const queue = new Queue<Job, Outcome>(results ?? { age: 3_600_000, count: 64, bytes: 2 ** 28 }, forget);
  const waiting = new Set<() => void>();

  function changed(): void {
    for (const wake of [...waiting]) wake();
  }

  /** Waits for the next change of anything, for `ms` at most. */
  function change(ms: number, signal?: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        waiting.delete(done);
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        signal?.aborted ? reject(signal.reason) : resolve();
      };
      const timer = setTimeout(done, ms);
      waiting.add(done);
      signal?.addEventListener("abort", done);
      if (signal?.aborted) done();
    });
  }

  function finish({ id, job }: Pending, outcome: Outcome & { seconds?: number | null }): void {
    const bytes = pictureOf(outcome)?.file_size ?? 0;
    // A request that was cancelled is completed already; what it came to after that is for nobody.
    if (!queue.complete(id, outcome, bytes, Date.now(), outcome.seconds)) forget(outcome);
    job.luggage = undefined;
    job.controller.abort(); // takes the listeners off the caller's signal, or stops the work of a cancelled request
    changed();
  }

  function pump(): void {
    for (let entry = queue.start(Date.now()); entry !== undefined; entry = queue.start(Date.now())) void work(entry);
    changed();
  }

  function release(id: string): void {
    queue.release(id);
    pump();
  }

  async function work(entry: Pending): Promise<void> {
    const { id, job } = entry;
    const { controller, luggage } = job;
    if (luggage === undefined) return release(id);
    const log = (level: Log["level"], message: string) => {
      queue.log(id, level, message, Date.now());
      changed();
    };
    let outcome: Outcome;
    try {
      const { fallback } = routing();
      const remote = () => remoteClient(fallback || undefined, luggage.origin, network, !luggage.direct);
      const work = { ...luggage, id, signal: controller.signal, remote, log, release: () => release(id) };
      outcome = await serve(work, local, files, routing());
    } catch (error) {
      outcome = controller.signal.aborted ? CANCELLED : failure(500, String(error));
    }
    finish(entry, outcome);
    release(id);
  }

  /** Puts a request into the queue. */
  function submit(input: unknown, call: Pick<Luggage, "origin" | "webhook" | "direct">, signal?: AbortSignal | null): Pending {
    const id = ID_PREFIX + newId();
    const image = held(input);
    const { origin } = call;
    const job: Job = { luggage: { ...call, input, image: image ?? undefined }, controller: new AbortController(), seen: "" };
    const entry = queue.submit(id, job, Date.now());
    job.seen = view(entry, false);
    if (image === null) finish(entry, failure(422, unreachable("this upload is not held any more: upload the file again")));
    const stop = () => finish(entry, CANCELLED);
    signal?.addEventListener("abort", stop, { signal: job.controller.signal });
    const seconds = Number(origin.headers.get("x-fal-request-timeout") ?? NaN);
    if (seconds > 0) {
      const timer = setTimeout(() => timeOut(entry, seconds), Math.min(seconds * 1000, 2 ** 31 - 1));
      job.controller.signal.addEventListener("abort", () => clearTimeout(timer));
    }
    pump();
    return entry;
  }

  function timeOut(entry: Pending, seconds: number): void {
    if (entry.status !== "IN_QUEUE") return;
    const outcome = failure(504, `The request has waited for ${seconds} s without being started`);
    finish(entry, { ...outcome, headers: { [TIMEOUT_TYPE]: "user" } });
  }

  /** The picture of an input that names an upload; `null`, if it is gone. */
  function held(input: unknown): Blob | null | undefined {
    const url = (input as { image_url?: unknown } | null)?.image_url;
    return typeof url === "string" && url.startsWith(HELD) ? (files.get(url) ?? null) : undefined;
  }

  function view(entry: Pending, logs: boolean): string {
    return `${entry.status} ${queue.position(entry.id)} ${logs ? entry.logs.length : 0}`;
  }

  /** Waits until a request says something else than `seen`. */
  async function news(entry: Pending, logs: boolean, seen: string, until: number, signal?: AbortSignal | null): Promise<void> {
    while (entry.status !== "COMPLETED" && view(entry, logs) === seen && Date.now() < until) {
      await change(Math.min(until - Date.now(), HOLD_MS), signal);
    }
  }

  /** Long polling: a status is answered when it has changed. */
  async function status(entry: Pending, logs: boolean, signal?: AbortSignal | null): Promise<Response> {
    await news(entry, logs, entry.job.seen, Date.now() + HOLD_MS, signal);
    entry.job.seen = view(entry, logs);
    const body = statusOf(entry, queue.position(entry.id), logs ? entry.logs : []);
    const backend = entry.outcome?.backend;
    return respond(entry.id, { status: entry.status === "COMPLETED" ? 200 : 202, body, backend });
  }

  /** Server-sent events, one for each change, each with the log lines since the last. */
  function stream(entry: Pending, logs: boolean, signal?: AbortSignal | null): Response {
    let seen = "";
    let lines = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await news(entry, logs, seen, Infinity, signal);
        seen = view(entry, logs);
        const status = statusOf(entry, queue.position(entry.id), logs ? entry.logs.slice(lines) : []);
        lines = entry.logs.length;
        controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(status)}\n\n`));
        if (entry.status === "COMPLETED") controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream", "x-fal-request-id": entry.id } });
  }

  async function run(input: unknown, origin: Origin, signal?: AbortSignal | null): Promise<Response> {
    const entry = submit(input, { origin, webhook: undefined, direct: true }, signal);
    while (entry.outcome === undefined) await change(HOLD_MS, signal);
    return respond(entry.id, entry.outcome);
  }

  return async function tinysamFetch(resource: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const given = resource instanceof Request ? resource : undefined;
    const address = given?.url ?? String(resource);
    const headers = new Headers(init?.headers ?? given?.headers);
    const method = (init?.method ?? given?.method ?? "GET").toUpperCase();
    const signal = init?.signal ?? given?.signal;
    const target = headers.get(TARGET_HEADER) ?? address;
    const origin: Origin = { address, proxied: headers.has(TARGET_HEADER), headers };
    const asked = route(method, target);
    if (asked === undefined) return network(resource, isFal(target) ? await withUploads(origin, init) : init);
    signal?.throwIfAborted();
    const body = init?.body ?? (given?.body ? await given.blob() : undefined);
    switch (asked.call) {
      case "unknown":
        return respond(undefined, failure(404, `fal-ai/tiny-sam answers no ${method} here`));
      case "initiate":
        return files.initiate(await json(body));
      case "file":
        return files.serve(method, asked.url, asked.part, body);
      case "run":
      case "submit": {
        const input = await json(body);
        if (input === undefined) return respond(undefined, failure(422, [{ loc: ["body"], msg: "JSON decode error", type: "json_invalid" }]));
        if (asked.call === "run") return run(input, origin, signal);
        const entry = submit(input, { origin, webhook: asked.webhook, direct: false }, signal);
        return respond(entry.id, { status: 200, body: statusOf({ ...entry, status: "IN_QUEUE" }, queue.position(entry.id), []), backend: undefined });
      }
    }
    const entry = queue.find(asked.id, Date.now());
    if (entry === undefined) {
      const foreign = !isOurs(asked.id) && (origin.proxied || headers.has("authorization"));
      if (foreign) return network(resource, init);
      if (asked.call === "cancel") return respond(asked.id, { status: 404, body: { status: "NOT_FOUND" }, backend: undefined });
      return respond(asked.id, failure(404, "This request is unknown here, or was completed too long ago"));
    }
    switch (asked.call) {
      case "status":
        return status(entry, asked.logs, signal);
      case "stream":
        return stream(entry, asked.logs, signal);
      case "cancel": {
        const late = entry.status === "COMPLETED";
        if (!late) finish(entry, CANCELLED);
        const body = { status: late ? "ALREADY_COMPLETED" : "CANCELLATION_REQUESTED" };
        return respond(entry.id, { status: late ? 400 : 202, body, backend: undefined });
      }
      case "result":
        return respond(entry.id, entry.outcome ?? failure(400, "Request is still in progress"));
    }
  };

  /** A request to another endpoint of fal that names files held here: they are uploaded for it. */
  async function withUploads(origin: Origin, init: RequestInit | undefined): Promise<RequestInit | undefined> {
    const body = init?.body;
    if (typeof body !== "string" || !(body.includes('"blob:') || body.includes(HELD))) return init;
    const client = remoteClient(routing().fallback || undefined, origin, network);
    const value = await json(body);
    if (client === undefined || value === undefined) return init;
    try {
      return { ...init, body: JSON.stringify(await publish(value, files, client)) };
    } catch {
      return init; // not files of this page, or not to be uploaded: fal has the word
    }
  }
}

/** The picture that the device has made for an outcome. */
function pictureOf({ body, backend }: Outcome): FalImage | undefined {
  return backend === "fal" ? undefined : (body as Partial<TinySamOutput> | null)?.image;
}

function forget(outcome: Outcome): void {
  const picture = pictureOf(outcome);
  if (picture !== undefined) URL.revokeObjectURL(picture.url);
}

/** A body as JSON; `undefined` if it is none. An absent body is `null`. */
async function json(body: BodyInit | null | undefined): Promise<unknown> {
  try {
    return body === undefined || body === null ? null : await new Response(body).json();
  } catch {
    return undefined;
  }
}
